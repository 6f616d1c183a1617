//===- LowerToExec.cpp - Models become kernel calls -----------------------===//

#include "compiler/kernels/Cost.h"
#include "compiler/passes/AssignLayout.h"
#include "compiler/passes/Passes.h"
#include "dialects/cnn/Support.h"
#include "dialects/cnn/Train.h"
#include "dialects/exec/Exec.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/SHA1.h"

using namespace mlir;

namespace halcyon {
#define GEN_PASS_DEF_LOWERTOEXEC
#include "compiler/passes/Passes.h.inc"

namespace {

/// Where a value lies: a buffer, and the first channel of it that is its own.
struct Home {
  enum { Arena, Input, Output } space = Arena;
  int64_t index = 0; ///< buffer, input or output
  int64_t bytes = 0; ///< Arena: of the whole buffer, per image
  int64_t channel = 0;
};

class ProgramWriter {
public:
  ProgramWriter(cnn::ModelOp model, const Target &target)
      : model(model), target(target), builder(model) {}

  void run();

private:
  void writeWeights();
  void writePorts(SmallVectorImpl<Attribute> &inputs,
                  SmallVectorImpl<Attribute> &outputs);
  void placeValues();
  void writeCall(cnn::FusedOp fused);
  void writeImage(cnn::InputOp input, int64_t index);
  Value view(Value value, Location loc);
  StringRef kernelFor(Block &body, cnn::ScheduleAttr schedule, StringRef anchor);
  exec::FunctionOp makeFunction(StringRef name);
  int64_t alignUp(int64_t bytes) const {
    return llvm::alignTo(bytes, target.alignment);
  }

  cnn::ModelOp model;
  const Target &target;
  OpBuilder builder;
  exec::ProgramOp program;
  llvm::DenseMap<Value, Home> homes;
  llvm::DenseMap<Value, int64_t> weights; ///< byte offsets
  llvm::StringMap<std::string> kernels;   ///< text to symbol
  int64_t buffers = 0;
};

} // namespace

void ProgramWriter::run() {
  SmallVector<Attribute> inputs, outputs;
  writePorts(inputs, outputs);
  program = exec::ProgramOp::create(builder, model.getLoc(), model.getSymName(),
                                    0, 0, 0, 0, 0, builder.getArrayAttr(inputs),
                                    builder.getArrayAttr(outputs));
  if (auto batch = model->getAttrOfType<IntegerAttr>(cnn::kFixedAttr))
    program->setAttr("only_batch", batch);
  builder.createBlock(&program.getBody());
  placeValues();
  writeWeights();
  exec::FunctionOp infer = makeFunction("infer");
  for (auto fused : model.getBody().front().getOps<cnn::FusedOp>()) {
    builder.setInsertionPointToEnd(&infer.getBody().front());
    writeCall(fused);
  }
  int64_t index = 0;
  for (auto input : model.getBody().front().getOps<cnn::InputOp>())
    writeImage(input, index++);
  model.erase();
}

exec::FunctionOp ProgramWriter::makeFunction(StringRef name) {
  builder.setInsertionPointToEnd(&program.getBody().front());
  auto function = exec::FunctionOp::create(builder, model.getLoc(), name);
  builder.createBlock(&function.getBody());
  return function;
}

void ProgramWriter::writePorts(SmallVectorImpl<Attribute> &inputs,
                               SmallVectorImpl<Attribute> &outputs) {
  auto port = [&](StringRef name, Type type) {
    auto tensor = cast<RankedTensorType>(type);
    SmallVector<NamedAttribute> entries;
    entries.push_back(builder.getNamedAttr("name", builder.getStringAttr(name)));
    entries.push_back(builder.getNamedAttr(
        "type", TypeAttr::get(RankedTensorType::get(tensor.getShape(),
                                                    tensor.getElementType()))));
    return entries;
  };
  for (Operation &op : model.getBody().front()) {
    if (auto input = dyn_cast<cnn::InputOp>(op)) {
      auto entries = port(input.getName(), input.getType());
      if (auto image = input.getImage())
        entries.push_back(builder.getNamedAttr("image", *image));
      homes[input.getResult()] = {Home::Input, (int64_t)inputs.size()};
      inputs.push_back(builder.getDictionaryAttr(entries));
    } else if (auto output = dyn_cast<cnn::OutputOp>(op)) {
      auto entries = port(output.getName(), output.getValue().getType());
      if (auto labels = output.getLabelsAttr())
        entries.push_back(builder.getNamedAttr("labels", labels));
      if (auto counted = output->getAttr("counted"))
        entries.push_back(builder.getNamedAttr("counted", counted));
      auto fused = output.getValue().getDefiningOp<cnn::FusedOp>();
      if (fused && Group(fused.getBody().front()).anchorAs<cnn::SoftmaxOp>())
        entries.push_back(builder.getNamedAttr("softmax", builder.getUnitAttr()));
      homes[output.getValue()] = {Home::Output, (int64_t)outputs.size()};
      outputs.push_back(builder.getDictionaryAttr(entries));
    }
  }
}

/// Decides which buffer every value lies in, from users to producers, so that
/// an output's place reaches the slices and reshaped values that make it up.
void ProgramWriter::placeValues() {
  llvm::DenseMap<int64_t, Home> shared; // the buffers of concatenations
  for (Operation &op : llvm::reverse(model.getBody().front())) {
    // An output of a flat value is an output of what it is made of.
    if (auto flatten = dyn_cast<cnn::FlattenOp>(op))
      if (auto home = homes.find(flatten.getResult()); home != homes.end())
        homes[flatten.getX()] = Home(home->second);
    if (!isa<cnn::FusedOp, cnn::ConcatOp>(op))
      continue;
    for (Value other : op.getResults().drop_front())
      homes.try_emplace(other, Home{Home::Arena, buffers++,
                                    alignUp(cnn::bytesOf(other.getType())), 0});
    Value value = op.getResult(0);
    auto place = [&]() -> Home {
      auto found = homes.find(value);
      if (found != homes.end())
        return found->second;
      return {Home::Arena, buffers++,
              alignUp(cnn::bytesOf(value.getType())), 0};
    };
    if (auto buffer = op.getAttrOfType<IntegerAttr>("buffer")) {
      auto found = shared.find(buffer.getInt());
      Home home = found != shared.end() ? found->second : place();
      shared.insert({buffer.getInt(), home});
      home.channel = op.getAttrOfType<IntegerAttr>("at").getInt();
      homes[value] = home;
    } else {
      homes[value] = place();
    }
  }
  // What is flattened for free lies where the value lies that it is made of.
  for (auto flatten : model.getBody().front().getOps<cnn::FlattenOp>())
    homes[flatten.getResult()] = homes.lookup(flatten.getX());
}

/// A window on the value's buffer, in the caller's tensors or the arena.
Value ProgramWriter::view(Value value, Location loc) {
  auto weight = weights.find(value);
  if (weight != weights.end())
    return exec::WeightsOp::create(builder, loc, value.getType(),
                                   weight->second);
  Home home = homes.lookup(value);
  if (home.space == Home::Input)
    return exec::InputOp::create(builder, loc, value.getType(), home.index);
  int64_t offset = 0;
  if (home.channel) {
    cnn::BufferGeometry geometry = cnn::geometryOf(value.getType());
    cnn::LayoutAttr layout = cnn::layoutOf(value.getType());
    if (layout.getOrder() == "nhwc")
      offset = home.channel;
    else
      offset = home.channel / layout.getBlock() *
               geometry.dims[layout.isBlocked() ? 3 : 2].stride;
    offset *= cnn::elementBytes(value.getType());
  }
  if (home.space == Home::Output)
    return exec::OutputOp::create(builder, loc, value.getType(), home.index,
                                  offset);
  return exec::ArenaOp::create(builder, loc, value.getType(), home.index,
                               home.bytes, offset, -1, nullptr, nullptr);
}

/// Clones what makes up the weights into `prepare`, each stored once.
void ProgramWriter::writeWeights() {
  exec::FunctionOp prepare = makeFunction("prepare");
  builder.setInsertionPointToEnd(&prepare.getBody().front());
  IRMapping mapping;
  int64_t offset = 0;
  for (Operation &op : model.getBody().front())
    if (isa<cnn::WeightOp>(op) || isa<cnn::WeightOpInterface>(op))
      builder.clone(op, mapping);
  for (auto fused : model.getBody().front().getOps<cnn::FusedOp>())
    for (Value operand : fused.getInputs()) {
      Value made = mapping.lookupOrNull(operand);
      if (!made || !weights.insert({operand, offset}).second)
        continue;
      exec::StoreOp::create(builder, operand.getLoc(), made, offset);
      offset = alignUp(offset + cnn::bytesOf(operand.getType()));
    }
  program.setWeights(offset);
}

/// The kernel of a group: equal groups share one, named by its content.
StringRef ProgramWriter::kernelFor(Block &body, cnn::ScheduleAttr schedule,
                                   StringRef anchor) {
  builder.setInsertionPointToStart(&program.getBody().front());
  auto kernel =
      exec::KernelOp::create(builder, builder.getUnknownLoc(), "k", schedule);
  IRMapping mapping;
  Block *block = builder.createBlock(&kernel.getBody());
  for (BlockArgument argument : body.getArguments())
    mapping.map(argument, block->addArgument(argument.getType(),
                                             builder.getUnknownLoc()));
  for (Operation &op : body)
    builder.clone(op, mapping);
  kernel.walk([&](Operation *op) { op->setLoc(builder.getUnknownLoc()); });
  kernel.getBody().walk([](Operation *op) {
    op->removeDiscardableAttr("buffer");
    op->removeDiscardableAttr("at");
    // What a function is called makes no difference to its kernel.
    if (auto map = dyn_cast<cnn::MapOp>(op))
      for (Value argument : map.getBody().getArguments())
        argument.setLoc(UnknownLoc::get(op->getContext()));
  });

  std::string text;
  llvm::raw_string_ostream os(text);
  kernel->print(os, OpPrintingFlags().useLocalScope());
  auto [entry, fresh] = kernels.try_emplace(text);
  if (!fresh) {
    kernel.erase();
    return entry->second;
  }
  auto digest = llvm::SHA1::hash(llvm::arrayRefFromStringRef(text));
  std::string name = schedule.getAlgorithm().str();
  if (!anchor.empty() && anchor != name)
    name = anchor.str() + "_" + name;
  entry->second =
      name + "_" + llvm::toHex(ArrayRef(digest).take_front(6), /*LowerCase=*/true);
  kernel.setSymName(entry->second);
  return entry->second;
}

void ProgramWriter::writeCall(cnn::FusedOp fused) {
  Block &body = fused.getBody().front();
  Group group(body);
  StringRef anchor = group.anchors().empty()
                         ? ""
                         : group.anchors().back()->getName().stripDialect();
  StringRef kernel;
  {
    OpBuilder::InsertionGuard guard(builder);
    kernel = kernelFor(body, *fused.getSchedule(), anchor);
  }
  SmallVector<Value> inputs, outputs;
  for (Value input : fused.getInputs())
    inputs.push_back(view(input, fused.getLoc()));
  for (Value result : fused.getResults())
    outputs.push_back(view(result, fused.getLoc()));
  auto call = exec::CallOp::create(
      builder, fused.getLoc(), kernel, inputs, outputs, llvm::APFloat(groupFlops(group)),
      llvm::APFloat(groupBytes(group)), fused.getReasonAttr(), nullptr,
      nullptr);
  if (model->hasAttr(cnn::kTrainAttr)) {
    const Kernel *algorithm = findKernel(fused.getSchedule()->getAlgorithm());
    call->setAttr(kSecondsAttr, builder.getF64FloatAttr(algorithm->cost(group, target)));
  }
}

/// The function that turns a picture into one image of an input.
void ProgramWriter::writeImage(cnn::InputOp input, int64_t index) {
  auto image = input.getImage();
  if (!image)
    return;
  Location loc = input.getLoc();
  exec::FunctionOp function = makeFunction("image." + input.getName().str());
  auto type = cast<RankedTensorType>(input.getType());
  auto pictureType = RankedTensorType::get(
      {ShapedType::kDynamic, ShapedType::kDynamic, type.getDimSize(1)},
      builder.getIntegerType(8, /*isSigned=*/false));
  Block body;
  Value picture = body.addArgument(pictureType, loc);
  builder.setInsertionPointToEnd(&body);
  auto made = cnn::ImageOp::create(builder, loc, type, picture);
  for (StringRef name : {"resize", "scale", "mean", "std"})
    if (Attribute value = image->get(name))
      made->setAttr(name, value);
  cnn::YieldOp::create(builder, loc, made.getResult());
  Group group(body);
  StringRef kernel = kernelFor(
      body, findKernel("image")->schedule(group, target), "image");
  builder.setInsertionPointToEnd(&function.getBody().front());
  Value from = exec::PictureOp::create(builder, loc, pictureType);
  Value to = exec::InputOp::create(builder, loc, type, index);
  exec::CallOp::create(builder, loc, kernel, from, to, llvm::APFloat(0.0),
                       llvm::APFloat(0.0), nullptr, nullptr, nullptr);
  body.dropAllReferences();
}

namespace {
struct LowerToExec : impl::LowerToExecBase<LowerToExec> {
  using LowerToExecBase::LowerToExecBase;

  void runOnOperation() override {
    std::optional<Target> machine = targetFor(getOperation(), target);
    if (!machine)
      return signalPassFailure();
    SmallVector<cnn::ModelOp> models(getOperation().getOps<cnn::ModelOp>());
    for (cnn::ModelOp model : models)
      ProgramWriter(model, *machine).run();
  }
};
} // namespace
} // namespace halcyon
