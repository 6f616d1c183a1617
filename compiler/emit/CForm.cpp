//===- CForm.cpp - A model as ISO C11 -------------------------------------===//

#include "compiler/codegen/CSource.h"
#include "compiler/codegen/ProgramTables.h"
#include "compiler/emit/Interface.h"
#include "compiler/emit/Texts.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;

namespace halcyon {

namespace {

class CForm : public Form {
public:
  CForm() : Form("c", "one C11 source and its header, for any compiler") {}
  bool splitsBatch() const override { return false; }
  bool embedsWeights() const override { return true; }
  bool takesThreads() const override { return true; }
  std::string refusal(const Target &target) const override {
    return target.device ? "it runs on CPUs alone, not on " + target.name : "";
  }
  std::string checkedBy(const Target &target) const override {
    return whoRuns(target, "built by GCC and clang, with vectors and without");
  }
  bool write(Emission &emission) const override;
};

/// The text of a program: what calls the kernels.
class Writer {
public:
  Writer(const Interface &interface, const ProgramTables &tables,
         exec::ProgramOp program, bool threads)
      : interface(interface), tables(tables), program(program), threads(threads) {}

  /// ", const float *image, float *logits"
  std::string parameters();
  std::string calls(const halcyon_function &function, StringRef status,
                    const std::string &destination = "");
  std::string imageDeclarations();
  std::string imageFunctions();
  uint64_t maxBatch();
  unsigned rank();
  /// Bytes of a port at a batch of 1, or of the only one.
  uint64_t bytes(const halcyon_port &port);
  std::string inputName(unsigned i) const;
  /// An output may be called as an input is.
  std::string outputName(unsigned i) const;

private:
  std::string buffer(const halcyon_view &view, bool ofImage,
                     const std::string &destination);
  std::string imageSignature(unsigned input);

  const Interface &interface;
  const ProgramTables &tables;
  exec::ProgramOp program;
  bool threads;
};

} // namespace

/// A port's name where it is not C's own or one that the texts have taken.
static std::string parameterName(const std::string &name) {
  static const StringSet<> taken = {
      "auto",     "break",    "case",     "char",   "const",    "continue", "default",
      "do",       "double",   "else",     "enum",   "extern",   "float",    "for",
      "goto",     "if",       "inline",   "int",    "long",     "register", "restrict",
      "return",   "short",    "signed",   "sizeof", "static",   "struct",   "switch",
      "typedef",  "union",    "unsigned", "void",   "volatile", "while",    "arguments",
      "batch",    "count",    "die",      "input",  "main",     "memory",   "room",
      "status",   "weights",  "team",     "new",      "class",  "delete",   "this",     "template",
      "operator", "private",  "public",   "using",  "namespace"};
  return taken.contains(name) ? name + "_tensor" : name;
}

std::string Writer::inputName(unsigned i) const {
  return parameterName(interface.inputs[i].identifier);
}

std::string Writer::outputName(unsigned i) const {
  const std::string &name = interface.outputs[i].identifier;
  for (const Port &input : interface.inputs)
    if (input.identifier == name)
      return parameterName(name) + "_out";
  return parameterName(name);
}

std::string Writer::parameters() {
  std::string text;
  for (auto [i, port] : enumerate(interface.inputs))
    text += ",\n" + std::string(4, ' ') + "const " + port.cType().str() + " *" + inputName(i);
  for (auto [i, port] : enumerate(interface.outputs))
    text += ",\n" + std::string(4, ' ') + port.cType().str() + " *" + outputName(i);
  return text;
}

std::string Writer::buffer(const halcyon_view &view, bool ofImage,
                           const std::string &destination) {
  std::string images = ofImage ? "1" : "batch", host;
  switch (view.space) {
  case HALCYON_ARENA:
    host = "memory + " +
           (view.slot ? "(size_t)" + images + " * " + std::to_string(view.slot) + "u + "
                      : "") +
           std::to_string(view.offset) + "u";
    break;
  case HALCYON_WEIGHTS:
    host = "weights + " + std::to_string(view.offset) + "u";
    break;
  case HALCYON_IMAGE:
    host = "pixels";
    break;
  default: {
    host = !destination.empty()          ? destination
           : view.space == HALCYON_INPUT ? inputName(view.index)
                                         : outputName(view.index);
    if (view.offset)
      host = "(const unsigned char *)" + host + " + " + std::to_string(view.offset) + "u";
  }
  }
  std::string text = "{" + host + ", {";
  // A decoded picture: channels interleaved, top row first.
  static const char *const sizes[] = {"channels", "width", "height"};
  static const char *const strides[] = {"1", "(int32_t)channels", "(int32_t)row_bytes"};
  ListSeparator comma;
  raw_string_ostream os(text);
  for (unsigned d = 0; d != view.rank; ++d) {
    const halcyon_dim &dim = view.dims[d];
    bool picture = view.space == HALCYON_IMAGE;
    std::string extent = picture                       ? std::string("(int32_t)") + sizes[d]
                         : dim.extent == HALCYON_BATCH ? "(int32_t)" + images
                                                       : std::to_string(dim.extent);
    os << comma << "{" << dim.min << ", " << extent << ", "
       << (picture ? std::string(strides[d]) : std::to_string(dim.stride)) << "}";
  }
  if (view.rank == 0)
    os << "{0, 0, 0}";
  return text + "}}";
}

std::string Writer::calls(const halcyon_function &function, StringRef status,
                          const std::string &destination) {
  std::string text;
  raw_string_ostream os(text);
  for (uint32_t c = function.first_call; c != function.first_call + function.num_calls;
       ++c) {
    const halcyon_call &call = tables.calls[c];
    os << "  { // " << tables.string(call.layer) << ": "
       << tables.string(call.algorithm) << "\n";
    for (uint32_t v = 0; v != call.num_views; ++v)
      os << "    const halcyon_buffer b" << v << " = "
         << buffer(tables.views[call.first_view + v], &function != &tables.functions[0],
                   destination)
         << ";\n";
    os << "    status = " << tables.kernels[call.kernel] << "(";
    ListSeparator comma;
    if (threads)
      os << comma << (&function == &tables.functions[0] ? "team" : "NULL");
    for (uint32_t v = 0; v != call.num_views; ++v)
      os << comma << "&b" << v;
    os << ");\n    if (status)\n      return " << status << ";\n  }\n";
  }
  return text;
}

std::string Writer::imageSignature(unsigned input) {
  return "int " + interface.name + "_prepare_" + inputName(input) +
         "(const void *weights, void *memory, const uint8_t *pixels,\n"
         "    uint32_t width, uint32_t height, uint32_t channels, uint32_t row_bytes,\n"
         "    " + interface.inputs[input].cType().str() + " *image)";
}

std::string Writer::imageDeclarations() {
  std::string text;
  for (auto [i, port] : enumerate(tables.inputs))
    if (port.image_function >= 0)
      text += "\n/// Resizes, crops and normalises a picture (8 bits a sample, channels "
              "interleaved, top\n/// row first) into one image of the input " +
              interface.inputs[i].name + ". `memory` is that of a batch of 1.\n" +
              imageSignature(i) + ";\n";
  return text;
}

std::string Writer::imageFunctions() {
  std::string text;
  std::string upper = StringRef(interface.name).upper();
  for (auto [i, port] : enumerate(tables.inputs)) {
    if (port.image_function < 0)
      continue;
    const halcyon_function &function = tables.functions[port.image_function];
    // Which sizes the kernels have fixed.
    std::string wrong = "width == 0 || height == 0 || channels == 0 ||\n      "
                        "row_bytes / channels < width || row_bytes > INT32_MAX / height";
    for (uint32_t c = function.first_call; c != function.first_call + function.num_calls; ++c)
      for (uint32_t v = 0; v != tables.calls[c].num_views; ++v) {
        const halcyon_view &view = tables.views[tables.calls[c].first_view + v];
        static const char *const sizes[] = {"channels", "width", "height"};
        for (unsigned d = 0; view.space == HALCYON_IMAGE && d < view.rank && d < 3; ++d)
          if (view.dims[d].extent != HALCYON_DYNAMIC)
            wrong += std::string(" ||\n      ") + sizes[d] + " != " +
                     std::to_string(view.dims[d].extent);
      }
    std::string signature = imageSignature(i);
    replaceAll(signature, "*weights,", "*weights_,");
    replaceAll(signature, "*memory,", "*memory_,");
    text += "\n" + signature + " {\n"
            "  const unsigned char *const weights = weights_;\n"
            "  unsigned char *const memory = memory_;\n  int status;\n"
            "  if (" + wrong + ")\n    return " + upper + "_BAD_ARGUMENT;\n" +
            calls(function, upper + "_NO_MEMORY", "image") +
            "  (void)weights;\n  (void)memory;\n  return " + upper + "_OK;\n}\n";
  }
  return text;
}

/// Kernels count elements in 32 bits.
uint64_t Writer::maxBatch() {
  uint64_t most = INT32_MAX;
  const halcyon_function &infer = tables.functions[0];
  for (uint32_t c = infer.first_call; c != infer.first_call + infer.num_calls; ++c)
    for (uint32_t v = 0; v != tables.calls[c].num_views; ++v) {
      const halcyon_view &view = tables.views[tables.calls[c].first_view + v];
      uint64_t rest = 0, each = 0;
      for (unsigned d = 0; d != view.rank; ++d) {
        uint64_t stride = std::abs(int64_t(view.dims[d].stride));
        if (view.dims[d].extent == HALCYON_BATCH)
          each = stride;
        else if (view.dims[d].extent > 0)
          rest += uint64_t(view.dims[d].extent - 1) * stride;
      }
      if (each && rest <= INT32_MAX)
        most = std::min(most, (INT32_MAX - rest) / each + 1);
    }
  return most;
}

unsigned Writer::rank() {
  unsigned most = 1;
  for (const halcyon_view &view : tables.views)
    most = std::max<unsigned>(most, view.rank);
  return most;
}

uint64_t Writer::bytes(const halcyon_port &port) {
  uint64_t bytes = port.type_bits / 8;
  for (unsigned d = 0; d != port.rank; ++d)
    bytes *= port.shape[d] == HALCYON_BATCH ? 1 : port.shape[d];
  return bytes;
}

/// Halide's name of a machine without what it can do beyond its kind.
static std::string plainMachine(StringRef halide) {
  SmallVector<StringRef> parts;
  halide.split(parts, '-');
  return join(ArrayRef(parts).take_front(3), "-");
}

/// The weights of a file as C's numbers.
static std::string weightsText(const std::string &path, std::string &error) {
  auto file = MemoryBuffer::getFile(path, /*IsText=*/false,
                                    /*RequiresNullTerminator=*/false);
  if (!file) {
    error = "can't read " + path + ": " + file.getError().message();
    return "";
  }
  StringRef bytes = (*file)->getBuffer().drop_front(kWeightsFileStart);
  std::string text = bytes.empty() ? "0" : "";
  text.reserve(4 * bytes.size());
  for (auto [index, byte] : enumerate(bytes)) {
    text += std::to_string(uint8_t(byte));
    text += index % 24 == 23 ? ",\n" : ",";
  }
  return text;
}

bool CForm::write(Emission &emission) const {
  Interface interface(emission.program);
  ProgramTables tables = collectTables(emission.program);
  const std::string &name = interface.name;
  Writer writer(interface, tables, emission.program, emission.threads);

  Target plain = emission.target;
  plain.halide = plainMachine(plain.halide);
  plain.cpuFeatures.clear();
  KernelCompilerOptions how = emission.kernels;
  how.output = emission.threads ? KernelOutput::SharedC : KernelOutput::C;
  auto kernels = compileKernels(emission.program, plain, how, {}, emission.errors);
  if (mlir::failed(kernels))
    return false;
  std::string helpers, functions;
  StringSet<> known;
  for (const CompiledKernel &kernel : *kernels) {
    auto file = MemoryBuffer::getFile(kernel.path);
    if (!file)
      return emission.succeeded("can't read " + kernel.path + ": " +
                                file.getError().message());
    CKernel c = CKernel::parse((*file)->getBuffer().str());
    for (const auto &[helper, text] : c.helpers)
      if (known.insert(helper).second)
        helpers += text;
    functions += c.function + "\n";
  }

  uint64_t id = weightsIdOf(emission.program, emission.weights);
  std::string weights = emission.folder->file(name + ".weights");
  std::string error =
      writeWeightsFile(emission.program, emission.weights, id, weights);
  TextWriter texts(*this, emission, interface);
  auto &values = texts.values;
  auto number = [](uint64_t n) { return std::to_string(n); };
  ListSeparator comma;
  for (unsigned char byte : weightsFileHeader(emission.program, id))
    values["HEADER"] += (StringRef(comma) + number(byte)).str();
  values["WEIGHT_BYTES"] = number(emission.program.getWeights());
  values["WEIGHTS_AT"] = number(kWeightsFileStart);
  std::string file = name + ".weights";
  values["WEIGHTS_ABOUT"] = "`" + file + "` (`" + name + "_load_weights` reads it)";
  values["TAKE_WEIGHTS"] = "  void *weights = " + name + "_load_weights(\"" + file +
                           "\");\n  if (!weights)\n    die(\"" + file +
                           "\", \"is missing or not this model's\");\n";
  values["GIVE_WEIGHTS"] = "  free(weights);\n";
  if (emission.embedWeights) {
    // C has no arrays of no elements.
    values["WEIGHT_ARRAY_BYTES"] =
        number(std::max<uint64_t>(emission.program.getWeights(), 1));
    if (error.empty())
      values["WEIGHT_ARRAY"] = weightsText(weights, error);
    sys::fs::remove(weights);
    values["WEIGHTS_ABOUT"] = "the array `" + name + "_weights`";
    values["TAKE_WEIGHTS"] = "  const void *weights = " + name + "_weights;\n";
    values["GIVE_WEIGHTS"] = "";
  }
  const std::string kind = emission.embedWeights ? "c/weights_array" : "c/weights_file";
  auto part = [&](StringRef text) {
    return StringRef(texts.fill(textOf(text).str())).rtrim().str() + "\n";
  };
  values["WEIGHTS_DECLARED"] = part(kind + ".h");
  values["WEIGHTS_DEFINED"] = part(kind + ".c");
  values["RUNS_IN"] = "caller's thread, on the caller's memory.";
  for (const char *name : {"THREADS_DECLARED", "THREADS_DEFINED", "TEAM", "RUNS_ON", "FLAGS",
                           "TAKE_TEAM", "GIVE_TEAM", "END_TEAM"})
    values[name] = "";
  if (emission.threads) {
    values["THREADS_DECLARED"] = part("c/threads.h") + "\n";
    values["THREADS_DEFINED"] = part("c/threads.c") + "\n";
    values["TEAM"] = name + "_team *team, ";
    values["RUNS_ON"] = "; `team` may be NULL: then in the caller's thread";
    values["RUNS_IN"] = "threads of a `" + name +
                        "_team` or the caller's alone, on the caller's memory:\nC11's <threads.h>, or "
                        "with `-D" + values["UPPER"] + "_PTHREADS` POSIX's.";
    values["FLAGS"] = " -pthread";
    values["TAKE_TEAM"] = "  " + name + "_team *team = " + name +
                          "_team_create(2);\n  if (!team)\n    die(\"team\", \"can't be had\");\n";
    values["GIVE_TEAM"] = "team, ";
    values["END_TEAM"] = "  " + name + "_team_destroy(team);\n";
  }
  values["RANK"] = number(writer.rank());
  values["HELPERS"] = helpers;
  values["KERNELS"] = functions;
  values["ARENA"] = number(emission.program.getArena());
  values["FIXED"] = number(emission.program.getArenaFixed());
  const uint64_t only = tables.onlyBatch;
  values["MAX_BATCH"] = number(only ? only : writer.maxBatch());
  values["ONLY"] = only ? ", and the only one" : "";
  values["ONE"] = number(only ? only : 1);
  values["BATCH_IS_WRONG"] =
      only ? "batch != " + number(only) : "batch == 0 || batch > " + values["UPPER"] + "_MAX_BATCH";
  values["PARAMETERS"] = writer.parameters();
  values["CALLS"] = writer.calls(tables.functions[0], values["UPPER"] + "_NO_MEMORY");
  for (auto [i, port] : enumerate(tables.inputs)) {
    std::string input = writer.inputName(i), index = number(i + 1);
    values["READ"] += "  void *" + input + " = input(count > " + index + " ? arguments[" +
                      index + "] : NULL, " + number(writer.bytes(port)) + ");\n";
    values["ARGUMENTS"] += ", " + input;
    values["FREE"] += "  free(" + input + ");\n";
  }
  for (auto [i, port] : enumerate(tables.outputs)) {
    std::string output = writer.outputName(i), bytes = number(writer.bytes(port));
    values["ROOM"] += "  void *" + output + " = room(" + bytes + ");\n";
    values["ARGUMENTS"] += ", " + output;
    values["PRINT"] += "  PRINT(" + interface.outputs[i].cType().str() + ", " + output +
                       ", (size_t)" + number(writer.bytes(port) / (port.type_bits / 8)) + ");\n";
    values["FREE"] += "  free(" + output + ");\n";
  }
  auto write = [&](StringRef path, StringRef text) {
    if (error.empty())
      error = texts.write(path, text);
  };
  write("README.md", "c/README.md");
  write("example.c", "c/example.c");
  values["IMAGES"] = writer.imageFunctions();
  write(name + ".c", "c/model.c");
  values["IMAGES"] = writer.imageDeclarations();
  values["PORTS"] = StringRef(interface.portLines("// ")).rtrim().str();
  write(name + ".h", "c/model.h");
  return emission.succeeded(error);
}

static RegisterForm<CForm> cForm;

} // namespace halcyon
