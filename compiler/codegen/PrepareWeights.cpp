//===- PrepareWeights.cpp - Evaluates a program's `prepare` ---------------===//

#include "compiler/codegen/PrepareWeights.h"
#include "dialects/cnn/CnnOps.h"
#include "dialects/cnn/Geometry.h"
#include "dialects/cnn/Rows.h"

using namespace mlir;

namespace halcyon {

namespace {

/// A value of `prepare`, in memory of its own or of the source.
struct Evaluated {
  std::vector<float> storage;
  ArrayRef<float> values;
};

class Evaluator {
public:
  Evaluator(const WeightSource &source) : source(source) {}

  /// The value, computed if it is not there yet. Large intermediate values are
  /// dropped by `release`.
  ArrayRef<float> get(Value value) {
    auto found = done.find(value);
    if (found != done.end())
      return found->second->values;
    auto evaluated = std::make_unique<Evaluated>();
    Operation *op = value.getDefiningOp();
    if (auto weight = dyn_cast<cnn::WeightOp>(op)) {
      evaluated->values = read(weight, evaluated->storage);
    } else {
      SmallVector<ArrayRef<float>> operands;
      for (Value operand : op->getOperands())
        operands.push_back(get(operand));
      evaluated->storage.resize(cnn::elementsOf(value.getType()));
      MutableArrayRef<float> result(evaluated->storage);
      if (failed(cast<cnn::WeightOpInterface>(op).evaluate(operands, result)))
        llvm::report_fatal_error("a weight operation failed");
      evaluated->values = evaluated->storage;
    }
    ArrayRef<float> values = evaluated->values;
    done[value] = std::move(evaluated);
    return values;
  }

  /// Drops a value, and what only it was computed from.
  void release(Value value) {
    if (--remaining[value] > 0)
      return;
    done.erase(value);
    if (Operation *op = value.getDefiningOp())
      for (Value operand : op->getOperands())
        release(operand);
  }

  void count(exec::FunctionOp prepare) {
    prepare.walk([&](Operation *op) {
      for (Value operand : op->getOperands())
        ++remaining[operand];
    });
  }

private:
  /// A parameter, or rows of one.
  ArrayRef<float> read(cnn::WeightOp weight, std::vector<float> &storage) const {
    SmallVector<int64_t> shape(cast<RankedTensorType>(weight.getType()).getShape());
    auto rows = weight->getAttrOfType<DenseI64ArrayAttr>(cnn::kRowsAttr);
    const int64_t count = shape[0];
    if (rows)
      shape[0] = rows[1];
    ArrayRef<float> all = source.read(weight.getName(), shape, storage);
    if (!rows)
      return all;
    const size_t row = all.size() / shape[0];
    return all.slice(rows[0] * row, count * row);
  }

  const WeightSource &source;
  llvm::DenseMap<Value, std::unique_ptr<Evaluated>> done;
  llvm::DenseMap<Value, int> remaining;
};

} // namespace

/// Hands out the values as they are stored: those of bf16 rounded.
static bool store(int64_t offset, Type type, ArrayRef<float> values,
                  llvm::function_ref<bool(int64_t, StringRef)> sink) {
  auto send = [&](auto items) {
    return sink(offset, StringRef(reinterpret_cast<const char *>(items.data()),
                                  items.size() * sizeof items[0]));
  };
  Type element = cast<RankedTensorType>(type).getElementType();
  if (element.isF32())
    return send(values);
  if (!element.isBF16())
    return send(elementsAs(values, element));
  std::vector<uint16_t> rounded(values.size());
  llvm::transform(values, rounded.begin(), cnn::toBf16);
  return send(ArrayRef(rounded));
}

bool prepareWeights(exec::ProgramOp program, const WeightSource &source,
                    unsigned part, unsigned parts,
                    llvm::function_ref<bool(int64_t, StringRef)> sink) {
  int64_t share = (program.getWeights() + parts - 1) / parts;
  for (auto prepare : program.getBody().front().getOps<exec::FunctionOp>()) {
    if (prepare.getSymName() != "prepare")
      continue;
    Evaluator evaluator(source);
    evaluator.count(prepare);
    for (auto op : prepare.getBody().front().getOps<exec::StoreOp>()) {
      if (int64_t(op.getOffset()) / share != part)
        continue;
      Value value = op.getValue();
      auto type = cast<RankedTensorType>(value.getType());
      auto weight = value.getDefiningOp<cnn::WeightOp>();
      // Numbers that are no f32 go straight from the source to the program.
      if (weight && !type.getElementType().isF32() && !cnn::isBf16(type)) {
        if (!sink(op.getOffset(), source.readAs(weight.getName(), type.getShape(),
                                                type.getElementType())))
          return false;
        continue;
      }
      if (!store(op.getOffset(), value.getType(), evaluator.get(value), sink))
        return false;
      evaluator.release(value);
    }
  }
  return true;
}

} // namespace halcyon
