//===- Recompute.cpp - What does not fit is computed again ----------------===//
//
// Chen et al., 2016, call it checkpointing. Here there are no layers any more:
// any call that fills a buffer may be made again.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Cost.h"
#include "compiler/passes/Passes.h"
#include "compiler/passes/PlanMemory.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringSet.h"

#include <functional>
#include <queue>

using namespace mlir;

namespace halcyon {
#define GEN_PASS_DEF_RECOMPUTE
#include "compiler/passes/Passes.h.inc"

namespace {

struct Call {
  exec::CallOp op;
  SmallVector<int64_t, 4> reads, writes;       ///< buffers
  SmallVector<int64_t, 1> overwrites;          ///< of those, what an output may lie over
  SmallVector<StringRef, 2> takes, gives;      ///< the caller's tensors, by name
  double seconds = 0;
  bool repeatable = true;
};

struct Buffer {
  int64_t bytes = 0; ///< of the whole batch
  int writer = -1;   ///< the only call that writes it
  bool letGo = false;
  int cut = -1; ///< the last call that reads it as it was first computed
};

/// A call as it is made: for the first time, or again.
struct Made {
  int call;
  int before; ///< again: before this one
  bool again;
};

class Line {
public:
  Line(exec::FunctionOp function, exec::ProgramOp program, int64_t batch);

  struct Outcome {
    bool possible = true;
    int64_t peak = 0;
    double excess = 0, seconds = 0; ///< bytes above the target over all calls
    std::vector<Made> order;
  };
  Outcome evaluate(int64_t target) const;
  /// Lets buffers go until no more than `target` bytes are alive at any time.
  void choose(int64_t target);
  void rewrite();

private:
  bool isLate(int64_t buffer, int call) const {
    const Buffer &b = buffers.at(buffer);
    return b.letGo && call > b.cut;
  }
  void findCuts();

  std::vector<Call> calls;
  std::map<int64_t, Buffer> buffers;
  std::vector<int64_t> candidates;
};

} // namespace

Line::Line(exec::FunctionOp function, exec::ProgramOp program, int64_t batch) {
  auto nameOf = [](ArrayAttr ports, int64_t index) {
    return cast<DictionaryAttr>(ports[index]).getAs<StringAttr>("name").getValue();
  };
  llvm::DenseMap<int64_t, int> writers;
  for (auto op : function.getBody().front().getOps<exec::CallOp>()) {
    Call call;
    call.op = op;
    if (auto seconds = op->getAttrOfType<FloatAttr>(kSecondsAttr))
      call.seconds = double(batch) * seconds.getValueAsDouble();
    exec::KernelOp kernel = op.getKernelOp();
    Group group(kernel.getBody().front());
    const Kernel *algorithm = findKernel(kernel.getSchedule().getAlgorithm());
    auto add = [&](Value operand, bool writes) {
      if (auto arena = operand.getDefiningOp<exec::ArenaOp>()) {
        (writes ? call.writes : call.reads).push_back(arena.getBuffer());
        Buffer &buffer = buffers[arena.getBuffer()];
        buffer.bytes =
            arena.getBytes() * (cnn::isFixed(arena.getType()) ? 1 : batch);
        if (writes) {
          buffer.writer = int(calls.size());
          ++writers[arena.getBuffer()];
        }
      } else if (auto input = operand.getDefiningOp<exec::InputOp>()) {
        call.takes.push_back(nameOf(program.getInputs(), input.getIndex()));
      } else if (auto output = operand.getDefiningOp<exec::OutputOp>()) {
        (writes ? call.gives : call.takes)
            .push_back(nameOf(program.getOutputs(), output.getIndex()));
        call.repeatable &= !writes;
      }
    };
    for (auto [index, operand] : llvm::enumerate(op.getInputs())) {
      add(operand, false);
      auto arena = operand.getDefiningOp<exec::ArenaOp>();
      if (arena && op.getOutputs().size() == 1 &&
          arena.getType() == op.getOutputs().front().getType() &&
          algorithm->mayOverwrite(group, index, kernel.getSchedule()))
        call.overwrites.push_back(arena.getBuffer());
    }
    for (Value operand : op.getOutputs())
      add(operand, true);
    calls.push_back(std::move(call));
  }
  for (auto &[id, buffer] : buffers)
    if (writers.lookup(id) == 1 && calls[buffer.writer].repeatable)
      candidates.push_back(id);
  findCuts();
}

/// A buffer is let go where it lies idle the longest.
void Line::findCuts() {
  std::map<int64_t, int> last, longest;
  for (auto [index, call] : llvm::enumerate(calls)) {
    for (int64_t id : call.writes)
      last.try_emplace(id, int(index));
    for (int64_t id : call.reads) {
      int idle = int(index) - last[id];
      if (idle > longest[id]) {
        longest[id] = idle;
        buffers[id].cut = last[id];
      }
      last[id] = int(index);
    }
  }
  llvm::erase_if(candidates, [&](int64_t id) { return longest[id] < 3; });
}

Line::Outcome Line::evaluate(int64_t target) const {
  Outcome result;
  // Buffers, those that are filled again, by their numbers and ~number.
  std::map<int64_t, std::pair<int, int>> lives; // first and last
  llvm::DenseSet<int64_t> again;                // what is filled again by now
  llvm::StringSet<> given;
  auto touch = [&](int64_t version) {
    int now = int(result.order.size());
    auto [life, fresh] = lives.try_emplace(version, now, now);
    life->second.second = now;
  };
  auto version = [&](int64_t id, int call) { return isLate(id, call) ? ~id : id; };
  // Calls whose results are needed again, those they need first.
  std::function<void(int64_t, int)> fill = [&](int64_t id, int before) {
    if (!result.possible || again.contains(id))
      return;
    const Call &call = calls[buffers.at(id).writer];
    for (int64_t input : call.reads)
      if (isLate(input, before))
        fill(input, before);
    for (StringRef port : call.takes)
      result.possible &= !given.contains(port);
    for (int64_t input : call.reads)
      touch(version(input, before));
    for (int64_t output : call.writes) {
      touch(~output);
      again.insert(output);
    }
    result.seconds += call.seconds;
    result.order.push_back({buffers.at(id).writer, before, true});
  };
  for (auto [index, call] : llvm::enumerate(calls)) {
    for (int64_t id : call.reads)
      if (isLate(id, int(index)))
        fill(id, int(index));
    for (int64_t id : call.reads)
      touch(version(id, int(index)));
    for (int64_t id : call.writes)
      touch(id);
    for (StringRef port : call.gives)
      given.insert(port);
    result.order.push_back({int(index), int(index), false});
  }
  // What begins and ends with each call; an output over its input is no more.
  std::vector<int64_t> begins(result.order.size()), ends(result.order.size());
  for (auto &[id, life] : lives) {
    int64_t bytes = buffers.at(id < 0 ? ~id : id).bytes;
    begins[life.first] += bytes;
    ends[life.second] += bytes;
  }
  for (auto [now, made] : llvm::enumerate(result.order)) {
    const Call &call = calls[made.call];
    for (int64_t input : call.overwrites)
      if (lives[version(input, made.before)].second == int(now)) {
        int64_t bytes = buffers.at(input).bytes;
        begins[now] -= bytes;
        ends[now] -= bytes;
        break;
      }
  }
  int64_t alive = 0;
  for (size_t now = 0; now < begins.size(); ++now) {
    alive += begins[now];
    result.peak = std::max(result.peak, alive);
    result.excess += double(std::max<int64_t>(0, alive - target));
    alive -= ends[now];
  }
  return result;
}

void Line::choose(int64_t target) {
  for (auto &[id, buffer] : buffers)
    buffer.letGo = false;
  Outcome now = evaluate(target);
  /// Bytes above the target that a second saves; none where it saves nothing.
  auto worth = [&](int64_t id) {
    buffers[id].letGo = true;
    Outcome then = evaluate(target);
    buffers[id].letGo = false;
    double saved = now.excess - then.excess;
    return then.possible && saved > 0
               ? saved / std::max(then.seconds - now.seconds, 1e-9)
               : 0;
  };
  // What a buffer is worth falls, mostly, as others are let go: only those that
  // look best are looked at again.
  using Entry = std::pair<double, int64_t>;
  bool found = true;
  while (found && now.excess > 0) {
    found = false;
    std::priority_queue<Entry> queue;
    for (int64_t id : candidates)
      if (!buffers[id].letGo)
        if (double value = worth(id); value > 0)
          queue.push({value, -id});
    while (!queue.empty() && now.excess > 0) {
      int64_t id = -queue.top().second;
      queue.pop();
      double value = worth(id);
      if (value <= 0)
        continue;
      if (!queue.empty() && value < queue.top().first) {
        queue.push({value, -id});
        continue;
      }
      buffers[id].letGo = true;
      now = evaluate(target);
      found = true;
    }
  }
}

/// Makes the calls again, and gives later readers what they fill.
void Line::rewrite() {
  Outcome outcome = evaluate(0);
  int64_t next = buffers.empty() ? 0 : buffers.rbegin()->first + 1;
  std::map<int64_t, int64_t> numbers; // of what is filled again
  auto moveTo = [&](OpBuilder &builder, OpOperand &operand, int64_t buffer) {
    auto old = operand.get().getDefiningOp<exec::ArenaOp>();
    auto view = cast<exec::ArenaOp>(builder.clone(*old));
    view.setBuffer(buffer);
    operand.set(view);
  };
  for (const Made &made : outcome.order) {
    exec::CallOp call = calls[made.call].op;
    OpBuilder builder(calls[made.before].op);
    if (made.again) {
      call = cast<exec::CallOp>(builder.clone(*call));
      call.setReason("computed again to save memory");
      builder.setInsertionPoint(call);
    }
    for (OpOperand &operand : call->getOpOperands()) {
      auto arena = operand.get().getDefiningOp<exec::ArenaOp>();
      if (!arena)
        continue;
      bool writes = operand.getOperandNumber() >= call.getInputs().size();
      // What a copied call reads may have been moved where the call itself was met.
      bool moved = writes ? made.again
                          : buffers.count(arena.getBuffer()) &&
                                isLate(arena.getBuffer(), made.before);
      if (!moved)
        continue;
      auto [number, fresh] = numbers.try_emplace(arena.getBuffer(), next);
      next += fresh;
      moveTo(builder, operand, number->second);
    }
  }
}

//===----------------------------------------------------------------------===//
// The budget
//===----------------------------------------------------------------------===//

/// Weights, and what the optimizer keeps beside them.
static int64_t stateBytes(ModuleOp module) {
  llvm::StringMap<int64_t> bytes;
  for (auto program : module.getOps<exec::ProgramOp>())
    for (auto port : program.getInputs().getAsRange<DictionaryAttr>()) {
      StringRef name = port.getAs<StringAttr>("name").getValue();
      if (name.starts_with("param:") || name.starts_with("slot:"))
        bytes[name] = cnn::bytesOf(port.getAs<TypeAttr>("type").getValue());
    }
  int64_t sum = 0;
  for (const auto &entry : bytes)
    sum += entry.second;
  return sum;
}

static exec::FunctionOp inferOf(exec::ProgramOp program) {
  return program.lookupSymbol<exec::FunctionOp>("infer");
}

static int64_t arenaBytes(exec::FunctionOp function, int64_t batch) {
  ArenaPlan plan = planArena(function);
  return plan.growing * batch + plan.chains + plan.fixed;
}

/// As `--memory` takes it.
static std::string sizeText(int64_t bytes) {
  bool large = bytes >= 10 << 20;
  return std::to_string(bytes >> (large ? 20 : 10)) + (large ? "M" : "K");
}

namespace {
struct Recompute : impl::RecomputeBase<Recompute> {
  using RecomputeBase::RecomputeBase;

  void runOnOperation() override {
    auto step = getOperation().lookupSymbol<exec::ProgramOp>("step");
    auto eval = getOperation().lookupSymbol<exec::ProgramOp>("eval");
    if (!step || !eval)
      return;
    int64_t others = stateBytes(getOperation()) + arenaBytes(inferOf(eval), batch);
    const int64_t room = memory - others, whole = arenaBytes(inferOf(step), batch);
    if (whole <= room)
      return;
    int64_t least = whole;
    // What the arena takes where no more than `target` bytes are alive, if that can
    // be; taken where it fits.
    auto attempt = [&](int64_t target) {
      exec::FunctionOp function = inferOf(step);
      auto trial = cast<exec::FunctionOp>(function->clone());
      step.getBody().front().push_back(trial);
      Line line(trial, step, batch);
      line.choose(target);
      line.rewrite();
      const int64_t bytes = arenaBytes(trial, batch);
      least = std::min(least, bytes);
      (bytes <= room ? function : trial).erase();
      return bytes;
    };
    // Places in the arena cost a little more than what is alive: so the target is
    // lowered until the plan fits.
    int64_t target = room;
    for (int attempts = 0; attempts < 7 && target > 0; ++attempts) {
      const int64_t bytes = attempt(target);
      if (bytes <= room)
        return;
      target = std::max<int64_t>(0, target - (bytes - room) / 2 - room / 100);
    }
    // Who asks for far less than there can be chooses badly.
    for (int part = 7; part >= 0; --part)
      if (attempt(whole / 8 * part) <= room)
        return;
    step.emitError("training with batches of ")
        << batch.getValue() << " takes " << sizeText(least + others + (least > 10 << 20 ? 1 << 20 : 1 << 10))
        << " at least, and may take " << sizeText(memory)
        << "; smaller batches take less";
    signalPassFailure();
  }
};
} // namespace
} // namespace halcyon
