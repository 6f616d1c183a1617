//===- RegisterTiles.cpp - What a thread of a device keeps in registers ---===//

#include "compiler/codegen/RegisterTiles.h"

#include "Halide.h"

#include <map>
#include <optional>
#include <set>

using namespace Halide::Internal;
using Halide::Expr;

namespace halcyon {

namespace {

/// What threads' numbers are known to be, by their names.
using Threads = std::map<std::string, Expr>;

/// Visits the indices of one allocation, as functions of loops and threads: lets are
/// written out.
class Indices : public IRMutator {
protected:
  explicit Indices(std::string name) : name(std::move(name)) {}

  /// Another one for an index; `lanes` elements from there on are read or written.
  /// `whole` is undefined if it is not understood.
  virtual Expr replaced(const Expr &whole, const Expr &index, int lanes) = 0;

  /// The numbers of threads that are known here: Halide has put them in already.
  Threads known() const {
    Threads found;
    for (const auto &[thread, range] : ranges)
      if (range.first == range.second)
        found[thread] = int(range.first);
    return found;
  }

private:
  using IRMutator::visit;
  Expr visit(const Load *op) override {
    if (op->name != name)
      return IRMutator::visit(op);
    return Load::make(op->type, name, moved(op->index, op->type.lanes()), op->image,
                      op->param, op->predicate, ModulusRemainder());
  }
  Stmt visit(const Store *op) override {
    Expr value = mutate(op->value);
    if (op->name != name)
      return Store::make(op->name, value, mutate(op->index), op->param,
                         mutate(op->predicate), op->alignment);
    return Store::make(name, value, moved(op->index, value.type().lanes()), op->param,
                       op->predicate, ModulusRemainder());
  }
  /// Of vectors, only rows of neighbours are understood.
  Expr moved(const Expr &index, int lanes) {
    const Ramp *ramp = index.as<Ramp>();
    if (!ramp)
      return replaced(lanes == 1 ? written(index) : Expr(), index, 1);
    if (!ramp->base.type().is_scalar() || !is_const_one(ramp->stride))
      return replaced(Expr(), index, lanes);
    return Ramp::make(replaced(written(ramp->base), ramp->base, lanes), ramp->stride,
                      lanes);
  }

  Expr visit(const Let *op) override {
    Expr value = mutate(op->value);
    ScopedBinding<Expr> bound(lets, op->name, written(op->value));
    return Let::make(op->name, value, mutate(op->body));
  }
  Stmt visit(const LetStmt *op) override {
    Expr value = mutate(op->value);
    ScopedBinding<Expr> bound(lets, op->name, written(op->value));
    return LetStmt::make(op->name, value, mutate(op->body));
  }
  Expr written(const Expr &e) const {
    std::map<std::string, Expr> used;
    for (auto it = lets.cbegin(); it != lets.cend(); ++it)
      if (expr_uses_var(e, it.name()))
        used[it.name()] = it.value();
    return used.empty() ? e : substitute(used, e);
  }

  Stmt visit(const For *op) override {
    auto extent = as_const_int(op->extent);
    if (op->for_type != ForType::GPUThread || !is_const_zero(op->min) || !extent)
      return IRMutator::visit(op);
    ranges[op->name] = {0, *extent - 1};
    Stmt loop = IRMutator::visit(op);
    ranges.erase(op->name);
    return loop;
  }
  Stmt visit(const IfThenElse *op) override {
    const auto outer = ranges;
    learn(op->condition, true);
    Stmt then = mutate(op->then_case), otherwise;
    ranges = outer;
    if (op->else_case.defined()) {
      learn(op->condition, false);
      otherwise = mutate(op->else_case);
      ranges = outer;
    }
    return IfThenElse::make(mutate(op->condition), then, otherwise);
  }
  /// What a condition says of threads' numbers where it is met, or not met.
  void learn(const Expr &condition, bool isMet) {
    if (const Call *call = Call::as_intrinsic(
            condition, {Call::likely, Call::likely_if_innermost}))
      return learn(call->args[0], isMet);
    if (const Not *op = condition.as<Not>())
      return learn(op->a, !isMet);
    if (const And *op = condition.as<And>(); op && isMet) {
      learn(op->a, true);
      learn(op->b, true);
    }
    if (const Or *op = condition.as<Or>(); op && !isMet) {
      learn(op->a, false);
      learn(op->b, false);
    }
    // a < b is a + 1 <= b; if it is not met, b <= a.
    if (const LT *op = condition.as<LT>())
      isMet ? learnOrder(op->a, op->b, 1) : learnOrder(op->b, op->a, 0);
    if (const LE *op = condition.as<LE>())
      isMet ? learnOrder(op->a, op->b, 0) : learnOrder(op->b, op->a, 1);
    if (const EQ *op = condition.as<EQ>(); op && isMet) {
      learnOrder(op->a, op->b, 0);
      learnOrder(op->b, op->a, 0);
    }
  }
  /// less + gap <= more
  void learnOrder(const Expr &less, const Expr &more, int64_t gap) {
    const auto *low = less.as<Variable>(), *high = more.as<Variable>();
    auto least = as_const_int(less), most = as_const_int(more);
    if (low && most && ranges.count(low->name)) {
      auto &last = ranges[low->name].second;
      last = std::min(last, *most - gap);
    }
    if (high && least && ranges.count(high->name)) {
      auto &first = ranges[high->name].first;
      first = std::max(first, *least + gap);
    }
  }

  std::string name;
  Scope<Expr> lets;
  std::map<std::string, std::pair<int64_t, int64_t>> ranges;
};

/// Where a thread's part begins, and which elements of it are used: what is left of
/// an index without that, as a number or as a function of loops.
class Part {
public:
  Expr begin;

  bool isKnown() const { return begin.defined(); }
  /// Undefined if the index depends on the thread in another way.
  Expr within(const Expr &index, const Threads &known, const Threads &threads) const {
    Expr place = simplify(index - substitute(known, begin));
    for (const auto &[thread, first] : threads)
      if (expr_uses_var(place, thread))
        return Expr();
    return place;
  }
};

/// Finds where a thread's part begins: what most threads' numbers are used for.
class FindPart : public Indices {
public:
  FindPart(const std::string &name, const Threads &threads)
      : Indices(name), threads(threads) {}
  Part part;

private:
  Expr replaced(const Expr &whole, const Expr &index, int) override {
    if (!whole.defined() || whole.type() != Halide::Int(32))
      return index;
    int used = 0;
    for (const auto &[thread, first] : threads)
      used += expr_uses_var(whole, thread);
    if (used > most) {
      most = used;
      part.begin = simplify(whole - substitute(threads, whole));
    }
    return index;
  }

  const Threads &threads;
  int most = -1;
};

/// Sees whether all indices lie in the part, and which elements they are.
class Survey : public Indices {
public:
  Survey(const std::string &name, const Threads &threads, const Part &part)
      : Indices(name), threads(threads), part(part) {}

  bool isGood = true;
  /// If all of them are known.
  std::optional<std::set<int64_t>> elements = std::set<int64_t>();

private:
  Expr replaced(const Expr &whole, const Expr &index, int lanes) override {
    Expr place = isGood && whole.defined() ? part.within(whole, known(), threads) : Expr();
    isGood = place.defined();
    auto number = isGood ? as_const_int(place) : std::nullopt;
    if (!number)
      elements.reset();
    for (int i = 0; elements && i != lanes; ++i)
      elements->insert(*number + i);
    return index;
  }

  const Threads &threads;
  const Part &part;
};

/// Writes every index as one within the part; known elements are counted anew.
class Move : public Indices {
public:
  Move(const std::string &name, const Threads &threads, const Part &part,
       const std::optional<std::set<int64_t>> &elements)
      : Indices(name), threads(threads), part(part), isCounted(elements.has_value()) {
    if (elements)
      for (int64_t element : *elements)
        places.emplace(element, int(places.size()));
  }

private:
  Expr replaced(const Expr &whole, const Expr &, int) override {
    Expr place = part.within(whole, known(), threads);
    return isCounted ? Expr(places.at(*as_const_int(place))) : place;
  }

  const Threads &threads;
  const Part &part;
  bool isCounted;
  std::map<int64_t, int> places;
};

/// The loops over threads within a statement.
class ThreadsWithin : public IRVisitor {
public:
  Threads names;

private:
  using IRVisitor::visit;
  void visit(const For *op) override {
    if (op->for_type == ForType::GPUThread && is_const_zero(op->min))
      names[op->name] = 0;
    IRVisitor::visit(op);
  }
};

class KeepTiles : public IRMutator {
  using IRMutator::visit;
  Stmt visit(const Allocate *op) override {
    Stmt whole = IRMutator::visit(op);
    op = whole.as<Allocate>();
    if (!op || op->memory_type != Halide::MemoryType::Register)
      return whole;
    ThreadsWithin threads;
    op->body.accept(&threads);
    FindPart finder(op->name, threads.names);
    finder.mutate(op->body);
    if (!finder.part.isKnown())
      return whole;
    Survey survey(op->name, threads.names, finder.part);
    survey.mutate(op->body);
    if (!survey.isGood || !(survey.elements || !is_const_zero(finder.part.begin)))
      return whole;
    std::vector<Expr> extents = op->extents;
    if (survey.elements)
      extents = {int(survey.elements->size())};
    Move move(op->name, threads.names, finder.part, survey.elements);
    return Allocate::make(op->name, op->type, op->memory_type, extents, op->condition,
                          move.mutate(op->body), op->new_expr, op->free_function,
                          op->padding);
  }
};

} // namespace

void keepTilesInRegisters(Halide::Pipeline &pipeline) {
  pipeline.add_custom_lowering_pass(new KeepTiles);
}

} // namespace halcyon
