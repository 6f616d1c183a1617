//===- CHelpers.cpp - Functions on vectors in C ---------------------------===//

#include "compiler/codegen/CHelpers.h"

using Halide::Type;

namespace halcyon {

static std::string number(int value) { return std::to_string(value); }

static void replace(std::string &text, const std::string &from,
                    const std::string &to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos;
       at += to.size())
    text.replace(at, from.size(), to);
}

/// How a truth value is kept in a vector.
static Type kept(Type type) {
  return type.is_bool() && type.is_vector() ? Halide::Int(32, type.lanes()) : type;
}

/// "f32", "i8": also the beginning of a vector's name.
static std::string shortName(Type type) {
  type = kept(type);
  if (type.is_bfloat())
    return "bf16";
  return (type.is_float() ? "f" : type.is_int() ? "i" : "u") + number(type.bits());
}

static std::string scalarName(Type type) {
  if (type.is_handle())
    return "void *";
  if (type.is_bool())
    return "int";
  if (type.is_bfloat())
    return "uint16_t";
  if (type.is_float() && type.bits() >= 32)
    return type.bits() == 64 ? "double" : "float";
  if (type.is_float())
    throw std::runtime_error("C has no type of 16-bit floating-point numbers");
  return (type.is_int() ? "int" : "uint") + number(type.bits()) + "_t";
}

/// Vector extensions have sizes that are powers of two.
static bool hasExtension(Type type) {
  return (type.lanes() & (type.lanes() - 1)) == 0;
}

bool CHelpers::need(const std::string &name) { return known.insert(name).second; }

std::string CHelpers::type(Type type) {
  if (!type.is_vector())
    return scalarName(type);
  type = kept(type);
  std::string name = shortName(type) + "x" + number(type.lanes());
  if (!need(name))
    return name;
  std::string element = scalarName(type.element_of()), lanes = number(type.lanes());
  std::string simple = "typedef struct {\n  " + element + " lane[" + lanes + "];\n} " +
                       name + ";\n#define " + name + "_at(v, i) ((v).lane[i])\n";
  std::string text = simple;
  if (hasExtension(type))
    // More alignment than that GCC has notes about.
    text = "#if HALCYON_VECTORS\ntypedef " + element + " " + name +
           " __attribute__((vector_size(" + number(type.lanes() * type.bytes()) +
           "), aligned(16)));\n#define " + name + "_at(v, i) ((v)[i])\n#else\n" + simple +
           "#endif\n";
  texts.push_back({name, text});
  return name;
}

std::string CHelpers::lane(Type type, const std::string &vector,
                           const std::string &index) {
  return this->type(type) + "_at(" + vector + ", " + index + ")";
}

/// A function of arguments (a type and a name, such as "a_") whose value `value` is
/// behind `body`. On vector extensions it is a macro: what an ABI says of how large
/// vectors are passed is then never asked.
void CHelpers::define(const std::string &name, const std::string &result,
                      const std::vector<std::pair<std::string, std::string>> &arguments,
                      const std::vector<std::string> &body, const std::string &value,
                      const std::string &extension, int lanes) {
  std::string parameters, names, held, lines, macro;
  for (const auto &[type, argument] : arguments) {
    std::string upper(1, (char)toupper(argument[0]));
    parameters += (parameters.empty() ? "" : ", ") + type + " " + argument;
    names += (names.empty() ? "" : ", ") + upper;
    held += "    " + type + " " + argument + " = (" + upper + "); \\\n";
  }
  for (const std::string &line : body) {
    lines += "  " + line + "\n";
    macro += "    " + line + " \\\n";
  }
  std::string function = "HALCYON_INLINE " + result + " " + name + "(" + parameters +
                         ") {\n" + lines +
                         (value.empty() ? "" : "  return " + value + ";\n") + "}\n";
  if (hasExtension(Halide::Int(32, lanes)))
    function = "#if HALCYON_VECTORS\n#define " + name + "(" + names +
               ") \\\n  __extension__({ \\\n" + held +
               (extension.empty() ? macro + (value.empty() ? "    (void)0; \\\n" : "    " + value + "; \\\n")
                                  : "    " + extension + "; \\\n") +
               "  })\n#else\n" + function + "#endif\n";
  texts.push_back({name, function});
}

/// A function that computes every lane of its result: `laneText` from $0, $1,
/// the arguments' lanes, and `vectorText` from a_, b_, c_, the arguments.
std::string CHelpers::make(const std::string &name, Type result,
                           const std::vector<Type> &arguments,
                           const std::string &laneText,
                           const std::string &vectorText) {
  std::string returned = type(result), lanes = laneText;
  std::vector<std::pair<std::string, std::string>> named;
  for (size_t i = 0; i != arguments.size(); ++i) {
    std::string argument = std::string(1, char('a' + i)) + "_";
    named.push_back({type(arguments[i]), argument});
    replace(lanes, "$" + number(int(i)),
            arguments[i].is_vector() ? lane(arguments[i], argument, "i_") : argument);
  }
  if (!need(name))
    return name;
  std::string element = scalarName(kept(result).element_of());
  define(name, returned, named,
         {returned + " r_ = {0};",
          "for (int i_ = 0; i_ < " + number(result.lanes()) + "; ++i_)",
          "  " + lane(result, "r_", "i_") + " = (" + element + ")(" + lanes + ");"},
         "r_", vectorText, result.lanes());
  return name;
}

std::string CHelpers::scalar(Type type, const std::string &op) {
  type = type.element_of();
  std::string name = "halcyon_" + op + "_" + shortName(type), t = scalarName(type);
  if (!need(name))
    return name;
  std::string body;
  if (op == "mod")
    // The remainder is never negative; by zero all is zero.
    body = type.is_uint() ? "  return (" + t + ")(b == 0 ? 0 : a % b);\n"
                          : "  " + t + " r = (" + t + ")(b == 0 ? 0 : a % b);\n  return (" +
                                t + ")(r < 0 ? r + (b < 0 ? -b : b) : r);\n";
  else if (op == "div")
    body = type.is_uint() ? "  return (" + t + ")(b == 0 ? 0 : a / b);\n"
                          : "  return (" + t + ")(b == 0 ? 0 : (a - " +
                                scalar(type, "mod") + "(a, b)) / b);\n";
  else
    body = "  return a " + std::string(op == "min" ? "<" : ">") + " b ? a : b;\n";
  texts.push_back({name, "HALCYON_INLINE " + t + " " + name + "(" + t + " a, " + t +
                             " b) {\n" + body + "}\n"});
  return name;
}

/// The type of whole numbers with the width of a vector's elements.
static Type bitsOf(Type type) { return Halide::Int(type.bits(), type.lanes()); }

std::string CHelpers::binary(Type type, const std::string &op) {
  type = kept(type);
  std::string t = this->type(type), name = t + "_" + op;
  static const std::pair<const char *, const char *> simple[] = {
      {"add", "+"}, {"sub", "-"}, {"mul", "*"}, {"and", "&"}, {"or", "|"}, {"xor", "^"}};
  for (auto [known, sign] : simple)
    if (op == known)
      return make(name, type, {type, type}, "$0 " + std::string(sign) + " $1",
                  "a_ " + std::string(sign) + " b_");
  if (op == "div" && type.is_float())
    return make(name, type, {type, type}, "$0 / $1", "a_ / b_");
  if (op == "min" || op == "max") {
    std::string sign = op == "min" ? "<" : ">", bits = this->type(bitsOf(type));
    return make(name, type, {type, type}, "$0 " + sign + " $1 ? $0 : $1",
                "(" + t + ")(((" + bits + ")(a_ " + sign + " b_) & (" + bits + ")a_) | (~(" +
                    bits + ")(a_ " + sign + " b_) & (" + bits + ")b_))");
  }
  if (op == "shl" || op == "shr") {
    Type wide = type.with_code(Halide::Type::UInt);
    std::string u = scalarName(wide.element_of());
    return op == "shl"
               ? make(name, type, {type, type}, "(" + u + ")$0 << $1",
                      "(" + t + ")((" + this->type(wide) + ")a_ << (" + this->type(wide) + ")b_)")
               : make(name, type, {type, type}, "$0 >> $1", "a_ >> b_");
  }
  return make(name, type, {type, type}, scalar(type, op) + "($0, $1)", "");
}

std::string CHelpers::compare(Type type, const std::string &op) {
  type = kept(type);
  static const std::pair<const char *, const char *> signs[] = {
      {"eq", "=="}, {"ne", "!="}, {"lt", "<"}, {"le", "<="}, {"gt", ">"}, {"ge", ">="}};
  std::string sign;
  for (auto [known, text] : signs)
    if (op == known)
      sign = text;
  Type mask = Halide::Int(32, type.lanes());
  std::string m = this->type(mask);
  return make(this->type(type) + "_" + op, mask, {type, type}, "-($0 " + sign + " $1)",
              type.bits() == 32
                  ? "(" + m + ")(a_ " + sign + " b_)"
                  : "__builtin_convertvector(a_ " + sign + " b_, " + m + ")");
}

std::string CHelpers::maskBinary(int lanes, const std::string &op) {
  return binary(Halide::Int(32, lanes), op);
}

std::string CHelpers::maskNot(int lanes) {
  Type mask = Halide::Int(32, lanes);
  return make(type(mask) + "_not", mask, {mask}, "~$0", "~a_");
}

std::string CHelpers::select(Type type) {
  type = kept(type);
  Type mask = Halide::Int(32, type.lanes());
  std::string t = this->type(type), bits = this->type(bitsOf(type));
  std::string m = type.bits() == 32 ? "a_" : "__builtin_convertvector(a_, " + bits + ")";
  return make(t + "_select", type, {mask, type, type}, "$0 ? $1 : $2",
              "(" + t + ")((" + m + " & (" + bits + ")b_) | (~" + m + " & (" + bits + ")c_))");
}

std::string CHelpers::cast(Type from, Type to) {
  std::string t = type(to);
  if (from.is_bfloat() || to.is_bfloat()) {
    // To bf16 rounds to the nearest, of two to the even; from it is exact.
    std::string name = from.is_bfloat() ? "halcyon_f32_of_bf16" : "halcyon_bf16_of_f32";
    if (need(name))
      texts.push_back(
          {name, from.is_bfloat()
                     ? "HALCYON_INLINE float halcyon_f32_of_bf16(uint16_t a) {\n"
                       "  uint32_t bits = (uint32_t)a << 16;\n  float r;\n"
                       "  memcpy(&r, &bits, sizeof r);\n  return r;\n}\n"
                     : "HALCYON_INLINE uint16_t halcyon_bf16_of_f32(float a) {\n"
                       "  uint32_t bits;\n  memcpy(&bits, &a, sizeof bits);\n"
                       "  if ((bits & 0x7fffffffu) > 0x7f800000u)\n    return 0x7fc0;\n"
                       "  return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);\n}\n"});
    if (!to.is_vector())
      return name;
    return make(t + "_of_" + type(from), to, {from}, name + "($0)", "");
  }
  std::string name = t + (to.is_bool() ? "_mask_of_" : "_of_") +
                     (from.is_bool() ? "mask_" : "") + type(from);
  if (to.is_bool())
    return make(name, to, {from}, "-($0 != 0)", "");
  if (from.is_bool())
    return make(name, to, {from}, "$0 != 0", "");
  return make(name, to, {from}, "$0", "__builtin_convertvector(a_, " + t + ")");
}

std::string CHelpers::reinterpret(Type from, Type to) {
  std::string t = type(to), f = type(from);
  std::string name = "halcyon_" + shortName(to) + "x" + number(to.lanes()) + "_bits_of_" +
                     shortName(from) + "x" + number(from.lanes());
  if (need(name))
    define(name, t, {{f, "a_"}}, {t + " r_;", "memcpy(&r_, &a_, sizeof r_);"}, "r_", "",
           to.lanes());
  return name;
}

std::string CHelpers::broadcast(Type type) {
  type = kept(type);
  std::string t = this->type(type);
  // Less zero: -0 stays what it is.
  return make(t + "_all", type, {type.element_of()}, "$0", "a_ - (" + t + "){0}");
}

std::string CHelpers::ramp(Type type) {
  std::string t = this->type(type);
  return make(t + "_ramp", type, {type.element_of(), type.element_of()}, "$0 + i_ * $1", "");
}

static const char *accessName(CHelpers::Access access) {
  return access == CHelpers::Access::Dense     ? ""
         : access == CHelpers::Access::Strided ? "_strided"
                                               : "_indexed";
}

/// The index of lane i.
static std::string element(CHelpers &helpers, CHelpers::Access access, int lanes) {
  return access == CHelpers::Access::Dense     ? "i_"
         : access == CHelpers::Access::Strided ? "i_ * s_"
             : helpers.lane(Halide::Int(32, lanes), "s_", "i_");
}

/// The names of a function that reads or writes memory, with what it takes behind
/// the pointer and the value.
std::string CHelpers::access(Type type, const char *verb, Access access, bool masked,
                             std::vector<std::pair<std::string, std::string>> &arguments,
                             std::vector<std::string> &loop) {
  if (access == Access::Strided)
    arguments.push_back({"int32_t", "s_"});
  if (access == Access::Indexed)
    arguments.push_back({this->type(Halide::Int(32, type.lanes())), "s_"});
  Type mask = Halide::Int(32, type.lanes());
  if (masked)
    arguments.push_back({this->type(mask), "m_"});
  loop = {"for (int i_ = 0; i_ < " + number(type.lanes()) + "; ++i_)"};
  if (masked)
    loop.push_back("  if (" + lane(mask, "m_", "i_") + ")");
  return this->type(type) + verb + accessName(access) + (masked ? "_masked" : "");
}

std::string CHelpers::load(Type type, Access how, bool masked) {
  std::string t = this->type(type);
  std::vector<std::pair<std::string, std::string>> arguments = {
      {"const " + scalarName(type.element_of()) + " *", "p_"}};
  std::vector<std::string> loop;
  std::string name = access(type, "_load", how, masked, arguments, loop);
  if (!need(name))
    return name;
  loop.insert(loop.begin(), t + " r_ = {0};");
  loop.push_back("    " + lane(type, "r_", "i_") + " = p_[" +
                 element(*this, how, type.lanes()) + "];");
  if (how == Access::Dense && !masked)
    loop = {t + " r_;", "memcpy(&r_, p_, sizeof r_);"};
  define(name, t, arguments, loop, "r_", "", type.lanes());
  return name;
}

std::string CHelpers::store(Type type, Access how, bool masked) {
  std::vector<std::pair<std::string, std::string>> arguments = {
      {scalarName(type.element_of()) + " *", "p_"}, {this->type(type), "v_"}};
  std::vector<std::string> loop;
  std::string name = access(type, "_store", how, masked, arguments, loop);
  if (!need(name))
    return name;
  loop.push_back("    p_[" + element(*this, how, type.lanes()) +
                 "] = " + lane(type, "v_", "i_") + ";");
  if (how == Access::Dense && !masked)
    loop = {"memcpy(p_, &v_, sizeof v_);"};
  define(name, "void", arguments, loop, "", "", type.lanes());
  return name;
}

std::string CHelpers::library(Type type, const std::string &function,
                              unsigned arguments) {
  if (!type.is_vector())
    return function;
  std::string lanes = function + "($0" + (arguments == 2 ? ", $1)" : ")");
  return make(this->type(type) + "_" + function, type,
              std::vector<Type>(arguments, type), lanes, "");
}

} // namespace halcyon
