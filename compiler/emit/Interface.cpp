//===- Interface.cpp - A model as its users see it ------------------------===//

#include "compiler/emit/Interface.h"
#include "compiler/emit/Texts.h"

#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace halcyon {

std::string identifierOf(StringRef name) {
  std::string result = name.str();
  for (char &c : result)
    if (!isAlnum(c))
      c = '_';
  return result.empty() || isDigit(result[0]) ? "_" + result : result;
}

std::string pythonName(const std::string &name) {
  static const StringRef kept[] = {
      "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
      "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in",
      "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
      "with", "yield", "self"};
  return is_contained(kept, name) ? name + "_" : name[0] == '_' ? "x" + name : name;
}

namespace {
/// An element type in all of its names.
struct ElementNames {
  StringRef language, c, numpy;
};
} // namespace

static ElementNames namesOf(mlir::Type element) {
  if (element.isBF16())
    return {"bf16", "uint16_t", "uint16"};
  if (element.isF32())
    return {"f32", "float", "float32"};
  if (element.isF64())
    return {"f64", "double", "float64"};
  static const ElementNames whole[2][4] = {
      {{"i8", "int8_t", "int8"},
       {"i16", "int16_t", "int16"},
       {"i32", "int32_t", "int32"},
       {"i64", "int64_t", "int64"}},
      {{"u8", "uint8_t", "uint8"},
       {"u16", "uint16_t", "uint16"},
       {"u32", "uint32_t", "uint32"},
       {"u64", "uint64_t", "uint64"}}};
  unsigned bits = element.getIntOrFloatBitWidth();
  if (bits == 1)
    return {"bool", "uint8_t", "bool"};
  return whole[element.isUnsignedInteger()][Log2_32(bits / 8)];
}

StringRef cTypeOf(mlir::Type element) { return namesOf(element).c; }
StringRef numpyTypeOf(mlir::Type element) { return namesOf(element).numpy; }

StringRef Port::elementText() const { return namesOf(type.getElementType()).language; }

std::string Port::typeText() const {
  std::string text = elementText().str() + "[";
  ListSeparator comma;
  raw_string_ostream os(text);
  for (int64_t size : type.getShape()) {
    os << comma;
    if (mlir::ShapedType::isDynamic(size))
      os << "N";
    else
      os << size;
  }
  return text + "]";
}

StringRef Port::cType() const { return cTypeOf(type.getElementType()); }

Interface::Interface(exec::ProgramOp program)
    : name(identifierOf(program.getSymName())),
      model(program.getSymName().str()) {
  auto read = [](mlir::ArrayAttr ports, std::vector<Port> &to) {
    for (mlir::Attribute attribute : ports) {
      auto port = cast<mlir::DictionaryAttr>(attribute);
      StringRef name = port.getAs<mlir::StringAttr>("name").getValue();
      auto type = cast<mlir::RankedTensorType>(
          port.getAs<mlir::TypeAttr>("type").getValue());
      std::string identifier = identifierOf(name);
      // "a.b" and "a_b" are two.
      while (llvm::any_of(to, [&](const Port &p) { return p.identifier == identifier; }))
        identifier += "_";
      to.push_back({name.str(), identifier, type, port.contains("image")});
    }
  };
  read(program.getInputs(), inputs);
  read(program.getOutputs(), outputs);
}

std::string Interface::portLines(StringRef indent) const {
  std::string text;
  raw_string_ostream os(text);
  auto list = [&](StringRef what, const std::vector<Port> &ports) {
    for (auto [index, port] : enumerate(ports))
      os << indent << what << " " << index << ": " << port.name << ", "
         << port.typeText()
         << (port.image ? ", can be made from a picture\n" : "\n");
  };
  list("input", inputs);
  list("output", outputs);
  return text;
}

void replaceAll(std::string &text, StringRef from, StringRef to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos;
       at += to.size())
    text.replace(at, from.size(), to);
}

TextWriter::TextWriter(const Form &form, const Emission &emission,
                       const Interface &of)
    : folder(*emission.folder) {
  std::string by = form.checkedBy(emission.target), lookedAt = form.lookedAtBy();
  values = {{"NAME", of.name},
            {"UPPER", StringRef(of.name).upper()},
            {"MODEL", of.model},
            {"PORTS", StringRef(of.portLines("- ")).rtrim().str()},
            {"TARGET", emission.target.machine},
            {"CHECKED", !by.empty() ? "Code like this is run by the compiler's tests: " + by + "."
                        : lookedAt.empty()
                            ? "Generated, never run: no test runs this form on this target."
                            : "Generated, never run: in the compiler's tests, kernels like these are " +
                                  lookedAt + "."}};
}

std::string TextWriter::fill(std::string text) const {
  for (const auto &[key, value] : values)
    replaceAll(text, "@" + key + "@", value);
  return text;
}

std::string TextWriter::write(StringRef path, StringRef textName) {
  return folder.write(path, fill(textOf(textName).str()));
}

} // namespace halcyon
