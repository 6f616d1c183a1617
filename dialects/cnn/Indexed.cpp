//===- Indexed.cpp - Operations written in index notation -----------------===//

#include "dialects/cnn/Indexed.h"
#include "dialects/cnn/IndexAnalysis.h"
#include "dialects/cnn/Map.h"
#include "dialects/cnn/Support.h"

using namespace mlir;

namespace halcyon::cnn {

/// What an element of a tensor is while it is computed with.
static Type scalarOf(Type element) {
  if (element.isBF16())
    return Float32Type::get(element.getContext());
  if (auto integer = dyn_cast<IntegerType>(element))
    return IntegerType::get(element.getContext(), integer.getWidth());
  return element;
}

/// The value that the region of an operation yields, or nothing.
static Value yielded(Region &region) {
  Block &block = region.front();
  auto yield = dyn_cast_or_null<YieldOp>(
      block.mightHaveTerminator() ? block.getTerminator() : nullptr);
  return yield && yield.getNumOperands() == 1 ? yield.getOperand(0) : Value();
}

static LogicalResult verifyBody(Operation *op, Region &region, unsigned indices,
                                Type result) {
  Block &block = region.front();
  if (block.getNumArguments() != indices ||
      !llvm::all_of(block.getArgumentTypes(),
                    [](Type type) { return type.isIndex(); }))
    return op->emitOpError("the region takes ") << indices << " indices";
  Value value = yielded(region);
  if (!value || value.getType() != result)
    return op->emitOpError("the region yields one ") << result;
  for (Operation &inner : block.without_terminator())
    if (!isa<arith::ArithDialect, math::MathDialect>(inner.getDialect()) &&
        !isa<ReadOp, ReduceOp>(inner))
      return inner.emitOpError("is not an operation on scalars");
  return success();
}

//===----------------------------------------------------------------------===//
// cnn.indexed
//===----------------------------------------------------------------------===//

LogicalResult IndexedOp::verify() {
  RankedTensorType type = tensorOf(getResult());
  if (type.getRank() > 8)
    return emitOpError("a tensor has 8 dimensions at most");
  for (auto [dim, size] : llvm::enumerate(type.getShape()))
    if (dim != 0 && ShapedType::isDynamic(size))
      return emitOpError("only the outermost size may be open");
  return verifyBody(*this, getBody(), type.getRank(),
                    scalarOf(type.getElementType()));
}

/// Operations on floating-point numbers, and comparisons.
static double countFlops(Block &block) {
  double count = 0;
  for (Operation &op : block.without_terminator())
    count += !isa<arith::ConstantOp, ReadOp, ReduceOp>(op) &&
             (isa<FloatType>(op.getResult(0).getType()) ||
              isa<arith::CmpFOp>(op));
  return count;
}

double IndexedOp::getFlops() {
  IndexAnalysis analysis(*this);
  Block &body = getBody().front();
  double flops = countFlops(body) * analysis.runs(&body);
  walk([&](ReduceOp reduce) {
    Block &inner = reduce.getBody().front();
    flops += (countFlops(inner) + 1) * analysis.runs(&inner);
  });
  return flops;
}

Window IndexedOp::getWindow() {
  Window window;
  RankedTensorType type = tensorOf(getResult());
  if (type.getRank() != 4 || getInputs().empty() ||
      tensorOf(getInputs().front()).getRank() != 4) {
    window.global = true;
    return window;
  }
  IndexAnalysis analysis(*this);
  std::optional<IndexRange> reach[2];
  walk([&](ReadOp read) {
    if (read.getOperand() != 0)
      return;
    for (unsigned axis : {0, 1}) {
      auto form = analysis.around(read.getAt()[axis + 2],
                                  getBody().getArgument(axis + 2));
      if (!form || form->first < 1 ||
          (reach[axis] && form->first != window.stride[axis])) {
        window.global = true;
        continue;
      }
      window.stride[axis] = form->first;
      IndexRange &all = reach[axis] ? *reach[axis] : reach[axis].emplace(form->second);
      all.least = std::min(all.least, form->second.least);
      all.most = std::max(all.most, form->second.most);
    }
  });
  if (window.global) {
    window = Window();
    window.global = true;
    return window;
  }
  for (unsigned axis : {0, 1})
    if (reach[axis]) {
      window.size[axis] = reach[axis]->count();
      window.pad[axis] = -reach[axis]->least;
    }
  return window;
}

/// The batch's index only picks the image that is read.
bool IndexedOp::isPerImage() {
  if (!hasBatches(*this))
    return false;
  Value image = getBody().getArgument(0);
  WalkResult apart = walk([&](Operation *op) {
    if (auto reduce = dyn_cast<ReduceOp>(op))
      return llvm::is_contained(reduce.getSize(), -1) ? WalkResult::interrupt()
                                                      : WalkResult::advance();
    auto read = dyn_cast<ReadOp>(op);
    const bool ofImage = read && !read.getTensorType().hasStaticShape();
    if (ofImage && read.getAt().front() != image)
      return WalkResult::interrupt();
    for (Value operand : op->getOperands().drop_front(ofImage ? 1 : 0))
      if (operand == image)
        return WalkResult::interrupt();
    return WalkResult::advance();
  });
  return !apart.wasInterrupted();
}

/// What comes before the operation is computed at every read, at most twice
/// for an element.
bool IndexedOp::takesPrologue() {
  if (getInputs().empty())
    return false;
  int64_t rank = tensorOf(getInputs().front()).getRank();
  if (rank != 2 && rank != 4)
    return false;
  IndexAnalysis analysis(*this);
  double reads = 0;
  walk([&](ReadOp read) {
    if (read.getOperand() == 0)
      reads += analysis.runs(read->getBlock());
  });
  return reads <= 2 * elementsPerImage(getInputs().front().getType());
}

//===----------------------------------------------------------------------===//
// cnn.read
//===----------------------------------------------------------------------===//

IndexedOp ReadOp::getIndexed() {
  return (*this)->getParentOfType<IndexedOp>();
}
Value ReadOp::getTensor() { return getIndexed().getInputs()[getOperand()]; }
RankedTensorType ReadOp::getTensorType() { return tensorOf(getTensor()); }

LogicalResult ReadOp::verify() {
  IndexedOp indexed = getIndexed();
  if (!indexed)
    return emitOpError("stands in a cnn.indexed");
  if (getOperand() >= indexed.getInputs().size())
    return emitOpError("there is no operand ") << getOperand();
  RankedTensorType type = getTensorType();
  if ((int64_t)getAt().size() != type.getRank())
    return emitOpError("an element of ")
           << type << " has " << type.getRank() << " coordinates";
  Type scalar = scalarOf(type.getElementType());
  if (getType() != scalar)
    return emitOpError("an element of ") << type << " is read as " << scalar;
  return success();
}

//===----------------------------------------------------------------------===//
// cnn.reduce
//===----------------------------------------------------------------------===//

int64_t ReduceOp::getCount() {
  int64_t count = 1;
  for (int64_t size : getSize()) {
    if (size < 0)
      return -1;
    count *= size;
  }
  return count;
}

LogicalResult ReduceOp::verify() {
  if (getFrom().size() != getSize().size() || getFrom().empty())
    return emitOpError("'from' and 'size' have a number for every index");
  for (auto [from, size] : llvm::zip(getFrom(), getSize()))
    if (size == 0 || size < -1 || (size < 0 && from != 0))
      return emitOpError("a size is a number above 0, or -1 for the batch, "
                         "which begins at 0");
  if (!getType().isIntOrFloat() ||
      (getKind() == ReduceKind::mean && !isa<FloatType>(getType())))
    return emitOpError("cannot give a ") << getType();
  return verifyBody(*this, getBody(), getFrom().size(), getType());
}

namespace {
/// What does not change within a reduction is computed before it, where equal
/// indices of several reductions become one.
struct HoistInvariant : OpRewritePattern<ReduceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ReduceOp reduce,
                                PatternRewriter &rewriter) const override {
    bool changed = false;
    Block &body = reduce.getBody().front();
    auto varies = [&](Operation *op) {
      return op->walk([&](Operation *inner) {
        for (Value operand : inner->getOperands())
          if (operand.getParentBlock() == &body)
            return WalkResult::interrupt();
        return WalkResult::advance();
      }).wasInterrupted();
    };
    for (Operation &op : llvm::make_early_inc_range(body.without_terminator()))
      if (isPure(&op) && !varies(&op)) {
        rewriter.moveOpBefore(&op, reduce);
        changed = true;
      }
    return success(changed);
  }
};
} // namespace

void ReduceOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                           MLIRContext *context) {
  patterns.add<HoistInvariant>(context);
}

void CnnDialect::registerIndexedOps() {
  addOperations<
#define GET_OP_LIST
#include "dialects/cnn/Indexed.cpp.inc"
      >();
}

} // namespace halcyon::cnn

#include "dialects/cnn/IndexedEnums.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/cnn/Indexed.cpp.inc"
