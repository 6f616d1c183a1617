//===- IndexAnalysis.cpp - What is known of indices -----------------------===//

#include "dialects/cnn/IndexAnalysis.h"
#include "dialects/cnn/Support.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace halcyon::cnn {

std::optional<int64_t> constantIndex(Value index) {
  APInt value;
  if (index && matchPattern(index, m_ConstantInt(&value)))
    return value.getSExtValue();
  return std::nullopt;
}

static int64_t bounded(int64_t value) {
  return std::clamp(value, -IndexRange::kFar, IndexRange::kFar);
}

/// The bounds of a monotone function of two ranges.
template <typename Function>
static IndexRange corners(IndexRange a, IndexRange b, Function f) {
  int64_t values[] = {f(a.least, b.least), f(a.least, b.most),
                      f(a.most, b.least), f(a.most, b.most)};
  return {bounded(*std::min_element(values, values + 4)),
          bounded(*std::max_element(values, values + 4))};
}

static int64_t product(int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_mul_overflow(a, b, &result))
    return (a < 0) == (b < 0) ? IndexRange::kFar : -IndexRange::kFar;
  return result;
}

static int64_t floorDivide(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/// a - floor(a / n) * n, which is how a remainder is written.
static std::optional<int64_t> matchRemainder(arith::SubIOp sub) {
  auto times = sub.getRhs().getDefiningOp<arith::MulIOp>();
  auto quotient =
      times ? times.getLhs().getDefiningOp<arith::FloorDivSIOp>() : nullptr;
  if (!quotient || quotient.getLhs() != sub.getLhs() ||
      quotient.getRhs() != times.getRhs())
    return std::nullopt;
  std::optional<int64_t> n = constantIndex(times.getRhs());
  return n && *n > 0 ? n : std::nullopt;
}

IndexRange IndexAnalysis::compute(Value index) {
  if (auto argument = dyn_cast<BlockArgument>(index)) {
    unsigned number = argument.getArgNumber();
    Operation *parent = argument.getOwner()->getParentOp();
    if (auto reduce = dyn_cast<ReduceOp>(parent)) {
      int64_t from = reduce.getFrom()[number], size = reduce.getSize()[number];
      return {from, size < 0 ? IndexRange::kFar : from + size - 1};
    }
    int64_t size = tensorOf(op.getResult()).getDimSize(number);
    return {0, ShapedType::isDynamic(size) ? IndexRange::kFar : size - 1};
  }
  Operation *maker = index.getDefiningOp();
  if (std::optional<int64_t> constant = constantIndex(index))
    return {*constant, *constant};
  auto operand = [&](unsigned i) { return range(maker->getOperand(i)); };
  if (isa<arith::AddIOp>(maker))
    return corners(operand(0), operand(1),
                   [](int64_t a, int64_t b) { return a + b; });
  if (auto sub = dyn_cast<arith::SubIOp>(maker)) {
    if (std::optional<int64_t> n = matchRemainder(sub)) {
      IndexRange whole = operand(0);
      return whole.within(*n) ? whole : IndexRange{0, *n - 1};
    }
    return corners(operand(0), operand(1),
                   [](int64_t a, int64_t b) { return a - b; });
  }
  if (isa<arith::MulIOp>(maker))
    return corners(operand(0), operand(1), product);
  if (isa<arith::FloorDivSIOp>(maker) && operand(1).least > 0)
    return corners(operand(0), operand(1), floorDivide);
  if (isa<arith::MinSIOp>(maker))
    return corners(operand(0), operand(1),
                   [](int64_t a, int64_t b) { return std::min(a, b); });
  if (isa<arith::MaxSIOp>(maker))
    return corners(operand(0), operand(1),
                   [](int64_t a, int64_t b) { return std::max(a, b); });
  if (isa<arith::SelectOp>(maker)) {
    IndexRange yes = operand(1), no = operand(2);
    return {std::min(yes.least, no.least), std::max(yes.most, no.most)};
  }
  return {};
}

IndexRange IndexAnalysis::range(Value index) {
  auto known = ranges.find(index);
  if (known != ranges.end())
    return known->second;
  IndexRange result = compute(index);
  ranges[index] = result;
  return result;
}

bool IndexAnalysis::runsThroughBatch(Value index) {
  auto argument = dyn_cast<BlockArgument>(index);
  if (!argument)
    return false;
  unsigned number = argument.getArgNumber();
  Operation *parent = argument.getOwner()->getParentOp();
  if (auto reduce = dyn_cast<ReduceOp>(parent))
    return reduce.getFrom()[number] == 0 && reduce.getSize()[number] < 0;
  return tensorOf(op.getResult()).isDynamicDim(number);
}

bool IndexAnalysis::readsData(Value value) {
  Operation *maker = value.getDefiningOp();
  if (!maker)
    return false;
  if (isa<ReadOp, ReduceOp>(maker))
    return true;
  auto known = data.find(value);
  if (known != data.end())
    return known->second;
  bool result = llvm::any_of(maker->getOperands(),
                             [&](Value operand) { return readsData(operand); });
  data[value] = result;
  return result;
}

const IndexAnalysis::Blocks &IndexAnalysis::dependencies(Value value) {
  if (auto known = dependent.find(value); known != dependent.end())
    return *known->second;
  auto result = std::make_unique<Blocks>();
  auto add = [&](Value part) {
    const Blocks &more = dependencies(part);
    result->insert(more.begin(), more.end());
  };
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    result->insert(argument.getOwner());
  } else {
    Operation *maker = value.getDefiningOp();
    for (Value operand : maker->getOperands())
      add(operand);
    if (auto reduce = dyn_cast<ReduceOp>(maker)) {
      add(reduce.getYielded());
      result->erase(&reduce.getBody().front());
    }
  }
  return *(dependent[value] = std::move(result));
}

bool IndexAnalysis::dependsOn(Value value, Block *block) {
  return dependencies(value).contains(block);
}

Value IndexAnalysis::narrowest(Value index) {
  while (Operation *maker = index.getDefiningOp()) {
    // A function of one other index: all its operands but one are constant.
    Value only;
    for (Value operand : maker->getOperands()) {
      if (constantIndex(operand))
        continue;
      if (only && only != operand)
        return index;
      only = operand;
    }
    if (!only || !only.getType().isIndex() ||
        range(only).count() > range(index).count())
      return index;
    index = only;
  }
  return index;
}

void IndexAnalysis::addKeys(Value value, SmallVectorImpl<Value> &keys) {
  if (constantIndex(value))
    return;
  // An index that could be anything is none to compute a value for each of.
  if (isa<BlockArgument>(value) ||
      (value.getType().isIndex() && !readsData(value) &&
       range(value).isBounded())) {
    Value key = narrowest(value);
    if (!llvm::is_contained(keys, key))
      keys.push_back(key);
    return;
  }
  Operation *maker = value.getDefiningOp();
  if (auto reduce = dyn_cast<ReduceOp>(maker)) {
    for (Value key : SmallVector<Value>(this->keys(reduce)))
      addKeys(key, keys);
    return;
  }
  for (Value operand : maker->getOperands())
    addKeys(operand, keys);
}

ArrayRef<Value> IndexAnalysis::keys(ReduceOp reduce) {
  if (auto known = found.find(reduce); known != found.end())
    return known->second;
  Block *block = &reduce.getBody().front();
  SmallVector<Value> keys;
  llvm::SetVector<Value> pending;
  pending.insert(reduce.getYielded());
  for (unsigned next = 0; next < pending.size(); ++next) {
    Value value = pending[next];
    if (!dependsOn(value, block)) {
      // An argument of a reduction inside is no key of this one.
      auto argument = dyn_cast<BlockArgument>(value);
      if (!argument || !block->getParentOp()->isProperAncestor(
                           argument.getOwner()->getParentOp())) {
        bool inner = false;
        for (Block *other : dependencies(value))
          inner |= block->getParentOp()->isProperAncestor(other->getParentOp());
        if (!inner) {
          addKeys(value, keys);
          continue;
        }
      }
    }
    if (Operation *maker = value.getDefiningOp()) {
      for (Value operand : maker->getOperands())
        pending.insert(operand);
      if (auto inner = dyn_cast<ReduceOp>(maker))
        pending.insert(inner.getYielded());
    }
  }
  // Those of the result first, in its order.
  llvm::stable_sort(keys, [&](Value a, Value b) {
    auto place = [&](Value key) -> unsigned {
      auto argument = dyn_cast<BlockArgument>(key);
      return argument && argument.getOwner()->getParentOp() == op
                 ? argument.getArgNumber()
                 : 64;
    };
    return place(a) < place(b);
  });
  found[reduce] = keys;
  return found[reduce];
}

double IndexAnalysis::instances(ReduceOp reduce) {
  double count = 1;
  for (Value key : keys(reduce))
    if (!runsThroughBatch(key))
      count *= (double)range(key).count();
  return count;
}

double IndexAnalysis::runs(Block *block) {
  if (auto reduce = dyn_cast<ReduceOp>(block->getParentOp())) {
    double count = instances(reduce);
    for (int64_t size : reduce.getSize())
      count *= size < 0 ? 1 : (double)size;
    return count;
  }
  double count = 1;
  for (int64_t size : tensorOf(op.getResult()).getShape())
    count *= ShapedType::isDynamic(size) ? 1 : (double)size;
  return count;
}

std::optional<std::pair<int64_t, IndexRange>>
IndexAnalysis::around(Value index, Value x) {
  if (index == x)
    return std::pair(int64_t(1), IndexRange{0, 0});
  Operation *maker = index.getDefiningOp();
  if (!maker || constantIndex(index))
    return std::pair(int64_t(0), range(index));
  bool sum = isa<arith::AddIOp>(maker), difference = isa<arith::SubIOp>(maker);
  SmallVector<std::pair<int64_t, IndexRange>> parts;
  bool apart = true;
  for (Value operand : maker->getOperands()) {
    auto part = around(operand, x);
    if (!part)
      return std::nullopt;
    apart &= part->first == 0;
    parts.push_back(*part);
  }
  if (apart)
    return std::pair(int64_t(0), range(index));
  if (sum || difference) {
    auto [f, r] = parts[0];
    auto [g, s] = parts[1];
    if (sum)
      return std::pair(f + g, IndexRange{r.least + s.least, r.most + s.most});
    return std::pair(f - g, IndexRange{r.least - s.most, r.most - s.least});
  }
  if (isa<arith::MulIOp>(maker))
    for (unsigned i : {0, 1})
      if (auto by = constantIndex(maker->getOperand(i)); by && *by >= 0) {
        auto [f, r] = parts[1 - i];
        return std::pair(f * *by, IndexRange{r.least * *by, r.most * *by});
      }
  return std::nullopt;
}

} // namespace halcyon::cnn
