//===- Python.cpp - A model as a Python package ---------------------------===//

#include "compiler/codegen/ProgramTables.h"
#include "compiler/emit/Library.h"
#include "compiler/emit/Texts.h"
#include "compiler/emit/Zip.h"
#include "compiler/targets/Elf.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Base64.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SHA256.h"

using namespace llvm;

namespace halcyon {

namespace {

class PythonWheel : public Form {
public:
  PythonWheel() : Form("python", "a Python package over numpy and DLPack arrays") {}
  std::string refusal(const Target &target) const override {
    return refuseLinking(target);
  }
  std::string checkedBy(const Target &target) const override {
    const Elf *elf = elfOf(target);
    return elf && isNative(*elf) ? "numpy's arrays, several threads" : "";
  }
  bool write(Emission &emission) const override;
};

} // namespace

/// What a wheel's name says of the machine: "linux_x86_64".
static std::string platformOf(const Target &target) {
  StringRef architecture = StringRef(target.triple).split('-').first;
  return "linux_" + (architecture == "armv7" ? "armv7l" : architecture.str());
}

/// ("image", (None, 1, 28, 28), "float32"), as Python reads it.
static std::string portsOf(const std::vector<Port> &ports, int64_t onlyBatch) {
  std::string text;
  for (const Port &port : ports) {
    std::string shape;
    for (int64_t size : port.type.getShape())
      shape += (!mlir::ShapedType::isDynamic(size) ? std::to_string(size)
                : onlyBatch                        ? std::to_string(onlyBatch)
                                                   : "None") + ", ";
    text += "Port(\"" + port.name + "\", (" + shape + "), \"" +
            numpyTypeOf(port.type.getElementType()).str() + "\"), ";
  }
  return text;
}

/// A line of RECORD.
static std::string recordOf(const std::string &name, const std::string &content) {
  auto hash = SHA256::hash(arrayRefFromStringRef(content));
  std::string text = encodeBase64(hash);
  for (char &c : text)
    c = c == '+' ? '-' : c == '/' ? '_' : c;
  text.erase(text.find_last_not_of('=') + 1);
  return name + ",sha256=" + text + "," + std::to_string(content.size()) + "\n";
}

bool PythonWheel::write(Emission &emission) const {
  Interface interface(emission.program);
  interface.name = pythonName(interface.name);
  const std::string &name = interface.name;
  ProgramTables tables = collectTables(emission.program);
  std::string library = emission.folder->file("lib" + name + ".so");
  if (!linkProgram(emission, interface, [&](const std::vector<std::string> &objects) {
        return linkSharedLibrary(objects, publicSymbols(interface), emission.target,
                                 library, "lib" + name + ".so");
      }))
    return false;
  auto linked = MemoryBuffer::getFile(library);
  if (!linked)
    return emission.succeeded("can't read " + library + ": " +
                              linked.getError().message());

  TextWriter texts(*this, emission, interface);
  auto &values = texts.values;
  std::string platform = platformOf(emission.target);
  std::string wheel = name + "-1.0-py3-none-" + platform + ".whl";
  values["WHEEL"] = wheel;
  values["VERSION"] = abiVersion();
  values["INPUTS"] = portsOf(interface.inputs, tables.onlyBatch);
  values["OUTPUTS"] = portsOf(interface.outputs, tables.onlyBatch);
  values["ONLY_BATCH"] = tables.onlyBatch ? std::to_string(tables.onlyBatch) : "None";
  values["RETURNS"] = interface.outputs.size() == 1 ? "typing.Any" : "Result";
  for (auto [index, port] : enumerate(interface.inputs)) {
    std::string parameter = pythonName(port.identifier), comma = index ? ", " : "";
    values["PARAMETERS"] += comma + parameter + ": typing.Any";
    values["ARGUMENTS"] += comma + parameter;
    values["EXAMPLE"] += comma + parameter;
    if (!port.image)
      continue;
    std::string function = "prepare_" + port.identifier;
    values["PREPARE_NAME"] += ", \"" + function + "\"";
    values["PREPARE"] +=
        "\n\ndef " + function + "(picture: numpy.ndarray) -> numpy.ndarray:\n"
        "    \"\"\"Resizes, crops and normalises a picture, rows x columns x channels of 8 "
        "bits, to\n    one image of the input " + port.name + ".\"\"\"\n"
        "    pixels = numpy.ascontiguousarray(picture)\n"
        "    if pixels.dtype != numpy.uint8 or pixels.ndim not in (2, 3):\n"
        "        raise ValueError(\"a picture is rows x columns x channels of uint8\")\n"
        "    rows, columns, channels = (*pixels.shape, 1)[:3]\n"
        "    port = INPUTS[" + std::to_string(index) + "]\n"
        "    image = numpy.empty([size or 1 for size in port.shape], port.dtype)\n"
        "    model = _shared()\n"
        "    session = model._take()\n"
        "    try:\n"
        "        given = _Picture(pixels.ctypes.data, columns, rows, channels, 0)\n"
        "        model._check(session, _prepare(session, " + std::to_string(index) +
        ", ctypes.byref(given), image.ctypes.data))\n"
        "    finally:\n"
        "        with model._lock:\n"
        "            model._idle.append(session)\n"
        "    return image\n";
  }
  for (const Port &port : interface.outputs)
    values["RESULT"] += "    " + pythonName(port.identifier) + ": typing.Any\n";

  std::string info = name + "-1.0.dist-info/";
  std::vector<std::pair<std::string, std::string>> files = {
      {name + "/__init__.py", texts.fill(textOf("python/__init__.py").str())},
      {name + "/py.typed", ""},
      {name + "/lib" + name + ".so", (*linked)->getBuffer().str()},
      {info + "METADATA",
       "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\nSummary: The model " +
           interface.model + ", compiled by Halcyon\nRequires-Python: >=3.10\n"
           "Requires-Dist: numpy\n"},
      {info + "WHEEL", "Wheel-Version: 1.0\nGenerator: halcyon\nRoot-Is-Purelib: false\n"
                       "Tag: py3-none-" + platform + "\n"}};
  std::string record;
  for (const auto &[file, content] : files)
    record += recordOf(file, content);
  files.push_back({info + "RECORD", record + info + "RECORD,,\n"});
  sys::fs::remove(library);
  std::string archive = zipOf(files);
  std::string error = archive.empty() ? "a wheel holds at most 4 GB"
                                      : emission.folder->write(wheel, archive);
  if (error.empty())
    error = texts.write("example.py", "python/example.py");
  if (error.empty())
    error = texts.write("README.md", "python/README.md");
  return emission.succeeded(error);
}

static RegisterForm<PythonWheel> pythonWheel;

} // namespace halcyon
