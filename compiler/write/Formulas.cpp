//===- Formulas.cpp - Elementwise and indexed operations as ops -----------===//

#include "compiler/write/Formulas.h"
#include "compiler/write/Compare.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace halcyon::write {

//===----------------------------------------------------------------------===//
// Operators and functions
//===----------------------------------------------------------------------===//

/// One operation on operands and numbers: `x + y`, `2 * x`, `tanh(x)`.
bool Formulas::asOperator(cnn::MapOp map, Node &node) {
  Block &block = map.getBody().front();
  Operation *only = nullptr;
  for (Operation &op : block.without_terminator()) {
    if (isa<arith::ConstantOp>(op))
      continue;
    if (only)
      return false;
    only = &op;
  }
  Value yielded = block.getTerminator()->getOperand(0);
  if (!only || yielded != only->getResult(0))
    return false;
  Template text;
  if (!templateOf(map, text).empty() || text.pieces.size() != 1)
    return false;
  // "(x, y\3) = x + y"
  StringRef formula = StringRef(text.pieces[0]).split(" = ").second.trim();
  auto [function, arguments] = formula.split('(');
  unsigned tensors = 0;
  for (Value operand : only->getOperands()) {
    auto argument = dyn_cast<BlockArgument>(operand);
    tensors += argument && argument.getArgNumber() == tensors;
  }
  if (tensors != block.getNumArguments())
    return false;
  if (arguments.empty() && only->getNumOperands() == 2) {
    SmallVector<StringRef> words;
    formula.split(words, ' ');
    if (words.size() != 3)
      return false;
    node.callee = words[1].str();
    node.isOperator = true;
    for (int side : {0, 1})
      if (!isa<BlockArgument>(only->getOperand(side)))
        node.number[side].value = std::strtod(words[side * 2].str().c_str(), nullptr);
    return true;
  }
  node.callee = function.str();
  return arguments.ends_with(")") && tensors == only->getNumOperands();
}

//===----------------------------------------------------------------------===//
// The library
//===----------------------------------------------------------------------===//

OwningOpRef<ModuleOp> Formulas::elaborate(StringRef op, size_t tensors,
                                          ArrayRef<double> numbers,
                                          MLIRContext &context) {
  std::string text = "model probe() {\n", call = op.str() + "(";
  for (size_t i = 0; i < tensors; ++i) {
    text += "input x" + std::to_string(i) + ": f32[N, 2, 3, 5]\n";
    call += (i ? ", x" : "x") + std::to_string(i);
  }
  for (double number : numbers)
    call += ", " + numberText(number, /*isSingle=*/true);
  text += "output y = " + call + ")\n}\n";
  return dsl::compileModelText(text, "probe", context, {}, llvm::nulls());
}

static cnn::MapOp onlyMap(ModuleOp module) {
  cnn::MapOp map;
  unsigned count = 0;
  module.walk([&](cnn::MapOp op) { map = op, ++count; });
  return count == 1 ? map : cnn::MapOp();
}

/// The ops of the library that take so many tensors. Their numbers are ones that
/// no formula has, so that their places can be told.
std::vector<Formulas::Candidate> &Formulas::candidates(size_t tensors) {
  auto [found, fresh] = byTensors.try_emplace(tensors);
  if (fresh && library.empty())
    library = dsl::libraryOps();
  for (const dsl::LibraryOp &op : library) {
    if (!fresh || op.required < tensors)
      continue;
    Candidate candidate;
    candidate.name = op.name;
    candidate.required = op.required - tensors;
    candidate.params.resize(candidate.required);
    llvm::append_range(candidate.params, op.defaults);
    for (size_t i = 0; i < candidate.params.size(); ++i)
      candidate.probes.push_back(0.8125 + 0.0078125 * double(i));
    found->second.push_back(std::move(candidate));
  }
  return found->second;
}

/// A call of an op of the library that gives the same formula.
bool Formulas::asLibraryOp(cnn::MapOp map, Node &node) {
  MLIRContext &context = *map.getContext();
  size_t tensors = map.getInputs().size();
  for (Candidate &candidate : candidates(tensors)) {
    if (!candidate.module) {
      candidate.module =
          elaborate(candidate.name, tensors, candidate.probes, context);
      // Parameters that are no numbers keep their defaults.
      if (!candidate.module) {
        candidate.probes.resize(candidate.required);
        candidate.params.resize(candidate.required);
        candidate.module =
            elaborate(candidate.name, tensors, candidate.probes, context);
      }
      if (!candidate.module)
        candidate.module = ModuleOp::create(map.getLoc());
      candidate.map = onlyMap(*candidate.module);
    }
    NumberPairs pairs;
    if (!candidate.map || candidate.map.getInputs().size() != tensors ||
        !sameFormula(candidate.map, map, &pairs))
      continue;
    std::vector<double> numbers = candidate.probes;
    for (auto [probe, number] : pairs)
      for (auto [i, known] : llvm::enumerate(candidate.probes))
        if (probe == known)
          numbers[i] = number;
    auto fits = [&](ArrayRef<double> given) {
      auto module = elaborate(candidate.name, tensors, given, context);
      cnn::MapOp made = module ? onlyMap(*module) : nullptr;
      return made && made.getInputs().size() == tensors && sameFormula(made, map);
    };
    // As few arguments as give the formula.
    for (size_t count = candidate.required; count <= numbers.size(); ++count) {
      if (!fits(ArrayRef(numbers).take_front(count)))
        continue;
      node.callee = candidate.name;
      for (size_t i = 0; i < count; ++i) {
        Argument arg{candidate.params[i]};
        std::string text = numberText(numbers[i], /*isSingle=*/true);
        arg.value = std::strtod(text.c_str(), nullptr);
        node.args.push_back(arg);
      }
      return true;
    }
  }
  return false;
}

//===----------------------------------------------------------------------===//
// Ops of their own
//===----------------------------------------------------------------------===//

std::string Formulas::spell(Operation *op, Node &node) {
  size_t index = nodes++;
  bool reads = llvm::any_of(op->getOperands(), [](Value operand) {
    return operand.getDefiningOp<cnn::WeightOp>() != nullptr;
  });
  auto map = dyn_cast<cnn::MapOp>(op);
  if (map && !reads && (asOperator(map, node) || asLibraryOp(map, node)))
    return "";
  Template text;
  std::string trouble = templateOf(op, text);
  if (!trouble.empty())
    return trouble;
  Group &group = groups[text.pieces];
  if (group.uses.empty()) {
    group.function =
        op->getAttrOfType<StringAttr>("function").getValue().str();
    group.first = text;
  }
  group.uses.push_back({index, text.numbers});
  std::vector<int64_t> shape;
  if (op->getNumOperands())
    if (!op->getOperand(0).getDefiningOp<cnn::WeightOp>())
      shape = cast<RankedTensorType>(op->getOperand(0).getType()).getShape().vec();
  group.shapes.push_back(shape);
  node.callee = "\3" + std::to_string(index);
  return "";
}

/// What the input's size of some name is, of each of the uses; where they are
/// the wanted numbers, the expression.
static std::string asSize(ArrayRef<std::vector<int64_t>> shapes,
                          ArrayRef<int64_t> wanted) {
  static constexpr StringRef names[] = {"channels", "height", "width"};
  for (auto [axis, name] : llvm::enumerate(names))
    for (int64_t less : {0, 1}) {
      bool fits = true;
      for (auto [shape, number] : llvm::zip(shapes, wanted))
        fits &= (shape.size() == 4 || (shape.size() == 2 && axis == 0)) &&
                shape[axis + 1] == number + less;
      if (fits)
        return "x." + name.str() + (less ? " - 1" : "");
    }
  return "";
}

static std::string paramName(size_t number) {
  static constexpr StringRef names[] = {"size", "step", "part", "rest",
                                        "more", "first", "last", "count"};
  return number < std::size(names) ? names[number].str()
                                   : "p" + std::to_string(number);
}

void Formulas::define(Body &body) {
  std::map<std::string, Node *> byCallee;
  for (Node &node : body.nodes)
    byCallee[node.callee] = &node;
  // In the order in which they are first used.
  std::vector<Group *> order;
  for (auto &[key, group] : groups)
    order.push_back(&group);
  llvm::sort(order, [](Group *a, Group *b) {
    return a->uses.front().first < b->uses.front().first;
  });
  for (Group *group : order) {
    std::string name = program.freeName(wordOf(group->function, "op"));
    std::vector<std::vector<int64_t>> params;
    std::string text, names;
    for (auto [i, piece] : llvm::enumerate(group->first.pieces)) {
      text += piece;
      if (i == group->first.numbers.size())
        break;
      std::vector<int64_t> values, next;
      for (auto &[index, numbers] : group->uses) {
        values.push_back(numbers[i]);
        next.push_back(numbers[i] + 1);
      }
      std::string number = std::to_string(values.front());
      if (!llvm::all_equal(values)) {
        number = asSize(group->shapes, values);
        auto known = llvm::find(params, values), above = llvm::find(params, next);
        if (number.empty() && known == params.end() && above != params.end()) {
          number = paramName(above - params.begin()) + " - 1";
        } else if (number.empty()) {
          number = paramName(known - params.begin());
          if (known == params.end()) {
            params.push_back(values);
            names += (StringRef(text).starts_with("(\3") && names.empty() ? "" : ", ") +
                     number;
          }
        }
      }
      bool apart = StringRef(text).ends_with("..") ||
                   StringRef(text).ends_with("[") || !StringRef(number).contains(' ');
      text += apart ? number : "(" + number + ")";
    }
    size_t at = text.find('\3');
    text.replace(at, 1, names);
    program.ops.push_back("op " + name + text);
    for (auto [u, use] : llvm::enumerate(group->uses)) {
      Node &node = *byCallee["\3" + std::to_string(use.first)];
      node.callee = name;
      for (auto [p, values] : llvm::enumerate(params)) {
        Argument arg{paramName(p)};
        arg.value = values[u];
        node.args.push_back(arg);
      }
    }
  }
}

} // namespace halcyon::write
