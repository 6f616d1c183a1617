//===- Arithmetic.cpp - Numbers, ranges and helper functions --------------===//

#include "Elaborator.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>
#include <limits>

using namespace halcyon;
using namespace halcyon::dsl;
using llvm::SMRange;
using llvm::StringRef;
using llvm::Twine;

static constexpr int64_t maxRange = 65536;

/// Functions of numbers and of elements, then functions of lists.
static constexpr StringRef helpers[] = {
    "abs", "ceil",  "clamp", "cos", "erf",      "exp",   "floor",
    "log", "log1p", "max",   "min", "pow",      "round", "rsqrt",
    "sin", "sqrt",  "tanh",  "len", "list", "mean", "pair",
    "product", "require", "reversed", "sum", "triple"};

llvm::ArrayRef<StringRef> halcyon::dsl::helperNames() { return helpers; }

bool halcyon::dsl::isHelper(StringRef name) {
  return llvm::is_contained(helpers, name);
}

static bool isListHelper(StringRef name) {
  return name == "len" || name == "list" || name == "reversed" || name == "sum" ||
         name == "mean" || name == "product";
}

/// How many arguments a helper takes; 0 stands for one or more.
static unsigned helperArity(StringRef name) {
  if (name == "max" || name == "min")
    return 0;
  if (name == "clamp")
    return 3;
  return name == "pow" || name == "require" ? 2 : 1;
}

static std::optional<int64_t> integerPower(int64_t base, int64_t exponent) {
  int64_t result = 1;
  if (base == 0 || base == 1)
    return exponent == 0 ? 1 : base;
  if (base == -1)
    return exponent % 2 ? -1 : 1;
  for (int64_t i = 0; i < exponent; ++i)
    if (__builtin_mul_overflow(result, base, &result))
      return std::nullopt;
  return result;
}

Value Elaborator::arithmetic(BinaryOp op, const Value &lhs, const Value &rhs,
                             SMRange where) {
  auto tooLarge = [&] {
    return error(where, "the result of '" + spelling(op) + "' is too large");
  };
  if (op == BinaryOp::Div || op == BinaryOp::Mod)
    if (rhs.asReal() == 0)
      return error(where, "division by zero");
  if (lhs.isInt() && rhs.isInt()) {
    int64_t a = lhs.asInt(), b = rhs.asInt(), result = 0;
    bool smallest = a == std::numeric_limits<int64_t>::min() && b == -1;
    switch (op) {
    case BinaryOp::Add:
      return __builtin_add_overflow(a, b, &result) ? tooLarge()
                                                   : Value::integer(result);
    case BinaryOp::Sub:
      return __builtin_sub_overflow(a, b, &result) ? tooLarge()
                                                   : Value::integer(result);
    case BinaryOp::Mul:
      return __builtin_mul_overflow(a, b, &result) ? tooLarge()
                                                   : Value::integer(result);
    case BinaryOp::Div:
      if (smallest)
        return tooLarge();
      if (a % b == 0)
        return Value::integer(a / b);
      break;
    case BinaryOp::Mod:
      if (smallest)
        return Value::integer(0);
      return Value::integer(((a % b) + b) % b);
    case BinaryOp::Pow:
      if (b >= 0) {
        std::optional<int64_t> power = integerPower(a, b);
        return power ? Value::integer(*power) : tooLarge();
      }
      break;
    default:
      llvm_unreachable("an arithmetic operator");
    }
  }
  double a = lhs.asReal(), b = rhs.asReal(), result = 0;
  switch (op) {
  case BinaryOp::Add:
    result = a + b;
    break;
  case BinaryOp::Sub:
    result = a - b;
    break;
  case BinaryOp::Mul:
    result = a * b;
    break;
  case BinaryOp::Div:
    result = a / b;
    break;
  case BinaryOp::Mod:
    result = a - b * std::floor(a / b);
    break;
  case BinaryOp::Pow:
    result = std::pow(a, b);
    break;
  default:
    llvm_unreachable("an arithmetic operator");
  }
  if (!std::isfinite(result))
    return error(where, "the result of '" + spelling(op) + "' is no number");
  return Value::real(result);
}

static bool equal(const Value &lhs, const Value &rhs, unsigned depth = 0) {
  if (lhs.isNumber() && rhs.isNumber())
    return lhs.isInt() && rhs.isInt() ? lhs.asInt() == rhs.asInt()
                                      : lhs.asReal() == rhs.asReal();
  if (lhs.isText() && rhs.isText())
    return lhs.asText() == rhs.asText();
  if (lhs.kind() != rhs.kind())
    return false;
  switch (lhs.kind()) {
  case ValueKind::Bool:
    return lhs.asBool() == rhs.asBool();
  case ValueKind::Callable:
    return lhs.asCallable() == rhs.asCallable();
  case ValueKind::Instance:
    return &lhs.asInstance() == &rhs.asInstance();
  case ValueKind::Tensor:
    return lhs.asMlir() == rhs.asMlir();
  case ValueKind::Sequence:
    // Shared sublists could make the comparison exponentially long.
    return depth < 4 && llvm::equal(
                            lhs.items(), rhs.items(),
                            [&](const Value &a, const Value &b) {
                              return equal(a, b, depth + 1);
                            });
  default:
    return false;
  }
}

Value Elaborator::compare(BinaryOp op, const Value &lhs, const Value &rhs,
                          SMRange where) {
  if (op == BinaryOp::Eq || op == BinaryOp::Ne)
    return Value::boolean(equal(lhs, rhs) == (op == BinaryOp::Eq));
  if (!lhs.isNumber() || !rhs.isNumber())
    return error(where, "'" + spelling(op) + "' compares numbers, not " +
                            kindText(lhs) + " and " + kindText(rhs));
  bool less = lhs.isInt() && rhs.isInt() ? lhs.asInt() < rhs.asInt()
                                         : lhs.asReal() < rhs.asReal();
  bool same = equal(lhs, rhs);
  switch (op) {
  case BinaryOp::Lt:
    return Value::boolean(less);
  case BinaryOp::Le:
    return Value::boolean(less || same);
  case BinaryOp::Gt:
    return Value::boolean(!less && !same);
  default:
    return Value::boolean(!less);
  }
}

Value Elaborator::makeRange(int64_t from, int64_t to, SMRange where) {
  std::vector<Value> items;
  if (from <= to) {
    int64_t length;
    if (__builtin_sub_overflow(to, from, &length) || length >= maxRange)
      return error(where,
                   "this range has more than " + Twine(maxRange) + " numbers");
    steps += length / 16;
    for (int64_t i = from; i < to; ++i)
      items.push_back(Value::integer(i));
    items.push_back(Value::integer(to));
  }
  return Value::sequence(true, std::move(items));
}

static double applyReal(StringRef name, double x) {
  if (name == "exp")
    return std::exp(x);
  if (name == "log")
    return std::log(x);
  if (name == "log1p")
    return std::log1p(x);
  if (name == "sqrt")
    return std::sqrt(x);
  if (name == "rsqrt")
    return 1 / std::sqrt(x);
  if (name == "tanh")
    return std::tanh(x);
  if (name == "erf")
    return std::erf(x);
  if (name == "sin")
    return std::sin(x);
  if (name == "cos")
    return std::cos(x);
  if (name == "floor")
    return std::floor(x);
  if (name == "ceil")
    return std::ceil(x);
  // To the nearest, and from the middle to the even one, as elements are.
  return std::nearbyint(x);
}

Value Elaborator::helperOfNumbers(StringRef name,
                                  const std::vector<Value> &args,
                                  SMRange where) {
  const Value &x = args.front();
  if (name == "max" || name == "min") {
    Value best = x;
    for (const Value &other : args) {
      bool less = other.asReal() < best.asReal();
      if (name == "min" ? less : best.asReal() < other.asReal())
        best = other;
    }
    return best;
  }
  if (name == "clamp") {
    if (x.asReal() < args[1].asReal())
      return args[1];
    return x.asReal() > args[2].asReal() ? args[2] : x;
  }
  if (name == "pow")
    return arithmetic(BinaryOp::Pow, x, args[1], where);
  if (name == "abs")
    return x.isInt() && x.asInt() >= 0 ? x
           : x.isInt() ? arithmetic(BinaryOp::Sub, Value::integer(0), x, where)
                       : Value::real(std::fabs(x.asReal()));
  bool rounds = name == "floor" || name == "ceil" || name == "round";
  if (rounds && x.isInt())
    return x;
  double result = applyReal(name, x.asReal());
  if (!std::isfinite(result))
    return error(where, "'" + name + "' of " + valueText(x) + " is no number");
  if (rounds && std::fabs(result) < 9e15)
    return Value::integer(static_cast<int64_t>(result));
  return Value::real(result);
}

/// Whether a value is a tensor of which every image has its own part.
static bool isOfImages(const Value &value) {
  if (!value.isTensor())
    return false;
  auto type = llvm::cast<mlir::RankedTensorType>(value.asMlir().getType());
  return type.getRank() > 0 && type.isDynamicDim(0);
}

/// How to have all of a tensor's elements where a list is wanted.
static std::vector<std::string> notesOnAll(StringRef name, const Value &value) {
  if (!value.isTensor() || (name != "mean" && name != "sum" && name != "product"))
    return {};
  int64_t rank = llvm::cast<mlir::RankedTensorType>(value.asMlir().getType()).getRank();
  bool images = isOfImages(value);
  static constexpr StringRef all[] = {"c", "i", "j", "k"};
  if (rank < 1 + images || rank - images > int64_t(std::size(all)))
    return {};
  std::string indices = llvm::join(llvm::ArrayRef(all).take_front(rank - images), ", ");
  std::string image = images ? "n" : "";
  return {"over a tensor's elements indices run: op all(x)[" + image + "] = " + name.str() +
          "(x[" + image + (images ? ", " : "") + indices + "] for " + indices + ")"};
}

Value Elaborator::helper(StringRef name, const std::vector<Arg> &args,
                         SMRange where, const StringExpr *as) {
  for (const Arg &arg : args)
    if (!arg.name.text.empty())
      return error(arg.name.range,
                   "'" + name + "' takes its arguments by position");
  unsigned arity = helperArity(name);
  if (arity ? args.size() != arity : args.empty())
    return error(where, "'" + name + "' takes " +
                            (arity ? Twine(arity) : Twine("at least one")) +
                            (arity > 1 ? " arguments" : " argument") +
                            ", not " + Twine(args.size()));
  std::vector<Value> values;
  for (const Arg &arg : args) {
    if (arg.value.hasPoison())
      return Value();
    values.push_back(arg.value);
  }
  if (name == "require") {
    if (!values[0].isBool() || !values[1].isText())
      return error(where, "'require' takes a condition and what is wrong where "
                          "it does not hold");
    if (values[0].asBool())
      return values[0];
    // What follows stands on it.
    frame->hasReturned = true;
    return error(where, values[1].asText());
  }
  if (name == "pair" || name == "triple") {
    size_t size = name == "pair" ? 2 : 3;
    if (values[0].isNumber())
      return Value::sequence(false, std::vector<Value>(size, values[0]));
    if (values[0].isSequence() && values[0].items().size() == size)
      return values[0];
    return error(args[0].range, "'" + name + "' takes one or " +
                                    (size == 2 ? "two" : "three") +
                                    " numbers, not " + kindText(values[0]));
  }
  if ((arity == 0 && values.size() == 1 && values[0].isSequence()) ||
      isListHelper(name)) {
    if (name == "list")
      return values[0].isSequence() ? values[0] : Value::sequence(true, {values[0]});
    bool inOp = frame->definition && frame->definition->kind == Definition::Op;
    if (name == "mean" && isOfImages(values[0]) && !inOp) {
      std::optional<std::string> path = layerPath(name, as);
      return path ? callDefinition(*library.find("image_mean"), args, where,
                                   Scope{*path, {}, frame->scope.repeats})
                  : Value();
    }
    if (!values[0].isSequence())
      return error(args[0].range,
                   "'" + name + "' takes a list, not " + kindText(values[0]),
                   notesOnAll(name, values[0]));
    std::vector<Value> items = values[0].items();
    if (name == "len")
      return Value::integer(items.size());
    if (name == "reversed") {
      std::reverse(items.begin(), items.end());
      return Value::sequence(true, std::move(items));
    }
    bool adds = name == "sum" || name == "mean", multiplies = name == "product";
    if (items.empty())
      return name == "sum" ? Value::integer(0)
             : multiplies  ? Value::integer(1)
                           : error(args[0].range, "the list is empty");
    if (adds || multiplies) {
      Value total = items.front();
      for (const Value &item : llvm::drop_begin(items))
        total = applyBinary(adds ? BinaryOp::Add : BinaryOp::Mul, total, item,
                            where);
      if (name == "mean")
        total = applyBinary(BinaryOp::Div, total, Value::integer(items.size()),
                            where);
      return total;
    }
    values = std::move(items);
  }
  bool numbers = true;
  bool tensors = false;
  for (auto [i, value] : llvm::enumerate(values)) {
    if (!value.isNumber() && !value.isTensor() && !value.isScalar())
      return error(args[std::min(i, args.size() - 1)].range,
                   "'" + name + "' takes numbers and tensors, not " +
                       kindText(value));
    numbers &= value.isNumber();
    tensors |= value.isTensor();
  }
  if (numbers)
    return helperOfNumbers(name, values, where);
  std::optional<std::string> path = std::string();
  if (tensors && !(path = layerPath(name, as)))
    return Value();
  return mapElements(name, values, where, *path,
                     [&](std::vector<Value> elements) {
                       return elementHelper(name, elements, where);
                     });
}
