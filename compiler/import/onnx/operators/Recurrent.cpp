//===- Recurrent.cpp - LSTM, GRU and RNN -----------------------------------===//
//
// A sequence has a known number of steps, each of which becomes operations of
// its own: what the inputs give to all gates is one product beforehand, to which
// every step adds the product with the state before it. The step's place in the
// sequence is a number that its kernels read, so that all steps share them.
//
//===----------------------------------------------------------------------===//

#include "compiler/import/onnx/operators/Axes.h"
#include "compiler/import/onnx/operators/Linear.h"

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

//===----------------------------------------------------------------------===//
// Functions of gates
//===----------------------------------------------------------------------===//

namespace {
/// A function of one number and its two parameters.
using GateFunction = Expr (*)(Expr x, Expr a, Expr b);
struct GateFunctionKind {
  const char *name;
  double alpha, beta; ///< where the node has none
  GateFunction function;
};
struct Gate {
  const GateFunctionKind *kind = nullptr;
  double alpha = 0, beta = 0, clip = 0;

  Expr operator()(Expr x) const {
    if (clip > 0)
      x = clamp(x, like(-clip, x), like(clip, x));
    return kind->function(x, like(alpha, x), like(beta, x));
  }
  static Expr like(double number, const Expr &x) {
    return convert(Expr(number), x.kind());
  }
};
} // namespace

static Expr one(const Expr &x) { return Gate::like(1, x); }
static Expr zero(const Expr &x) { return Gate::like(0, x); }

static const GateFunctionKind gateFunctions[] = {
    {"Sigmoid", 0, 0,
     [](Expr x, Expr, Expr) { return one(x) / (one(x) + exp(-x)); }},
    {"Tanh", 0, 0, [](Expr x, Expr, Expr) { return tanh(x); }},
    {"Relu", 0, 0, [](Expr x, Expr, Expr) { return max(x, zero(x)); }},
    {"Affine", 1, 0, [](Expr x, Expr a, Expr b) { return a * x + b; }},
    {"LeakyRelu", 0.01, 0,
     [](Expr x, Expr a, Expr) { return select(x < zero(x), a * x, x); }},
    {"ThresholdedRelu", 1, 0,
     [](Expr x, Expr a, Expr) { return select(x >= a, x, zero(x)); }},
    {"ScaledTanh", 1, 1, [](Expr x, Expr a, Expr b) { return a * tanh(b * x); }},
    {"HardSigmoid", 0.2, 0.5,
     [](Expr x, Expr a, Expr b) { return clamp(a * x + b, zero(x), one(x)); }},
    {"Elu", 1, 0,
     [](Expr x, Expr a, Expr) {
       return select(x < zero(x), a * (exp(x) - one(x)), x);
     }},
    {"Softsign", 0, 0,
     [](Expr x, Expr, Expr) { return x / (one(x) + abs(x)); }},
    {"Softplus", 0, 0,
     [](Expr x, Expr, Expr) {
       return max(x, zero(x)) + log(one(x) + exp(-abs(x)));
     }},
};

//===----------------------------------------------------------------------===//
// A node's operands
//===----------------------------------------------------------------------===//

/// The most steps of a sequence: each becomes a few operations.
static constexpr int64_t kMostSteps = 1024;

namespace {
enum Operands { X, W, R, B, Lengths, InitialH, InitialC, Peepholes };

/// A node with its sizes, and one direction of it at a time.
class Recurrence {
public:
  /// `gates` is how many vectors of `hidden` numbers a step computes.
  Recurrence(NodeContext &node, unsigned gates) : node(node), gates(gates) {}

  /// Reads sizes and attributes; `functions` are those without attributes.
  bool read(ArrayRef<StringRef> functions, bool sumsBias);
  /// What there is for a direction d: its functions, weights and first states.
  Gate gate(unsigned d, unsigned index) const {
    return all[d * all.size() / directions + index];
  }
  /// The part of an operand of D x ... that is for direction d.
  Tensor part(unsigned operand, unsigned d) const {
    const Tensor &x = node.in(operand);
    return node.compute(x.type, x.sizes().drop_front(), {x},
                        [&](Coords at, ArrayRef<Reader> in) {
                          SmallVector<Expr> from = {Expr(int64_t(d))};
                          from.append(at.begin(), at.end());
                          return in[0](from);
                        });
  }
  /// The state before the first step: nothing where it is zero.
  std::optional<Tensor> initial(unsigned operand, unsigned d) const;
  /// Where step s of a direction lies in the sequence.
  int64_t place(unsigned d, int64_t s) const {
    bool backwards = word == "reverse" || d == 1;
    return backwards ? steps - 1 - s : s;
  }
  /// N x (count * hidden): the product of a state with the weights of gates
  /// from `first` on.
  Tensor product(unsigned d, unsigned first, unsigned count,
                 const Tensor &state) const;
  /// The operands with which the formulas of a step begin, which `gate` reads.
  SmallVector<Tensor> operands(unsigned d, int64_t s,
                               const std::optional<Tensor> &product) const;
  /// What a gate is a function of, from such operands: what the inputs give, and
  /// what the state does where there is a product.
  Expr sumOf(unsigned gate, unsigned d, Coords at, ArrayRef<Reader> in,
             bool withProduct) const;
  /// N x hidden.
  Shape stateShape() const { return {images, hidden}; }
  DataType type() const { return node.in(X).type; }
  /// Gives the results: all states, in the order of the sequence, and the last
  /// one of each direction.
  LogicalResult finish(ArrayRef<std::vector<Tensor>> states,
                       ArrayRef<Tensor> lastOther);

  NodeContext &node;
  const unsigned gates;
  std::string word;
  unsigned directions = 1;
  int64_t steps = 0, images = 0, hidden = 0;

private:
  bool fail(const Twine &why) {
    (void)node.fail(why);
    return false;
  }
  bool hasShape(unsigned operand, ArrayRef<int64_t> shape, const char *what);
  bool readFunctions(ArrayRef<StringRef> functions);
  Tensor inputs(bool sumsBias);
  Tensor joined(ArrayRef<Tensor> parts) const;

  bool batchFirst = false;
  std::vector<Gate> all;
  Tensor given; ///< T x N x (D * gates * hidden): of the inputs, for all gates
  std::vector<Tensor> matrices; ///< R of each direction, outputs x hidden
};
} // namespace

bool Recurrence::hasShape(unsigned operand, ArrayRef<int64_t> shape,
                          const char *what) {
  if (!node.has(operand) || ArrayRef(node.in(operand).shape) == shape)
    return true;
  if (openAxis(node.in(operand).shape) != openAxis(shape))
    return succeeded(node.mixesBatch(Twine(what) + " differ in the batch"));
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::interleave(shape, os, "x");
  return fail(Twine(what) + " are not " + text);
}

bool Recurrence::readFunctions(ArrayRef<StringRef> functions) {
  std::vector<std::string> names;
  for (unsigned d = 0; d < directions; ++d)
    for (StringRef name : functions)
      names.push_back(name.str());
  if (node.given("activations")) {
    std::vector<std::string> own = node.words("activations");
    if (own.size() != names.size())
      return fail("it has " + Twine(names.size()) + " activations, not " +
                  Twine(own.size()));
    names = own;
  }
  // Parameters stand one after another for those functions that have any.
  std::vector<float> alphas = node.numbers("activation_alpha");
  std::vector<float> betas = node.numbers("activation_beta");
  size_t alpha = 0, beta = 0;
  for (const std::string &name : names) {
    auto *kind = llvm::find_if(gateFunctions, [&](const GateFunctionKind &f) {
      return StringRef(f.name).equals_insensitive(name);
    });
    if (kind == std::end(gateFunctions))
      return fail("its activation '" + name + "' is not one of ONNX's");
    Gate gate = {kind, kind->alpha, kind->beta, node.number("clip")};
    if (kind->alpha && alpha < alphas.size())
      gate.alpha = alphas[alpha++];
    if ((kind->beta || gate.kind->name == StringRef("Affine")) &&
        beta < betas.size())
      gate.beta = betas[beta++];
    all.push_back(gate);
  }
  return true;
}

bool Recurrence::read(ArrayRef<StringRef> functions, bool sumsBias) {
  for (unsigned operand : {X, W, R})
    if (!node.has(operand))
      return fail("it has an input and two matrices");
  word = node.word("direction", "forward");
  if (word != "forward" && word != "reverse" && word != "bidirectional")
    return fail("its direction '" + word +
                "' is not forward, reverse or bidirectional");
  directions = word == "bidirectional" ? 2 : 1;
  batchFirst = node.integer("layout");
  const Tensor &x = node.in(X);
  if (x.rank() != 3 || node.in(R).rank() != 3)
    return fail("its input and its matrices have three dimensions");
  steps = x.shape[batchFirst], images = x.shape[!batchFirst];
  hidden = node.in(R).shape[2];
  if (steps == kOpen)
    return succeeded(node.mixesBatch("it goes from one to the next"));
  if (steps < 1 || hidden < 1 || images == 0)
    return fail("it has no steps or no states");
  if (steps > kMostSteps)
    return fail("it has " + Twine(steps) + " steps; up to " + Twine(kMostSteps) +
                " become operations");
  int64_t outputs = gates * hidden, d = directions;
  if (node.integer("hidden_size", hidden) != hidden)
    return fail("its hidden_size is not that of its matrices");
  Shape state = batchFirst ? Shape{images, d, hidden} : Shape{d, images, hidden};
  if (!hasShape(W, {d, outputs, x.shape[2]}, "the weights of its inputs") ||
      !hasShape(R, {d, outputs, hidden}, "the weights of its states") ||
      !hasShape(B, {d, 2 * outputs}, "its biases") ||
      !hasShape(InitialH, state, "its first states") ||
      !hasShape(InitialC, state, "its first cells") ||
      !hasShape(Peepholes, {d, 3 * hidden}, "its peepholes"))
    return false;
  if (node.has(Lengths)) {
    const Tensor &lengths = node.in(Lengths);
    std::optional<Scalar> all;
    if (lengths.isKnown())
      all = lengths.known.uniform();
    if (!all || all->as(Kind::Int).i != steps)
      return fail("its sequences are not all of " + Twine(steps) + " steps");
  }
  if (!readFunctions(functions))
    return false;
  given = inputs(sumsBias);
  for (unsigned i = 0; i < directions; ++i)
    matrices.push_back(part(R, i));
  return !node.failed();
}

/// The product of all inputs with the weights of all gates and directions, and
/// the biases that are added to it.
Tensor Recurrence::inputs(bool sumsBias) {
  Tensor x = node.in(X);
  if (batchFirst)
    x = node.transpose(x, {1, 0, 2});
  int64_t own = gates * hidden, outputs = directions * own;
  Tensor w = node.reshape(node.in(W), {outputs, x.shape[2]});
  // The last gate's own bias of the state may be inside of a product.
  int64_t summed = sumsBias ? own : own - hidden;
  Tensor bias;
  if (node.has(B))
    bias = node.compute(type(), {outputs}, {node.in(B)},
                        [&](Coords at, ArrayRef<Reader> in) {
                          Expr d = floorDiv(at[0], Expr(own));
                          Expr j = floorMod(at[0], Expr(own));
                          Expr first = in[0](d, j);
                          return select(j < Expr(summed),
                                        first + in[0](d, j + Expr(own)), first);
                        });
  if (type() == DataType::F32 && !x.isKnown() && w.isKnown() &&
      (bias.isKnown() || !node.has(B)))
    return timesKnown(node, x, w, bias);
  SmallVector<Tensor> operands = {x, w};
  if (node.has(B))
    operands.push_back(bias);
  return node.compute(
      type(), {steps, images, outputs}, operands,
      [&](Coords at, ArrayRef<Reader> in) {
        Expr total = sum({x.shape[2]}, [&](Coords r) {
          return in[0](at[0], at[1], r[0]) * in[1](at[2], r[0]);
        });
        return node.has(B) ? total + in[2](at[2]) : total;
      });
}

std::optional<Tensor> Recurrence::initial(unsigned operand, unsigned d) const {
  if (!node.has(operand))
    return std::nullopt;
  const Tensor &x = node.in(operand);
  return node.compute(x.type, stateShape(), {x},
                      [&](Coords at, ArrayRef<Reader> in) {
                        Expr direction{int64_t(d)};
                        return batchFirst ? in[0](at[0], direction, at[1])
                                          : in[0](direction, at[0], at[1]);
                      });
}

Tensor Recurrence::product(unsigned d, unsigned first, unsigned count,
                           const Tensor &state) const {
  const Tensor &matrix = matrices[d];
  int64_t begin = first * hidden, outputs = count * hidden;
  if (type() == DataType::F32 && matrix.isKnown() && !state.isKnown()) {
    Tensor rows = matrix;
    if (outputs != matrix.shape[0])
      rows = node.compute(type(), {outputs, hidden}, {matrix},
                          [&](Coords at, ArrayRef<Reader> in) {
                            return in[0](at[0] + Expr(begin), at[1]);
                          });
    return timesKnown(node, state, rows, Tensor());
  }
  return node.compute(type(), {images, outputs}, {state, matrix},
                      [&](Coords at, ArrayRef<Reader> in) {
                        return sum({hidden}, [&](Coords r) {
                          return in[0](at[0], r[0]) *
                                 in[1](at[1] + Expr(begin), r[0]);
                        });
                      });
}

SmallVector<Tensor>
Recurrence::operands(unsigned d, int64_t s,
                     const std::optional<Tensor> &product) const {
  SmallVector<Tensor> result = {
      given, node.constant(HostTensor::integers({place(d, s)}))};
  if (product)
    result.push_back(*product);
  return result;
}

Expr Recurrence::sumOf(unsigned gate, unsigned d, Coords at, ArrayRef<Reader> in,
                       bool withProduct) const {
  Expr own = in[0](in[1](Expr(0)), at[0],
                   at[1] + Expr(int64_t(d * gates + gate) * hidden));
  return withProduct ? own + in[2](at[0], at[1] + Expr(gate * hidden)) : own;
}

/// N x parts x hidden of tensors of N x hidden. A formula chooses from few parts
/// at a time: what is chosen is copied once for each level.
Tensor Recurrence::joined(ArrayRef<Tensor> parts) const {
  constexpr size_t kAtOnce = 8;
  SmallVector<Tensor> level;
  for (const Tensor &part : parts)
    level.push_back(node.reshape(part, {images, 1, hidden}));
  while (level.size() > 1) {
    SmallVector<Tensor> next;
    for (size_t i = 0; i < level.size(); i += kAtOnce) {
      size_t count = std::min(kAtOnce, level.size() - i);
      next.push_back(
          concatenated(node, ArrayRef(level).slice(i, count), /*axis=*/1));
    }
    level = std::move(next);
  }
  return level.front();
}

LogicalResult Recurrence::finish(ArrayRef<std::vector<Tensor>> states,
                                 ArrayRef<Tensor> lastOther) {
  int64_t d = directions;
  // Results of D x N x hidden and T x D x N x hidden, or with the batch first.
  auto give = [&](unsigned result, ArrayRef<Tensor> parts, bool all) {
    Tensor held = joined(parts);
    Shape order = {1, 0, 2};
    if (all) {
      held = node.reshape(held, {images, steps, d, hidden});
      order = {1, 2, 0, 3};
    }
    return node.set(result, batchFirst ? held : node.transpose(held, order));
  };
  if (node.wants(0)) {
    SmallVector<Tensor> parts;
    for (int64_t t = 0; t < steps; ++t)
      for (unsigned i = 0; i < directions; ++i)
        parts.push_back(states[i][place(i, t)]);
    if (failed(give(0, parts, true)))
      return failure();
  }
  SmallVector<Tensor> last;
  for (const std::vector<Tensor> &own : states)
    last.push_back(own.back());
  if (node.wants(1) && failed(give(1, last, false)))
    return failure();
  return node.wants(2) ? give(2, lastOther, false) : success();
}

//===----------------------------------------------------------------------===//
// The three kinds of cells
//===----------------------------------------------------------------------===//

static LogicalResult importLstm(NodeContext &node) {
  Recurrence r(node, 4);
  if (!r.read({"Sigmoid", "Tanh", "Tanh"}, /*sumsBias=*/true))
    return failure();
  enum { Input, Output, Forget, Cell }; // so they lie side by side
  bool coupled = node.integer("input_forget");
  std::vector<std::vector<Tensor>> states(r.directions);
  SmallVector<Tensor> cells;
  for (unsigned d = 0; d < r.directions; ++d) {
    Gate f = r.gate(d, 0), g = r.gate(d, 1), h = r.gate(d, 2);
    std::optional<Tensor> state = r.initial(InitialH, d);
    std::optional<Tensor> cell = r.initial(InitialC, d), peepholes, product;
    if (node.has(Peepholes))
      peepholes = r.part(Peepholes, d);
    // Peepholes are the last operand: those of three gates side by side.
    auto peephole = [&](Coords at, ArrayRef<Reader> in, unsigned gate) {
      return in.back()(at[1] + Expr(gate * r.hidden));
    };
    for (int64_t s = 0; s < r.steps; ++s) {
      if (state)
        product = r.product(d, 0, 4, *state);
      auto sumOf = [&](unsigned gate, Coords at, ArrayRef<Reader> in) {
        return r.sumOf(gate, d, at, in, product.has_value());
      };
      SmallVector<Tensor> operands = r.operands(d, s, product);
      unsigned cellAt = operands.size();
      auto withCell = [&](const std::optional<Tensor> &cell) {
        SmallVector<Tensor> all = operands;
        if (cell)
          all.push_back(*cell);
        if (peepholes)
          all.push_back(*peepholes);
        return all;
      };
      Tensor next = node.compute(
          r.type(), r.stateShape(), withCell(cell),
          [&](Coords at, ArrayRef<Reader> in) {
            Expr input = sumOf(Input, at, in), forget = sumOf(Forget, at, in);
            Expr before = cell ? in[cellAt](at) : Expr();
            if (cell && peepholes) {
              input = input + peephole(at, in, Input) * before;
              forget = forget + peephole(at, in, Forget) * before;
            }
            input = f(input);
            Expr added = input * g(sumOf(Cell, at, in));
            if (!cell)
              return added;
            return (coupled ? one(input) - input : f(forget)) * before + added;
          });
      cell = next;
      state = node.compute(r.type(), r.stateShape(), withCell(cell),
                           [&](Coords at, ArrayRef<Reader> in) {
                             Expr output = sumOf(Output, at, in);
                             Expr now = in[cellAt](at);
                             if (peepholes)
                               output = output + peephole(at, in, Output) * now;
                             return f(output) * h(now);
                           });
      states[d].push_back(*state);
      if (node.failed())
        return failure();
    }
    cells.push_back(*cell);
  }
  return r.finish(states, cells);
}
static RegisterOperator lstm("LSTM", importLstm);
static RegisterTakes takesLstm(lstm, {Operand::Turned});

static LogicalResult importGru(NodeContext &node) {
  Recurrence r(node, 3);
  // Whether the reset gate scales the product with the state, or the state.
  bool scalesProduct = node.integer("linear_before_reset");
  if (!r.read({"Sigmoid", "Tanh"}, /*sumsBias=*/!scalesProduct))
    return failure();
  enum { Update, Reset, Hidden };
  std::vector<std::vector<Tensor>> states(r.directions);
  for (unsigned d = 0; d < r.directions; ++d) {
    Gate f = r.gate(d, 0), g = r.gate(d, 1);
    std::optional<Tensor> state = r.initial(InitialH, d), product, bias;
    if (node.has(B) && scalesProduct)
      bias = r.part(B, d);
    for (int64_t s = 0; s < r.steps; ++s) {
      if (state)
        product = r.product(d, 0, scalesProduct ? 3 : 2, *state);
      auto sumOf = [&](unsigned gate, Coords at, ArrayRef<Reader> in,
                       bool whole = true) {
        return r.sumOf(gate, d, at, in, product && whole);
      };
      SmallVector<Tensor> operands = r.operands(d, s, product);
      unsigned stateAt = operands.size();
      if (state)
        operands.push_back(*state);
      // The product of the state that the reset gate scaled.
      unsigned scaledAt = operands.size();
      if (state && !scalesProduct) {
        Tensor scaled = node.compute(
            r.type(), r.stateShape(), operands,
            [&](Coords at, ArrayRef<Reader> in) {
              return f(sumOf(Reset, at, in)) * in[stateAt](at);
            });
        operands.push_back(r.product(d, Hidden, 1, scaled));
      }
      if (bias)
        operands.push_back(*bias);
      state = node.compute(
          r.type(), r.stateShape(), operands,
          [&](Coords at, ArrayRef<Reader> in) {
            Expr update = f(sumOf(Update, at, in));
            Expr next = sumOf(Hidden, at, in, /*whole=*/false);
            if (scalesProduct && (product || bias)) {
              Expr inner;
              if (product)
                inner = in[2](at[0], at[1] + Expr(Hidden * r.hidden));
              if (bias) {
                Expr own = in.back()(at[1] + Expr((3 + Hidden) * r.hidden));
                inner = inner ? inner + own : own;
              }
              next = next + f(sumOf(Reset, at, in)) * inner;
            } else if (product) {
              next = next + in[scaledAt](at);
            }
            Expr result = (one(update) - update) * g(next);
            return product ? result + update * in[stateAt](at) : result;
          });
      states[d].push_back(*state);
      if (node.failed())
        return failure();
    }
  }
  return r.finish(states, {});
}
static RegisterOperator gru("GRU", importGru);
static RegisterTakes takesGru(gru, {Operand::Turned});

static LogicalResult importRnn(NodeContext &node) {
  Recurrence r(node, 1);
  if (!r.read({"Tanh"}, /*sumsBias=*/true))
    return failure();
  std::vector<std::vector<Tensor>> states(r.directions);
  for (unsigned d = 0; d < r.directions; ++d) {
    Gate f = r.gate(d, 0);
    std::optional<Tensor> state = r.initial(InitialH, d), product;
    for (int64_t s = 0; s < r.steps; ++s) {
      if (state)
        product = r.product(d, 0, 1, *state);
      state = node.compute(
          r.type(), r.stateShape(), r.operands(d, s, product),
          [&](Coords at, ArrayRef<Reader> in) {
            return f(r.sumOf(0, d, at, in, product.has_value()));
          });
      states[d].push_back(*state);
      if (node.failed())
        return failure();
    }
  }
  return r.finish(states, {});
}
static RegisterOperator rnn("RNN", importRnn);
static RegisterTakes takesRnn(rnn, {Operand::Turned});
