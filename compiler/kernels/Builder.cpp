//===- Builder.cpp - From a group to a Halide pipeline --------------------===//

#include "compiler/kernels/Builder.h"
#include "dialects/cnn/Support.h"

#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::ImageParam;
using Halide::Var;

namespace halcyon {

/// Sets what is known of a buffer: all but the batch and run-time sizes.
static void fix(Halide::OutputImageParam param,
                const cnn::BufferGeometry &geometry) {
  for (auto [index, dim] : llvm::enumerate(geometry.dims)) {
    auto d = param.dim(index);
    d.set_min((int)dim.min);
    if (dim.stride != cnn::kAtRunTime)
      d.set_stride((int)dim.stride);
    if (dim.extent >= 0)
      d.set_extent((int)dim.extent);
  }
}

Halide::Type storedType(RankedTensorType type) {
  Type element = type.getElementType();
  if (element.isBF16())
    return Halide::BFloat(16);
  if (element.isInteger(1)) // a truth value is a byte
    return Halide::UInt(8);
  int bits = (int)element.getIntOrFloatBitWidth();
  if (isa<IntegerType>(element))
    return element.isUnsignedInteger() ? Halide::UInt(bits) : Halide::Int(bits);
  return Halide::Float(bits);
}

/// Says at a multiple of how many bytes a buffer of this type begins: a weight
/// at one of 64, a feature map, which may be a slice, at a block. The caller's
/// tensors, which are dense, are only as aligned as the caller made them.
static void align(Halide::OutputImageParam param, Type type) {
  auto tensor = cast<RankedTensorType>(type);
  if (isa_and_nonnull<cnn::PackedAttr>(tensor.getEncoding()))
    param.set_host_alignment(64);
  else if (tensor.getRank() == 4 && cnn::layoutOf(type).getBlock() >= 16)
    param.set_host_alignment(16 * (int)cnn::elementBytes(type));
}

KernelBuilder::KernelBuilder(const Group &group, cnn::ScheduleAttr schedule,
                             const Target &target, unsigned attempt)
    : group(group), schedule(schedule), target(target), attempt(attempt) {
  for (auto argument : group.inputs()) {
    auto type = cast<RankedTensorType>(argument.getType());
    cnn::BufferGeometry geometry = cnn::geometryOf(type);
    ImageParam param(storedType(type), (int)geometry.dims.size(),
                     "in" + std::to_string(argument.getArgNumber()));
    fix(param, geometry);
    align(param, type);
    params.emplace(argument.getAsOpaquePointer(), param);
  }
}

ImageParam KernelBuilder::input(Value argument) {
  return params.at(argument.getAsOpaquePointer());
}

Expr KernelBuilder::read(Value argument, ArrayRef<Expr> at) {
  Expr value = input(argument)(at.vec());
  if (cnn::tensorOf(argument).getElementType().isInteger(1))
    return value != 0;
  if (value.type() != Halide::BFloat(16))
    return value;
  // As whole numbers: Halide would move arithmetic before a cast, and round.
  Expr bits = Halide::reinterpret(Halide::UInt(16), value);
  return Halide::reinterpret(Halide::Float(32),
                             Halide::cast(Halide::UInt(32), bits) << 16);
}

Expr KernelBuilder::factor(Value argument, ArrayRef<Expr> at) {
  return Halide::cast<float>(input(argument)(at.vec()));
}

std::vector<Var> KernelBuilder::vars(Type type) const {
  auto tensor = cast<RankedTensorType>(type);
  if (tensor.getRank() == 2)
    return {c, n};
  cnn::LayoutAttr layout = cnn::layoutOf(type);
  if (layout.isBlocked())
    return {c, x, y, cb, n};
  if (layout.getOrder() == "nhwc")
    return {c, x, y, n};
  return {x, y, c, n};
}

Point KernelBuilder::point(Type type) const {
  auto tensor = cast<RankedTensorType>(type);
  if (tensor.getRank() == 2)
    return {n, Expr(), c, Expr(), Expr()};
  return {n, cnn::layoutOf(type).isBlocked() ? Expr(cb) : Expr(), c, y, x};
}

std::vector<Expr> KernelBuilder::coordinates(Type type, const Point &p) const {
  auto tensor = cast<RankedTensorType>(type);
  if (auto packed = dyn_cast_or_null<cnn::PackedAttr>(tensor.getEncoding())) {
    assert(tensor.getRank() == 1 && "only vectors are read at a point");
    int64_t block = packed.physicalShape(tensor.getShape()).back();
    if (p.cb.defined())
      return {p.c, p.cb};
    return {p.c % (int)block, p.c / (int)block};
  }
  cnn::LayoutAttr layout = cnn::layoutOf(type);
  int64_t block = tensor.getRank() == 4 ? layout.getBlock() : 1;
  // The point's channel as a whole number, for layouts without blocks.
  Expr channel = p.c;
  if (p.cb.defined() && block == 1)
    channel = p.cb * target.lanes + p.c;
  if (tensor.getRank() == 1)
    return {channel};
  if (tensor.getRank() == 2)
    return {channel, p.n};
  if (block > 1) {
    Expr lane = p.cb.defined() ? p.c : p.c % (int)block;
    Expr index = p.cb.defined() ? p.cb : p.c / (int)block;
    return {lane, p.x, p.y, index, p.n};
  }
  if (layout.getOrder() == "nhwc")
    return {channel, p.x, p.y, p.n};
  return {p.x, p.y, channel, p.n};
}

Expr KernelBuilder::load(Value argument, const Point &p, Type at) {
  auto type = cast<RankedTensorType>(argument.getType());
  auto whole = cast<RankedTensorType>(at);
  Point q = p;
  // A size of 1 is read at index 0 where it meets a larger one.
  if (type.getRank() > 1 && type.getDimSize(0) == 1)
    q.n = 0;
  if (type.getRank() == 4) {
    if (type.getDimSize(1) == 1 && whole.getDimSize(1) != 1) {
      q.c = 0;
      if (q.cb.defined())
        q.cb = 0;
    }
    if (type.getDimSize(2) == 1 && whole.getDimSize(2) != 1)
      q.y = 0;
    if (type.getDimSize(3) == 1 && whole.getDimSize(3) != 1)
      q.x = 0;
  } else if (type.getRank() == 2 && type.getDimSize(1) == 1) {
    q.c = 0;
  } else if (type.getRank() == 1 && type.getDimSize(0) == 1) {
    q.c = 0;
    if (q.cb.defined())
      q.cb = 0;
  }
  // Lanes past the channels of an unblocked buffer do not exist.
  if (p.cb.defined() && type.getRank() != 2 &&
      !(type.getRank() == 4 && cnn::layoutOf(type).isBlocked()) &&
      !isa_and_nonnull<cnn::PackedAttr>(type.getEncoding())) {
    int64_t channels = type.getDimSize(type.getRank() == 1 ? 0 : 1);
    q.c = channels > 1
              ? Halide::min(p.cb * target.lanes + p.c, (int)channels - 1)
              : Expr(0);
    q.cb = Expr();
  }
  return read(argument, coordinates(type, q));
}

void KernelBuilder::bind(Value anchorResult,
                         std::function<Expr(const Point &)> value) {
  bound[anchorResult.getAsOpaquePointer()] = std::move(value);
}

Expr KernelBuilder::at(Value value, const Point &p) {
  auto found = bound.find(value.getAsOpaquePointer());
  if (found != bound.end())
    return found->second(p);
  if (isa<BlockArgument>(value))
    return load(value, p, value.getType());
  auto map = value.getDefiningOp<cnn::MapOp>();
  assert(map && "a kernel must bind its anchor");
  return evaluateMap(map, p);
}

Expr KernelBuilder::evaluateMap(cnn::MapOp map, const Point &p) {
  SmallVector<Expr> arguments;
  for (Value operand : map.getInputs())
    arguments.push_back(isa<BlockArgument>(operand) &&
                                !bound.count(operand.getAsOpaquePointer())
                            ? load(operand, p, map.getType())
                            : at(operand, p));
  return scalarRegion(map.getBody().front(), arguments).front();
}

Expr KernelBuilder::roundVector(Expr value) const {
  const Halide::Type bf16 = Halide::BFloat(16);
  if (!StringRef(target.cpuFeatures).contains("avx512bf16"))
    return Halide::cast(bf16, value);
  // Halide rounds by five integer instructions. Its runtime has this function
  // for one, of vectors of 32: a call with 16 lanes fills half of one.
  return Halide::reinterpret(
      bf16, Halide::Internal::Call::make(Halide::UInt(16), "vcvtne2ps2bf16",
                                         {value},
                                         Halide::Internal::Call::PureExtern));
}

Func KernelBuilder::output(unsigned index, bool wholeVectors) {
  Value value = group.outputs()[index];
  Type type = value.getType();
  auto tensor = cast<RankedTensorType>(type);
  Expr e = at(value, point(type));
  cnn::LayoutAttr layout = cnn::layoutOf(type);
  if (tensor.getRank() == 4 && layout.isBlocked()) {
    int channels = (int)tensor.getDimSize(1), block = (int)layout.getBlock();
    if (channels % block)
      e = Halide::select(cb * block + c < channels, e,
                         Halide::Internal::make_zero(e.type()));
  }
  return output(index, vars(type),
                wholeVectors && cnn::isBf16(type) ? roundVector(e) : e);
}

Func KernelBuilder::output(unsigned index, const std::vector<Var> &args,
                           Expr value) {
  Type type = group.outputs()[index].getType();
  Func out("out" + std::to_string(index));
  out(args) = Halide::cast(storedType(cast<RankedTensorType>(type)), value);

  // The kernel computes the interior; the halo is rectangles of their own.
  cnn::BufferGeometry geometry = cnn::interiorOf(type);
  fix(out.output_buffer(), geometry);
  align(out.output_buffer(), type);
  for (auto [var, dim] : llvm::zip(args, geometry.dims))
    if (dim.extent != cnn::kBatch)
      out.bound(var, 0, (int)dim.extent);
  if (outputs.size() <= index)
    outputs.resize(index + 1);
  outputs[index] = out;
  return out;
}

int KernelBuilder::choose(ArrayRef<int> candidates) {
  choices = std::max<unsigned>(choices, candidates.size());
  return candidates[std::min<size_t>(attempt, candidates.size() - 1)];
}

void KernelBuilder::streamAhead(StreamAhead stream) {
  if (markStream(stream))
    streams.push_back(std::move(stream));
}

void KernelBuilder::fetchAhead(TileAhead tile) {
  if (markTile(tile))
    tiles.push_back(std::move(tile));
}

Halide::Pipeline KernelBuilder::finish() {
  std::vector<Func> funcs;
  for (auto [index, out] : llvm::enumerate(outputs)) {
    Type type = group.outputs()[index].getType();
    funcs.push_back(out);
    for (auto [part, geometry] : llvm::enumerate(cnn::bordersOf(type))) {
      Func border("border" + std::to_string(index) + "_" + std::to_string(part));
      std::vector<Var> args = vars(type);
      border(args) =
          Halide::cast(storedType(cast<RankedTensorType>(type)), 0.0f);
      fix(border.output_buffer(), geometry);
      if (cnn::layoutOf(type).getOrder() != "nchw")
        border.vectorize(args[0], target.lanes, Halide::TailStrategy::GuardWithIf);
      funcs.push_back(border);
    }
  }
  Halide::Pipeline pipeline(funcs);
  if (!streams.empty() || !tiles.empty())
    pipeline.add_custom_lowering_pass(makeStreamPass(streams, tiles));
  return pipeline;
}

std::vector<Halide::Argument> KernelBuilder::arguments() {
  std::vector<Halide::Argument> result;
  for (auto argument : group.inputs())
    result.push_back(input(argument));
  return result;
}

/// Whether there are infinities among the numbers of a group: elsewhere their
/// arithmetic may be simplified as if there were none.
static bool namesInfinity(const Group &group) {
  return group.block()
      .walk([](arith::ConstantOp constant) {
        auto number = dyn_cast<FloatAttr>(constant.getValue());
        return number && !number.getValue().isFinite() ? WalkResult::interrupt()
                                                       : WalkResult::advance();
      })
      .wasInterrupted();
}

/// Whether a group computes in double precision.
static bool hasDoubles(const Group &group) {
  auto isDouble = [](Value value) {
    return getElementTypeOrSelf(value.getType()).isF64();
  };
  return llvm::any_of(group.inputs(), isDouble) ||
         llvm::any_of(group.outputs(), isDouble);
}

Halide::Target KernelBuilder::halideTarget(bool withDevice) const {
  Halide::Target result(target.halide +
                        (withDevice ? target.device->halide : ""));
  // Each is of one kind of device; kernels that ask for what they make no use of
  // would not run on devices without it.
  if (withDevice && hasDoubles(group))
    result = result.with_feature(Halide::Target::CLDoubles)
                 .with_feature(Halide::Target::VulkanFloat64);
  return namesInfinity(group)
             ? result.with_feature(Halide::Target::StrictFloat)
             : result;
}

} // namespace halcyon
