//===- CExpressions.cpp - Halide's expressions as C -----------------------===//

#include "compiler/codegen/CPrinter.h"

#include <cmath>

using namespace Halide::Internal;
using Halide::Expr;
using Halide::Type;

namespace halcyon {

//===----------------------------------------------------------------------===//
// Scalars and vectors
//===----------------------------------------------------------------------===//

void CPrinter::visit(const IntImm *op) {
  if (op->type.bits() == 64)
    out = op->value == INT64_MIN ? "INT64_MIN"
                                 : "INT64_C(" + std::to_string(op->value) + ")";
  else
    out = op->value == INT32_MIN ? "INT32_MIN" : std::to_string(op->value);
  if (op->value < 0)
    out = "(" + out + ")";
}

void CPrinter::visit(const UIntImm *op) {
  std::string text = std::to_string(op->value);
  out = op->type.is_bool()       ? text
        : op->type.bits() == 64  ? "UINT64_C(" + text + ")"
        : op->type.bits() == 32  ? text + "u"
                                 : text;
}

void CPrinter::visit(const FloatImm *op) {
  if (std::isnan(op->value)) {
    out = "NAN";
  } else if (std::isinf(op->value)) {
    out = op->value < 0 ? "(-INFINITY)" : "INFINITY";
  } else {
    char text[64];
    snprintf(text, sizeof text, op->type.bits() == 64 ? "%.17g" : "%.9g", op->value);
    out = text;
    if (out.find_first_of(".e") == std::string::npos)
      out += ".0";
    if (op->type.bits() != 64)
      out += "f";
    if (op->value < 0)
      out = "(" + out + ")";
  }
}

void CPrinter::visit(const Cast *op) {
  std::string value = print(op->value);
  Type from = op->value.type();
  if (op->type.is_vector() || op->type.is_bfloat() || from.is_bfloat()) {
    // Halves of a register's bits only go to and from f32.
    Type single = Halide::Float(32, op->type.lanes());
    if (op->type.is_bfloat() && from != single) {
      value = op->type.is_vector() ? helpers.cast(from, single) + "(" + value + ")"
                                   : "(float)" + value;
      from = single;
    }
    std::string cast = helpers.cast(
        from, from.is_bfloat() && !op->type.is_bfloat() ? single : op->type);
    out = cast + "(" + value + ")";
    if (from.is_bfloat() && op->type != single)
      out = op->type.is_vector() ? helpers.cast(single, op->type) + "(" + out + ")"
                                 : "(" + helpers.type(op->type) + ")" + out;
  } else if (op->type.is_bool()) {
    out = "(" + value + " != 0)";
  } else {
    out = "(" + helpers.type(op->type) + ")(" + value + ")";
  }
}

void CPrinter::visit(const Reinterpret *op) {
  std::string value = print(op->value);
  Type from = op->value.type(), to = op->type;
  bool same = helpers.type(from) == helpers.type(to);
  out = same ? value : helpers.reinterpret(from, to) + "(" + value + ")";
}

void CPrinter::binary(Type type, const std::string &a, const std::string &b,
                      const std::string &name, const std::string &sign) {
  if (type.is_vector())
    out = helpers.binary(type, name) + "(" + a + ", " + b + ")";
  else if (sign.empty())
    out = helpers.scalar(type, name) + "(" + a + ", " + b + ")";
  else
    out = "(" + a + " " + sign + " " + b + ")";
  // C computes small numbers as int.
  if (!type.is_vector() && !type.is_float() && type.bits() < 32)
    out = "(" + helpers.type(type) + ")" + out;
}

void CPrinter::visit(const Mod *op) {
  if (op->type.is_float())
    throw std::runtime_error("C has no form of a remainder of floats");
  arithmetic(op, "mod", "");
}

void CPrinter::comparison(const Expr &a, const Expr &b, const char *name,
                          const char *sign) {
  std::string left = print(a), right = print(b);
  out = a.type().is_vector()
            ? helpers.compare(a.type(), name) + "(" + left + ", " + right + ")"
            : "(" + left + " " + sign + " " + right + ")";
}

void CPrinter::logic(const Expr &a, const Expr &b, const char *name, const char *sign) {
  std::string left = print(a), right = print(b);
  out = a.type().is_vector() ? helpers.maskBinary(a.type().lanes(), name) + "(" + left +
                                   ", " + right + ")"
                             : "(" + left + " " + sign + " " + right + ")";
}

void CPrinter::visit(const Not *op) {
  std::string value = print(op->a);
  out = op->type.is_vector() ? helpers.maskNot(op->type.lanes()) + "(" + value + ")"
                             : "!" + value;
}

void CPrinter::visit(const Select *op) {
  std::string condition = print(op->condition), a = print(op->true_value),
              b = print(op->false_value);
  if (op->type.is_vector() && op->condition.type().is_vector())
    out = helpers.select(op->type) + "(" + condition + ", " + a + ", " + b + ")";
  else
    out = "(" + condition + " ? " + a + " : " + b + ")";
}

void CPrinter::visit(const Ramp *op) {
  Type base = op->base.type();
  std::string first = print(op->base), stride = print(op->stride);
  if (!base.is_vector()) {
    out = helpers.ramp(op->type) + "(" + first + ", " + stride + ")";
    return;
  }
  // A ramp of vectors: each next one is a stride further.
  first = hold("base", base, first);
  stride = hold("stride", base, stride);
  std::string result = fresh("ramp");
  line(helpers.type(op->type) + " " + result + " = {0};");
  line("for (int i = 0; i < " + std::to_string(op->type.lanes()) + "; ++i)");
  std::string inner = std::to_string(base.lanes());
  line("  " + helpers.lane(op->type, result, "i") + " = " +
       helpers.lane(base, first, "i % " + inner) + " + i / " + inner + " * " +
       helpers.lane(base, stride, "i % " + inner) + ";");
  out = result;
}

void CPrinter::visit(const Broadcast *op) {
  Type type = op->value.type();
  std::string value = print(op->value);
  if (!type.is_vector()) {
    out = helpers.broadcast(op->type) + "(" + (type.is_bool() ? "-" : "") + value + ")";
    return;
  }
  value = hold("part", type, value);
  std::string result = fresh("parts");
  line(helpers.type(op->type) + " " + result + " = {0};");
  line("for (int i = 0; i < " + std::to_string(op->type.lanes()) + "; ++i)");
  line("  " + helpers.lane(op->type, result, "i") + " = " +
       helpers.lane(type, value, "i % " + std::to_string(type.lanes())) + ";");
  out = result;
}

void CPrinter::visit(const Let *op) {
  bind(op->name, hold(op->name, op->value.type(), print(op->value)));
  out = print(op->body);
}

void CPrinter::visit(const Shuffle *op) {
  // The lanes of all vectors, one after another.
  std::vector<std::string> lanes;
  for (const Expr &vector : op->vectors) {
    std::string name = hold("from", vector.type(), print(vector));
    for (int i = 0; i < vector.type().lanes(); ++i)
      lanes.push_back(vector.type().is_vector()
                          ? helpers.lane(vector.type(), name, std::to_string(i))
                      : vector.type().is_bool() ? "-" + name
                                                : name);
  }
  if (!op->type.is_vector()) {
    out = lanes[op->indices[0]];
    return;
  }
  std::string result = fresh("lanes");
  line(helpers.type(op->type) + " " + result + " = {0};");
  // A slice of one vector, or a whole one, is a loop.
  int count = (int)op->indices.size(), begin = op->indices[0];
  int width = op->vectors[0].type().lanes();
  bool even = op->vectors[0].type().is_vector() && count > 4;
  for (int i = 0; i < count; ++i)
    even = even && op->indices[i] == begin + i && op->indices[i] / width == begin / width;
  if (even) {
    std::string at = lanes[begin / width * width];
    at = at.substr(0, at.rfind(", ")) + ", i + " + std::to_string(begin % width) + ")";
    line("for (int i = 0; i < " + std::to_string(count) + "; ++i)");
    line("  " + helpers.lane(op->type, result, "i") + " = " + at + ";");
  } else {
    for (int i = 0; i < count; ++i)
      line(helpers.lane(op->type, result, std::to_string(i)) + " = " +
           lanes[op->indices[i]] + ";");
  }
  out = result;
}

void CPrinter::visit(const VectorReduce *op) {
  Type from = op->value.type(), element = op->type.element_of();
  std::string value = hold("terms", from, print(op->value));
  int factor = from.lanes() / op->type.lanes();
  static const std::pair<VectorReduce::Operator, std::pair<const char *, const char *>>
      signs[] = {{VectorReduce::Add, {"add", "+"}}, {VectorReduce::Mul, {"mul", "*"}},
                 {VectorReduce::Min, {"min", ""}},  {VectorReduce::Max, {"max", ""}},
                 {VectorReduce::And, {"and", "&"}}, {VectorReduce::Or, {"or", "|"}}};
  std::string name, sign;
  for (auto &[known, texts] : signs)
    if (op->op == known) {
      name = texts.first;
      sign = texts.second;
    }
  if (name.empty())
    throw std::runtime_error("C has no form of a saturating sum");
  if (element.is_bool())
    element = Halide::Int(32);
  auto term = [&](const std::string &index) { return helpers.lane(from, value, index); };
  std::string result = fresh("sum"), f = std::to_string(factor);
  if (!op->type.is_vector()) {
    line(helpers.type(element) + " " + result + " = " + term("0") + ";");
    binary(element, result, term("i"), name, sign);
    line("for (int i = 1; i < " + f + "; ++i)");
    line("  " + result + " = " + out + ";");
    out = op->type.is_bool() ? "(" + result + " != 0)" : result;
    return;
  }
  std::string sum = helpers.lane(op->type, result, "i");
  line(helpers.type(op->type) + " " + result + " = {0};");
  open("for (int i = 0; i < " + std::to_string(op->type.lanes()) + "; ++i) {");
  line(sum + " = " + term("i * " + f) + ";");
  line("for (int j = 1; j < " + f + "; ++j)");
  binary(element, sum, term("i * " + f + " + j"), name, sign);
  line("  " + sum + " = " + out + ";");
  close();
  out = result;
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// Evaluates only the side that is taken: the other may read out of bounds.
void CPrinter::branch(const Call *op) {
  std::string condition = print(op->args[0]), result = fresh("chosen");
  line(helpers.type(op->type) + " " + result + (op->type.is_vector() ? " = {0};" : " = 0;"));
  open("if (" + condition + ") {");
  std::string value = print(op->args[1]);
  line(result + " = " + value + ";");
  if (op->args.size() > 2) {
    close("} else {");
    indent += 2;
    value = print(op->args[2]);
    line(result + " = " + value + ";");
  }
  close();
  out = result;
}

void CPrinter::libraryCall(const Call *op) {
  // "exp_f32" is C's expf.
  size_t split = op->name.rfind("_f");
  std::string base = op->name.substr(0, split), bits =
      split == std::string::npos ? "" : op->name.substr(split + 2);
  static const std::map<std::string, std::string> functions = {
      {"sqrt", "sqrt"},   {"exp", "exp"},     {"log", "log"},     {"pow", "pow"},
      {"sin", "sin"},     {"cos", "cos"},     {"tan", "tan"},     {"asin", "asin"},
      {"acos", "acos"},   {"atan", "atan"},   {"atan2", "atan2"}, {"sinh", "sinh"},
      {"cosh", "cosh"},   {"tanh", "tanh"},   {"asinh", "asinh"}, {"acosh", "acosh"},
      {"atanh", "atanh"}, {"floor", "floor"}, {"ceil", "ceil"},   {"trunc", "trunc"},
      {"round", "nearbyint"}, {"erf", "erf"}};
  std::vector<std::string> args;
  for (const Expr &arg : op->args)
    args.push_back(print(arg));
  Type type = op->type;
  auto one = [&] {
    std::string text = type.bits() == 64 ? "1.0" : "1.0f";
    return type.is_vector() ? helpers.broadcast(type) + "(" + text + ")" : text;
  };
  auto found = functions.find(base);
  if (found != functions.end() && (bits == "32" || bits == "64")) {
    std::string name = found->second + (bits == "32" ? "f" : "");
    out = helpers.library(type, name, args.size()) + "(" + args[0] +
          (args.size() > 1 ? ", " + args[1] : "") + ")";
  } else if (base == "fast_inverse") {
    binary(type, one(), args[0], "div", "/");
  } else if (base == "fast_inverse_sqrt") {
    std::string root = helpers.library(type, bits == "32" ? "sqrtf" : "sqrt", 1);
    binary(type, one(), root + "(" + args[0] + ")", "div", "/");
  } else if ((base == "is_nan" || base == "is_inf" || base == "is_finite") &&
             !type.is_vector()) {
    out = "(" + std::string(base == "is_nan" ? "isnan" : base == "is_inf" ? "isinf" : "isfinite") +
          "(" + args[0] + ") != 0)";
  } else if (base == "is_nan") {
    std::string value = hold("value", op->args[0].type(), args[0]);
    out = helpers.compare(op->args[0].type(), "ne") + "(" + value + ", " + value + ")";
  } else {
    throw std::runtime_error("C has no form of '" + op->name + "'");
  }
}

void CPrinter::visit(const Call *op) {
  auto unary = [&](const Expr &a, const Expr &b, const char *name, const char *sign) {
    binary(op->type, print(a), print(b), name, sign);
  };
  if (op->name == Call::buffer_get_host) {
    out = print(op->args[0]) + "->host";
  } else if (op->name == Call::buffer_get_min || op->name == Call::buffer_get_extent ||
             op->name == Call::buffer_get_stride) {
    const char *field = op->name == Call::buffer_get_min      ? "min"
                        : op->name == Call::buffer_get_extent ? "extent"
                                                              : "stride";
    out = print(op->args[0]) + "->dim[" + print(op->args[1]) + "]." + field;
  } else if (op->is_intrinsic({Call::likely, Call::likely_if_innermost,
                               Call::promise_clamped, Call::unsafe_promise_clamped})) {
    out = print(op->args[0]);
  } else if (op->is_intrinsic(Call::return_second) || op->is_intrinsic(Call::require)) {
    out = print(op->args[1]);
  } else if (op->is_intrinsic(Call::if_then_else)) {
    branch(op);
  } else if (op->is_intrinsic({Call::bitwise_and, Call::strict_min})) {
    unary(op->args[0], op->args[1], op->is_intrinsic(Call::strict_min) ? "min" : "and",
          op->is_intrinsic(Call::strict_min) ? "" : "&");
  } else if (op->is_intrinsic(Call::bitwise_or)) {
    unary(op->args[0], op->args[1], "or", "|");
  } else if (op->is_intrinsic(Call::bitwise_xor)) {
    unary(op->args[0], op->args[1], "xor", "^");
  } else if (op->is_intrinsic(Call::bitwise_not)) {
    Expr ones = op->type.is_uint() ? op->type.max() : Halide::Internal::make_const(op->type, -1);
    unary(op->args[0], ones, "xor", "^");
  } else if (op->is_intrinsic({Call::shift_left, Call::shift_right})) {
    bool left = op->is_intrinsic(Call::shift_left);
    std::string a = print(op->args[0]);
    Expr by = op->args[1].type() == op->type ? op->args[1] : Halide::cast(op->type, op->args[1]);
    std::string b = print(by);
    if (left && !op->type.is_vector() && op->type.is_int())
      out = "(" + helpers.type(op->type) + ")((u" + helpers.type(op->type) + ")" + a +
            " << " + b + ")";
    else
      binary(op->type, a, b, left ? "shl" : "shr", left ? "<<" : ">>");
  } else if (op->is_intrinsic(Call::abs)) {
    Type from = op->args[0].type();
    if (from.is_float()) {
      out = helpers.library(from, from.bits() == 64 ? "fabs" : "fabsf", 1) + "(" +
            print(op->args[0]) + ")";
    } else {
      Expr value = Variable::make(from, "abs.value");
      bind("abs.value", hold("value", from, print(op->args[0])));
      Expr zero = Halide::Internal::make_zero(from);
      out = print(Cast::make(op->type, Select::make(value < zero, zero - value, value)));
    }
  } else if (op->is_intrinsic(Call::round)) {
    out = helpers.library(op->type, op->type.bits() == 64 ? "nearbyint" : "nearbyintf", 1) +
          "(" + print(op->args[0]) + ")";
  } else if (op->is_intrinsic(Call::undef)) {
    out = print(Halide::Internal::make_zero(op->type));
  } else if (op->is_intrinsic({Call::strict_add, Call::strict_sub, Call::strict_mul,
                               Call::strict_div, Call::strict_max})) {
    bool max = op->is_intrinsic(Call::strict_max);
    std::string name = op->name.substr(strlen("strict_"));
    static const std::map<std::string, std::string> signs = {
        {"add", "+"}, {"sub", "-"}, {"mul", "*"}, {"div", "/"}};
    unary(op->args[0], op->args[1], name.c_str(), max ? "" : signs.at(name).c_str());
  } else if (op->is_intrinsic(Call::strict_eq)) {
    comparison(op->args[0], op->args[1], "eq", "==");
  } else if (op->is_intrinsic(Call::strict_lt)) {
    comparison(op->args[0], op->args[1], "lt", "<");
  } else if (op->is_intrinsic(Call::strict_le)) {
    comparison(op->args[0], op->args[1], "le", "<=");
  } else if (op->is_intrinsic({Call::div_round_to_zero, Call::mod_round_to_zero}) &&
             !op->type.is_vector()) {
    unary(op->args[0], op->args[1], "",
          op->is_intrinsic(Call::div_round_to_zero) ? "/" : "%");
  } else if (op->is_intrinsic()) {
    Expr lowered = lower_intrinsics(Expr(op));
    if (lowered.same_as(op))
      throw std::runtime_error("C has no form of '" + op->name + "'");
    out = print(lowered);
  } else {
    libraryCall(op);
  }
}

} // namespace halcyon
