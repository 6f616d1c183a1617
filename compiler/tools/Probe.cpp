//===- Probe.cpp - A network whose inside can be looked at ----------------===//

#include "compiler/tools/Probe.h"
#include "compiler/codegen/Cache.h"
#include "compiler/passes/TrainingMaps.h"

#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Program.h"

#include <unistd.h>

using namespace mlir;
using llvm::ArrayRef;
using llvm::StringRef;

namespace halcyon {

Numbers Numbers::zeros(std::vector<int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return {std::move(shape), std::vector<float>(count)};
}

bool writeNumbers(const std::string &path, const NamedNumbers &numbers) {
  llvm::json::Object header;
  int64_t offset = 0;
  std::string data;
  for (const auto &[name, tensor] : numbers) {
    int64_t bytes = tensor.count() * sizeof(float);
    header[name] =
        llvm::json::Object{{"dtype", "F32"},
                           {"shape", llvm::json::Array(tensor.shape)},
                           {"data_offsets", llvm::json::Array{offset, offset + bytes}}};
    data.append(reinterpret_cast<const char *>(tensor.values.data()), bytes);
    offset += bytes;
  }
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(header));
  text.append(-text.size() & 7, ' ');
  char length[8];
  llvm::support::endian::write64le(length, text.size());
  return writeWhole(path, std::string(length, 8) + text + data) ||
         fail("can't write " + path + ": " + strerror(errno));
}

Probe::~Probe() {
  if (!program.empty())
    unlink(program.c_str());
}

bool Probe::begin() {
  auto models = driver.module->getOps<cnn::ModelOp>();
  if (models.empty())
    return fail("the file has no model");
  model = *models.begin();
  SmallVector<cnn::InputOp> inputs(model.getBody().front().getOps<cnn::InputOp>());
  auto type = inputs.size() == 1
                  ? dyn_cast<RankedTensorType>(inputs[0].getResult().getType())
                  : RankedTensorType();
  if (!type || type.getRank() != 4 || !type.getElementType().isF32())
    return fail("the model is to have one input, N x C x H x W, to look at what "
                "it does with pictures");
  input = inputs[0];
  inputName = input.getName().str();
  sizes.assign(type.getShape().begin() + 1, type.getShape().end());
  for (Operation &op : model.getBody().front()) {
    if (!isa<cnn::ComputeOpInterface>(op))
      continue;
    auto made = dyn_cast<RankedTensorType>(op.getResult(0).getType());
    std::string path = cnn::layerLocation(op.getLoc()).path;
    if (!made || !made.getElementType().isF32() || made.getRank() < 2 || path.empty())
      continue;
    auto function = op.getAttrOfType<StringAttr>("function");
    all.push_back({path,
                   (function ? function.getValue() : op.getName().stripDialect()).str(),
                   op.getResult(0),
                   {made.getShape().begin() + 1, made.getShape().end()}});
  }
  SmallVector<cnn::OutputOp> outputs(model.getBody().front().getOps<cnn::OutputOp>());
  for (cnn::OutputOp output : outputs) {
    auto made = llvm::find_if(
        all, [&](const ProbedLayer &l) { return l.value == output.getValue(); });
    if (!result && made != all.end()) {
      result = &*made;
      labelText = output.getLabels().value_or("").str();
    }
    output.erase();
  }
  return result || fail("the model computes no output");
}

const ProbedLayer *Probe::find(StringRef path) const {
  for (const ProbedLayer &layer : llvm::reverse(all))
    if (layer.path == path)
      return &layer;
  return nullptr;
}

std::string Probe::show(Value value, StringRef path) {
  OpBuilder end = OpBuilder::atBlockEnd(&model.getBody().front());
  std::string name = "value:" + path.str();
  cnn::OutputOp::create(end, value.getLoc(), value, end.getStringAttr(name), nullptr);
  return name;
}

static cnn::InputOp addInput(cnn::ModelOp model, Location loc, Type type,
                             StringRef name) {
  OpBuilder start(&model.getBody().front(), model.getBody().front().begin());
  return cnn::InputOp::create(start, loc, type, start.getStringAttr(name),
                              DictionaryAttr());
}

/// y + zero, of which the gradient is that of y.
std::string Probe::watch(const ProbedLayer &layer) {
  Value y = layer.value;
  std::string name = "zero:" + layer.path;
  auto zero = addInput(model, y.getLoc(), y.getType(), name);
  zero->setAttr(cnn::kWrtAttr, UnitAttr::get(model.getContext()));
  OpBuilder builder(model.getContext());
  builder.setInsertionPointAfterValue(y);
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : y.getUses())
    uses.push_back(&use);
  Value sum = addMaps(builder, zero.getResult(), y);
  for (OpOperand *use : uses)
    use->set(sum);
  for (ProbedLayer &other : all)
    if (other.value == y)
      other.value = sum;
  zeros[name] = layer.sizes;
  return "grad:" + name;
}

/// The sum over the channels of mix[n, c] times the mean, or the middle element,
/// of y[n, c].
static Value weighed(OpBuilder &builder, Value y, Value mix, Probe::Element element) {
  Location loc = y.getLoc();
  auto type = cnn::tensorOf(y);
  auto one = RankedTensorType::get({type.getDimSize(0), 1}, type.getElementType());
  auto indexed = cnn::IndexedOp::create(builder, loc, one, "aim", ValueRange{y, mix});
  Type number = type.getElementType(), index = builder.getIndexType();
  OpBuilder::InsertionGuard guard(builder);
  Block *body = builder.createBlock(&indexed.getBody(), {}, {index, index}, {loc, loc});
  auto sum = cnn::ReduceOp::create(builder, loc, number, cnn::ReduceKind::sum,
                                   ArrayRef<int64_t>{0}, type.getDimSize(1));
  {
    OpBuilder::InsertionGuard inside(builder);
    Block *terms = builder.createBlock(&sum.getBody(), {}, {index}, {loc});
    SmallVector<Value> at = {body->getArgument(0), terms->getArgument(0)};
    Value weight =
        cnn::ReadOp::create(builder, loc, number, 1, at, cnn::PadMode::zero);
    ArrayRef<int64_t> plane = type.getShape().drop_front(2);
    Value read;
    if (element == Probe::Element::Middle || plane.empty()) {
      for (int64_t size : plane)
        at.push_back(arith::ConstantIndexOp::create(builder, loc, size / 2));
      read = cnn::ReadOp::create(builder, loc, number, 0, at, cnn::PadMode::zero);
    } else {
      auto mean =
          cnn::ReduceOp::create(builder, loc, number, cnn::ReduceKind::mean,
                                SmallVector<int64_t>(plane.size(), 0), plane);
      OpBuilder::InsertionGuard deeper(builder);
      Block *cells =
          builder.createBlock(&mean.getBody(), {}, SmallVector<Type>(plane.size(), index),
                              SmallVector<Location>(plane.size(), loc));
      llvm::append_range(at, cells->getArguments());
      Value cell = cnn::ReadOp::create(builder, loc, number, 0, at, cnn::PadMode::zero);
      cnn::YieldOp::create(builder, loc, cell);
      read = mean.getResult();
    }
    builder.setInsertionPointToEnd(terms);
    Value term = arith::MulFOp::create(builder, loc, weight, read);
    cnn::YieldOp::create(builder, loc, term);
  }
  cnn::YieldOp::create(builder, loc, sum.getResult());
  return indexed.getResult();
}

std::string Probe::aim(const ProbedLayer &layer, Element element) {
  std::string name = "mix:" + layer.path;
  auto type = cnn::tensorOf(layer.value);
  auto mix = addInput(model, layer.value.getLoc(),
                      RankedTensorType::get(type.getShape().take_front(2),
                                            type.getElementType()),
                      name);
  OpBuilder end = OpBuilder::atBlockEnd(&model.getBody().front());
  loss = addMaps(end, loss, weighed(end, layer.value, mix.getResult(), element));
  zeros[name] = {layer.sizes[0]};
  return name;
}

bool Probe::compile() {
  if (loss) {
    OpBuilder end = OpBuilder::atBlockEnd(&model.getBody().front());
    cnn::OutputOp::create(end, loss.getLoc(), loss, end.getStringAttr("loss"), nullptr);
    input->setAttr(cnn::kWrtAttr, UnitAttr::get(model.getContext()));
    if (!driver.differentiateForProbe())
      return false;
  }
  llvm::SmallString<128> path;
  int file;
  if (llvm::sys::fs::createUniqueFile(cacheFolder() + "/probe-%%%%%%%%", file, path))
    return fail("can't make a temporary program in " + cacheFolder());
  close(file);
  program = path.str().str();
  ProgramOptions how;
  how.output = program;
  how.kernels.progress = true;
  return driver.optimize() && driver.chooseKernels() && driver.lower() &&
         driver.makeProgram(how);
}

bool Probe::run(int64_t batch, StringRef picture, const NamedNumbers &given,
                ArrayRef<std::string> wanted, NamedNumbers &results) {
  NamedNumbers inputs = given;
  for (const auto &[name, shape] : zeros) {
    std::vector<int64_t> whole = {batch};
    whole.insert(whole.end(), shape.begin(), shape.end());
    inputs.try_emplace(name, Numbers::zeros(whole));
  }
  std::string in = program + ".in.safetensors";
  llvm::FileRemover removeIn(in);
  if (!writeNumbers(in, inputs))
    return false;
  std::vector<std::string> args = {program};
  for (const auto &[name, tensor] : inputs)
    args.insert(args.end(), {"--input", name + "=" + in});
  if (!picture.empty())
    args.insert(args.end(), {"--input", inputName + "=" + picture.str()});
  // An output may be large, and not be looked at.
  std::vector<std::string> files;
  for (const std::string &name : wanted) {
    files.push_back(program + ".out" + std::to_string(files.size()) + ".safetensors");
    args.insert(args.end(), {"--output", name + "=" + files.back()});
  }
  SmallVector<StringRef> argv(args.begin(), args.end());
  std::string error;
  llvm::outs().flush();
  int status = llvm::sys::ExecuteAndWait(program, argv, std::nullopt, {}, 0, 0, &error);
  bool good = status == 0;
  if (!error.empty())
    fail(error);
  for (auto [name, path] : llvm::zip(wanted, files)) {
    auto file = good ? openWeights(path, error) : nullptr;
    std::optional<std::vector<int64_t>> shape;
    if (file)
      shape = file->shapeOf(name);
    if (good && !shape)
      good = fail("can't read " + path + ": " + error);
    if (shape) {
      std::vector<float> storage;
      ArrayRef<float> values = file->read(name, *shape, storage);
      results[name] = {*shape, {values.begin(), values.end()}};
    }
    unlink(path.c_str());
  }
  return good;
}

} // namespace halcyon
