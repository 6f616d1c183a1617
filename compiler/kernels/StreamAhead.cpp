//===- StreamAhead.cpp - What is on its way before it is needed -----------===//
//
// Halide's prefetch directive fetches a whole region at one point of a loop.
// Here it only marks the loop and gives the region's address; the lowered
// statement then gets, in its place, lines of the tile that comes next.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/StreamAhead.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"

namespace halcyon {

using namespace Halide::Internal;
using Halide::Expr;

namespace {

constexpr int kLine = 64;

/// Whether `loop` is the lowered name of a Func's loop variable.
bool isLoopOf(llvm::StringRef loop, const Halide::Func &func,
              llvm::StringRef var) {
  loop.consume_back(".rebased"); // Halide's loop from 0 instead of the Func's minimum
  return loop.consume_front(func.name() + ".s") && loop.ends_with(var) &&
         loop.drop_back(var.size()).ends_with(".");
}

/// The innermost loop of the update that is one.
const StreamLoop *placeOf(const StreamAhead &stream) {
  for (const StreamLoop &loop : llvm::reverse(stream.loops))
    if (loop.func.name() == stream.func.name() && loop.extent > 1)
      return &loop;
  return nullptr;
}

class StreamPass : public IRMutator {
public:
  StreamPass(std::vector<StreamAhead> streams, std::vector<TileAhead> tiles)
      : streams(std::move(streams)), tiles(std::move(tiles)) {}

private:
  struct Unmark;
  using IRMutator::visit;

  Stmt visit(const For *op) override {
    loops.push_back(op);
    Stmt result = IRMutator::visit(op);
    for (const StreamAhead &stream : streams)
      if (const StreamLoop *at = placeOf(stream))
        if (isLoopOf(op->name, at->func, at->var.name()))
          result = place(stream, result.as<For>());
    for (const TileAhead &tile : tiles)
      if (isLoopOf(op->name, tile.loop.func, tile.loop.var.name()))
        result = place(tile, result.as<For>());
    loops.pop_back();
    return result;
  }

  /// The loop with its mark taken out and the fetches put in.
  Stmt place(const StreamAhead &stream, const For *loop) {
    Unmark unmark(stream.weights.name());
    Stmt body = unmark.mutate(loop->body);
    if (!unmark.offset.defined())
      return loop;
    // The number of this iteration among all that the tile takes, and where
    // the tile begins.
    Expr step = 0, begin = unmark.offset;
    int count = 1;
    for (const StreamLoop &pass : stream.loops)
      for (const For *outer : loops)
        if (isLoopOf(outer->name, pass.func, pass.var.name())) {
          step = step * pass.extent +
                 (Variable::make(Halide::Int(32), outer->name) - outer->min);
          count *= pass.extent;
          if (pass.func.name() == stream.func.name())
            begin = substitute(outer->name, outer->min, begin);
        }
    int lines = std::max(1, (stream.tileBytes / kLine + count - 1) / count);
    const int line = kLine / unmark.type.bytes();
    Expr first = begin + stream.tilesAhead * (stream.tileBytes / unmark.type.bytes()) +
                 step * (lines * line);
    std::vector<int> places;
    for (int i = 0; i < lines; ++i)
      places.push_back(i * line);
    return fetch(loop, unmark, "stream.", first, places, body);
  }

  Stmt place(const TileAhead &tile, const For *loop) {
    Unmark unmark(tile.input.name());
    Stmt body = unmark.mutate(loop->body);
    if (!unmark.offset.defined())
      return loop;
    return fetch(loop, unmark, "ahead.", unmark.offset, tile.lines, body);
  }

  /// The loop with `body`, which first fetches lines so many elements behind `first`.
  static Stmt fetch(const For *loop, const Unmark &mark, std::string name,
                    Expr first, const std::vector<int> &places, Stmt body) {
    name += mark.buffer;
    Expr firstLine = Variable::make(Halide::Int(32), name);
    const int line = kLine / mark.type.bytes();
    Stmt fetches;
    for (int place : llvm::reverse(places)) {
      Stmt fetch = Evaluate::make(
          Call::make(mark.type, Call::prefetch, {mark.base, firstLine + place, 1, line},
                     Call::Intrinsic));
      fetches = fetches.defined() ? Block::make(fetch, fetches) : fetch;
    }
    body = Block::make(LetStmt::make(name, simplify(first), fetches), body);
    return For::make(loop->name, loop->min, loop->extent, loop->for_type,
                     loop->partition_policy, loop->device_api, body);
  }

  /// Removes the directive's own loops and keeps the address of their first line.
  struct Unmark : IRMutator {
    explicit Unmark(std::string buffer) : buffer(std::move(buffer)) {}
    std::string buffer;
    Expr base, offset;
    Halide::Type type;

    using IRMutator::visit;
    Stmt visit(const Evaluate *op) override {
      const Call *call = Call::as_intrinsic(op->value, {Call::prefetch});
      const auto *variable = call ? call->args[0].as<Variable>() : nullptr;
      if (!variable || variable->name != buffer)
        return op;
      base = call->args[0];
      offset = call->args[1];
      type = call->type;
      return Evaluate::make(0);
    }
    Stmt visit(const For *op) override {
      bool had = offset.defined();
      Stmt body = mutate(op->body);
      if (had || !offset.defined())
        return op->body.same_as(body)
                   ? Stmt(op)
                   : For::make(op->name, op->min, op->extent, op->for_type,
                               op->partition_policy, op->device_api, body);
      offset = substitute(op->name, op->min, offset);
      return Evaluate::make(0);
    }
    Stmt visit(const LetStmt *op) override {
      bool had = offset.defined();
      Stmt result = IRMutator::visit(op);
      if (!had && offset.defined())
        offset = substitute(op->name, op->value, offset);
      return result;
    }
  };

  std::vector<StreamAhead> streams;
  std::vector<TileAhead> tiles;
  std::vector<const For *> loops;
};

} // namespace

bool markStream(const StreamAhead &stream) {
  const StreamLoop *at = placeOf(stream);
  if (!at)
    return false;
  Halide::Func func = stream.func;
  func.update().prefetch(stream.weights, at->var, at->var, 0,
                         Halide::PrefetchBoundStrategy::NonFaulting);
  return true;
}

bool markTile(const TileAhead &tile) {
  if (tile.loop.extent < 2)
    return false;
  Halide::Func func = tile.loop.func;
  const Halide::VarOrRVar &var = tile.loop.var;
  const auto strategy = Halide::PrefetchBoundStrategy::NonFaulting;
  if (func.has_update_definition())
    func.update().prefetch(tile.input, var, var, 0, strategy);
  else
    func.prefetch(tile.input, var, var, 0, strategy);
  return true;
}

IRMutator *makeStreamPass(std::vector<StreamAhead> streams,
                          std::vector<TileAhead> tiles) {
  return new StreamPass(std::move(streams), std::move(tiles));
}

} // namespace halcyon
