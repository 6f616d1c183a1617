//===- KernelHarness.cpp - Kernels run alone -------------------------------===//

#include "test/kernels/KernelHarness.h"
#include "dialects/cnn/Support.h"
#include "dialects/exec/Exec.h"

#include "mlir/Parser/Parser.h"
#include "llvm/ADT/STLExtras.h"

#include <chrono>
#include <cmath>
#include <dirent.h>
#include <fstream>
#include <random>
#include <sched.h>
#include <sstream>
#include <unistd.h>

using namespace mlir;

namespace halcyon::test {

/// What buffers hold where nothing may be read or must be written.
static const float kPoison = std::nanf("");

Tensor::Tensor(std::vector<int64_t> shape) : shape(std::move(shape)) {
  int64_t count = 1;
  for (int64_t size : this->shape)
    count *= size;
  data.assign(count, 0.0f);
}

Tensor Tensor::random(std::vector<int64_t> shape, unsigned seed) {
  Tensor result(std::move(shape));
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (float &value : result.data)
    value = uniform(generator);
  return result;
}

Tensor Tensor::rounded() const {
  Tensor result = *this;
  for (float &value : result.data)
    value = llvm::bit_cast<float>(uint32_t(cnn::toBf16(value)) << 16);
  return result;
}

AlignedFloats::AlignedFloats(size_t count, float value)
    : storage(count + 16, value), count(count) {
  auto address = reinterpret_cast<uintptr_t>(storage.data());
  start = reinterpret_cast<float *>((address + 63) / 64 * 64);
}

std::unique_ptr<MLIRContext> makeContext() {
  DialectRegistry registry;
  registry.insert<cnn::CnnDialect, exec::ExecDialect, arith::ArithDialect,
                  math::MathDialect>();
  auto context = std::make_unique<MLIRContext>(registry,
                                               MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  return context;
}

void pinThreads() {
  std::vector<int> ids;
  if (DIR *dir = opendir("/proc/self/task")) {
    while (dirent *entry = readdir(dir))
      if (int id = atoi(entry->d_name))
        ids.push_back(id);
    closedir(dir);
  }
  llvm::sort(ids);
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  for (auto [index, id] : llvm::enumerate(ids)) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(index % cores, &set);
    sched_setaffinity(id, sizeof set, &set);
  }
}

double relativeError(const Tensor &value, const Tensor &reference) {
  double largest = 1e-6, difference = 0;
  for (size_t i = 0; i < reference.data.size(); ++i) {
    double d = std::abs(double(value.data[i]) - reference.data[i]);
    if (!(d <= difference))
      difference = std::isnan(d) ? 1e30 : d;
    largest = std::max(largest, (double)std::abs(reference.data[i]));
  }
  return difference / largest;
}

//===----------------------------------------------------------------------===//
// Scratch memory
//===----------------------------------------------------------------------===//

// Scratch is kept for the thread's next task, as the runtime does: fresh pages
// on every call, or lines that another core has, would halve the speed of
// kernels with scratch.
static std::vector<std::pair<size_t, void *>> &freeBlocks() {
  static thread_local std::vector<std::pair<size_t, void *>> blocks;
  return blocks;
}

static void *poolAllocate(Halide::JITUserContext *, size_t size) {
  auto &blocks = freeBlocks();
  for (auto &entry : blocks)
    if (entry.first >= size && entry.first <= 2 * size) {
      void *result = entry.second;
      entry = blocks.back();
      blocks.pop_back();
      return result;
    }
  char *block = (char *)aligned_alloc(128, (size + 256 + 127) / 128 * 128);
  *(size_t *)block = size;
  return block + 128;
}
static void poolFree(Halide::JITUserContext *, void *pointer) {
  size_t size = *(size_t *)((char *)pointer - 128);
  freeBlocks().push_back({size, pointer});
}
static void reportError(Halide::JITUserContext *, const char *message) {
  fprintf(stderr, "%s\n", message);
}

//===----------------------------------------------------------------------===//
// CompiledKernel
//===----------------------------------------------------------------------===//

namespace {
/// As the compiler does: Halide's warnings, that bf16 is emulated, say nothing
/// about a kernel that is tested in bf16.
struct Reporter : Halide::CompileTimeErrorReporter {
  void warning(const char *) override {}
  [[noreturn]] void error(const char *message) override {
    throw Halide::CompileError(message);
  }
};
} // namespace

static RankedTensorType encoded(Type type, Attribute encoding) {
  auto tensor = cast<RankedTensorType>(type);
  return RankedTensorType::get(tensor.getShape(), tensor.getElementType(),
                               encoding);
}

/// As Kernel::takes has it, but for the types of values: tests ask for more.
static bool handlesHere(const Kernel &kernel, const Group &group,
                        const Target &target, std::string &why) {
  return kernel.isForDevice() == target.device.has_value() &&
         kernel.handles(group, target, why);
}

std::unique_ptr<CompiledKernel>
CompiledKernel::make(MLIRContext &context, StringRef text, const Target &target,
                     const HarnessOptions &options, std::string &error) {
  auto result = std::make_unique<CompiledKernel>();
  result->target = target;
  result->module = parseSourceString<ModuleOp>(text, &context);
  if (!result->module) {
    error = "the text does not parse";
    return nullptr;
  }
  auto op = *result->module->getOps<exec::KernelOp>().begin();
  result->group = std::make_unique<Group>(op.getBody().front());
  Group &group = *result->group;
  if (options.bf16In)
    for (auto argument : group.inputs())
      if (!Group::isWeight(argument) &&
          cast<RankedTensorType>(argument.getType()).getElementType().isF32())
        argument.setType(
            cnn::withPrecision(argument.getType(), cnn::Precision::bf16));
  if (options.bf16Out)
    for (Value value : group.outputs())
      value.setType(cnn::withPrecision(value.getType(), cnn::Precision::bf16));

  // The kernel: the one asked for, or the cheapest.
  std::string why;
  if (!options.kernel.empty()) {
    result->kernel = findKernel(options.kernel);
    if (!result->kernel || !handlesHere(*result->kernel, group, target, why)) {
      error = "refused: " + why;
      return nullptr;
    }
  } else {
    for (const Kernel *kernel : allKernels())
      if (handlesHere(*kernel, group, target, why) &&
          (!result->kernel || kernel->cost(group, target) <
                                  result->kernel->cost(group, target)))
        result->kernel = kernel;
  }
  if (!result->kernel) {
    error = "no kernel";
    return nullptr;
  }
  const Kernel &kernel = *result->kernel;
  result->seconds = kernel.cost(group, target);

  // Layouts.
  SmallVector<LayoutChoice> choices = kernel.layouts(group, target);
  if (options.layout >= choices.size()) {
    error = "refused: no such layout";
    return nullptr;
  }
  LayoutChoice &choice = choices[options.layout];
  for (auto argument : group.inputs()) {
    unsigned number = argument.getArgNumber();
    if (cnn::LayoutAttr layout = choice.inputs[number]) {
      SmallVector<int64_t> halo(layout.getHalo());
      for (int64_t &h : halo)
        h += options.moreInputHalo;
      choice.inputs[number] = layout.withHalo(halo);
    }
  }
  SmallVector<cnn::PackedAttr> packings;
  for (auto argument : group.inputs())
    packings.push_back(Group::isWeight(argument)
                           ? kernel.packing(group, argument.getArgNumber(),
                                            choice, target)
                           : cnn::PackedAttr());
  for (auto [argument, packed] : llvm::zip(group.inputs(), packings)) {
    if (packed)
      argument.setType(encoded(argument.getType(), packed));
    else if (auto layout = choice.inputs[argument.getArgNumber()])
      argument.setType(encoded(argument.getType(), layout));
  }
  for (auto [value, layout] : llvm::zip(group.outputs(), choice.outputs)) {
    if (!layout)
      continue;
    layout = layout.withHalo(options.halo);
    if (options.slice)
      layout = layout.withChannels(
          llvm::alignTo(cnn::sizeOf(value, 1), layout.getBlock()) +
          3 * layout.getBlock());
    value.setType(encoded(value.getType(), layout));
  }

  // Schedule and pipeline.
  result->taken = kernel.schedule(group, target);
  if (options.candidate) {
    auto space = kernel.space(group, target);
    for (cnn::ScheduleAttr each : space)
      if (!kernel.checkSchedule(group, target, each, why)) {
        error = "the space has a schedule that can't hold: " + why;
        return nullptr;
      }
    if (space.front() != result->taken) {
      error = "the space does not begin with the default";
      return nullptr;
    }
    result->taken = space[*options.candidate % space.size()];
  }
  if (!options.schedule.empty()) {
    NamedAttrList params(result->taken.getParams());
    ::mlir::Builder builder(&context);
    for (auto &[key, value] : options.schedule)
      params.set(key, builder.getI64IntegerAttr(value));
    result->taken = cnn::ScheduleAttr::get(&context, kernel.name(),
                                           params.getDictionary(&context));
  }
  Halide::Target jit(target.halide);
  if (!options.asserts)
    jit = jit.with_feature(Halide::Target::NoAsserts)
              .with_feature(Halide::Target::NoBoundsQuery);
  result->halideTarget = jit;
  static Reporter reporter;
  Halide::set_custom_compile_time_error_reporter(&reporter);
  try {
    auto start = std::chrono::steady_clock::now();
    KernelBuilder builder(group, result->taken, target);
    kernel.build(builder);
    result->pipeline = builder.finish();
    result->arguments = builder.arguments();
    result->callable =
        result->pipeline.compile_to_callable(result->arguments, jit);
    result->compileTime = std::chrono::duration<double>(
                              std::chrono::steady_clock::now() - start)
                              .count();
  } catch (const Halide::Error &e) {
    error = e.what();
    return nullptr;
  }
  return result;
}

bool CompiledKernel::handles(MLIRContext &context, StringRef text,
                             const Target &target, StringRef name) {
  auto module = parseSourceString<ModuleOp>(text, &context);
  const Kernel *kernel = findKernel(name);
  if (!module || !kernel)
    return false;
  auto op = *module->getOps<exec::KernelOp>().begin();
  std::string why;
  return handlesHere(*kernel, Group(op.getBody().front()), target, why);
}

void CompiledKernel::narrow(Buffer &buffer) {
  if (!cnn::isBf16(buffer.type))
    return;
  buffer.halves = AlignedFloats((buffer.memory.size() + 1) / 2);
  auto *halves = reinterpret_cast<uint16_t *>(buffer.halves.data());
  for (size_t i = 0; i < buffer.memory.size(); ++i)
    halves[i] = cnn::toBf16(buffer.memory.data()[i]);
}

void CompiledKernel::widen(Buffer &buffer) {
  auto *halves = reinterpret_cast<const uint16_t *>(buffer.halves.data());
  if (cnn::isBf16(buffer.type))
    for (size_t i = 0; i < buffer.memory.size(); ++i)
      buffer.memory.data()[i] = llvm::bit_cast<float>(uint32_t(halves[i]) << 16);
}

void CompiledKernel::place(Buffer &buffer, const cnn::BufferGeometry &geometry,
                           Buffer &owner, int64_t offset) {
  buffer.dims.clear();
  for (const cnn::BufferDim &dim : geometry.dims)
    buffer.dims.push_back(
        {(int)dim.min, (int)(dim.extent == cnn::kBatch ? batch : dim.extent),
         (int)dim.stride});
  buffer.raw = {};
  const bool bf16 = cnn::isBf16(owner.type);
  float *memory = bf16 ? owner.halves.data() : owner.memory.data();
  buffer.raw.host =
      reinterpret_cast<uint8_t *>(memory) + offset * (bf16 ? 2 : 4);
  buffer.raw.type = bf16 ? halide_type_t(halide_type_bfloat, 16)
                         : halide_type_t(halide_type_float, 32);
  buffer.raw.dimensions = (int)buffer.dims.size();
  buffer.raw.dim = buffer.dims.data();
}

/// Visits every logical element of a rank-4 type: its index in a dense tensor
/// and its place relative to the window's start.
template <typename F>
static void eachElement(Type type, int64_t batch, F f) {
  auto tensor = cast<RankedTensorType>(type);
  cnn::BufferGeometry g = cnn::geometryOf(type);
  cnn::LayoutAttr layout = cnn::layoutOf(type);
  int64_t block = layout.getBlock();
  bool blocked = block > 1, nhwc = layout.getOrder() == "nhwc";
  const auto &dx = g.dims[blocked || nhwc ? 1 : 0];
  const auto &dy = g.dims[blocked || nhwc ? 2 : 1];
  const auto &dc = g.dims[blocked ? 3 : nhwc ? 0 : 2];
  const auto &dn = g.dims.back();
  int64_t channels = tensor.getDimSize(1), height = tensor.getDimSize(2),
          width = tensor.getDimSize(3);
  int64_t index = 0;
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t y = 0; y < height; ++y)
        for (int64_t x = 0; x < width; ++x)
          f(index++, n * dn.stride + (c / block) * dc.stride + c % block +
                         (y - dy.min) * dy.stride + (x - dx.min) * dx.stride);
}

void CompiledKernel::setInputs(ArrayRef<Tensor> tensors) {
  batch = 1;
  inputs = std::vector<Buffer>(tensors.size());
  for (auto [index, argument] : llvm::enumerate(group->inputs()))
    if (!Group::isWeight(argument))
      batch = tensors[index].shape[0];
  for (auto [index, argument] : llvm::enumerate(group->inputs())) {
    Buffer &buffer = inputs[index];
    const Tensor &tensor = tensors[index];
    auto type = cast<RankedTensorType>(argument.getType());
    buffer.type = type;
    cnn::BufferGeometry geometry = cnn::geometryOf(type);
    int64_t count = cnn::elementsOf(type);
    if (auto packed = dyn_cast_or_null<cnn::PackedAttr>(type.getEncoding())) {
      buffer.memory = AlignedFloats(count);
      OpBuilder builder(type.getContext());
      auto dense = RankedTensorType::get(type.getShape(), type.getElementType());
      OwningOpRef<cnn::WeightOp> weight = cnn::WeightOp::create(
          builder, builder.getUnknownLoc(), dense, builder.getStringAttr("w"));
      OwningOpRef<cnn::PackOp> pack = cnn::PackOp::create(
          builder, builder.getUnknownLoc(), type, weight->getResult());
      MutableArrayRef<float> out(buffer.memory.data(), count);
      (void)pack->evaluate({ArrayRef<float>(tensor.data)}, {out});
    } else if (type.getRank() == 4 && !Group::isWeight(argument)) {
      buffer.memory = AlignedFloats(count * batch);
      eachElement(type, batch, [&](int64_t index, int64_t place) {
        buffer.memory.data()[place] = tensor.data[index];
      });
    } else {
      buffer.memory = AlignedFloats(tensor.data.size());
      llvm::copy(tensor.data, buffer.memory.data());
    }
    narrow(buffer);
    place(buffer, geometry, buffer, 0);
  }

  results = std::vector<Buffer>(group->outputs().size());
  borders.clear();
  argv.clear();
  static Halide::JITUserContext userContext;
  static Halide::JITUserContext *userContextPointer = [] {
    userContext.handlers.custom_malloc = poolAllocate;
    userContext.handlers.custom_free = poolFree;
    userContext.handlers.custom_error = reportError;
    return &userContext;
  }();
  argv.push_back(&userContextPointer);
  for (Buffer &buffer : inputs)
    argv.push_back(&buffer.raw);
  for (auto [index, value] : llvm::enumerate(group->outputs())) {
    Buffer &buffer = results[index];
    buffer.type = value.getType();
    auto type = cast<RankedTensorType>(buffer.type);
    cnn::BufferGeometry geometry = cnn::interiorOf(type);
    buffer.memory = AlignedFloats(
        cnn::elementsOf(type) * (cnn::isFixed(type) ? 1 : batch), kPoison);
    // A slice begins after one block of other channels.
    if (type.getRank() == 4 && !cnn::isFixed(type) &&
        cnn::layoutOf(type).getChannels())
      buffer.before = cnn::layoutOf(type).getOrder() == "nhwc"
                          ? 1
                          : geometry.dims[geometry.dims.size() - 2].stride;
    narrow(buffer);
    place(buffer, geometry, buffer, buffer.before + geometry.offset);
    argv.push_back(&buffer.raw);
    for (const cnn::BufferGeometry &part : cnn::bordersOf(type)) {
      borders.push_back(std::make_unique<Buffer>());
      place(*borders.back(), part, buffer, buffer.before + part.offset);
      argv.push_back(&borders.back()->raw);
    }
  }
}

int CompiledKernel::run() {
  return callable.call_argv_fast(argv.size(), argv.data());
}

int CompiledKernel::runCold() {
  auto seen = [](Buffer &buffer) -> AlignedFloats & {
    return cnn::isBf16(buffer.type) ? buffer.halves : buffer.memory;
  };
  // As many copies as push each other out of the caches.
  const size_t held = 64 << 20;
  if (copies.empty()) {
    copies.resize(inputs.size());
    size_t total = 0;
    for (auto [buffer, argument] : llvm::zip(inputs, group->inputs()))
      if (Group::isWeight(argument))
        total += seen(buffer).size() * sizeof(float);
    for (size_t i = 0; i < inputs.size(); ++i)
      if (Group::isWeight(group->inputs()[i]))
        for (size_t made = 0; made <= held / total + 1 && made < 200; ++made) {
          AlignedFloats &memory = seen(inputs[i]);
          copies[i].emplace_back(memory.size());
          std::copy_n(memory.data(), memory.size(), copies[i].back().data());
        }
  }
  ++turn;
  for (auto [buffer, own] : llvm::zip(inputs, copies))
    if (!own.empty())
      buffer.raw.host =
          reinterpret_cast<uint8_t *>(own[turn % own.size()].data());
  return run();
}

std::vector<Tensor> CompiledKernel::outputs(std::string &error) {
  std::vector<Tensor> tensors;
  for (Buffer &buffer : results) {
    widen(buffer);
    auto type = cast<RankedTensorType>(buffer.type);
    std::vector<int64_t> shape(type.getShape());
    if (!cnn::isFixed(type))
      shape[0] = batch;
    if (auto packed = dyn_cast_or_null<cnn::PackedAttr>(type.getEncoding())) {
      auto places = packed.physicalShape(type.getShape());
      shape.assign(places.begin(), places.end());
    }
    Tensor tensor(shape);
    float *start = buffer.memory.data() + buffer.before;
    if (type.getRank() != 4 || cnn::isFixed(type)) {
      std::copy_n(start, tensor.data.size(), tensor.data.data());
      tensors.push_back(std::move(tensor));
      continue;
    }
    // 0: poison stays, 1: an element, 2: zero.
    std::vector<char> kind(buffer.memory.size(), 0);
    for (int64_t n = 0; n < batch; ++n) {
      cnn::BufferGeometry g = cnn::geometryOf(type);
      g.dims.back().extent = 1;
      int64_t count = 1;
      for (const auto &dim : g.dims)
        count *= dim.extent;
      for (int64_t i = 0; i < count; ++i) {
        int64_t rest = i, place = n * g.dims.back().stride + buffer.before;
        for (const auto &dim : g.dims) {
          place += rest % dim.extent * dim.stride;
          rest /= dim.extent;
        }
        kind[place] = 2;
      }
    }
    eachElement(type, batch, [&](int64_t index, int64_t place) {
      tensor.data[index] = start[place];
      kind[buffer.before + place] = 1;
    });
    for (size_t i = 0; i < kind.size() && error.empty(); ++i) {
      float value = buffer.memory.data()[i];
      if (kind[i] == 0 && !std::isnan(value))
        error = "wrote outside of its channels";
      if (kind[i] == 2 && !(value == 0.0f))
        error = "the halo or a lane past the channels is not zero";
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

static std::string readFile(const std::string &path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string CompiledKernel::statements() const {
  char path[] = "/tmp/halcyon-stmt-XXXXXX";
  int fd = mkstemp(path);
  if (fd >= 0)
    close(fd);
  Halide::Pipeline copy = pipeline;
  copy.compile_to_lowered_stmt(path, arguments, Halide::Text, halideTarget);
  std::string text = readFile(path);
  unlink(path);
  return text;
}

void CompiledKernel::writeAssembly(const std::string &path) const {
  Halide::Pipeline copy = pipeline;
  copy.compile_to_assembly(path, arguments, "kernel", halideTarget);
}

} // namespace halcyon::test
