//===- PlanMemory.cpp - Offsets in the arena ------------------------------===//

#include "compiler/passes/PlanMemory.h"
#include "compiler/kernels/Kernel.h"
#include "compiler/passes/Passes.h"

using namespace mlir;

namespace halcyon {
#define GEN_PASS_DEF_PLANMEMORY
#include "compiler/passes/Passes.h.inc"

namespace {

/// A buffer lives from the call that first writes it to the one that last
/// touches it, both included.
struct Buffer {
  int64_t id = 0, bytes = 0;
  int first = -1, last = -1;
  int64_t slot = -1;
  bool fixed = false; ///< the same for every batch
  int64_t chain = -1; ///< of a buffer that holds a part of the batch for it
  int64_t below = 0; ///< what a chain keeps at most above it, as it holds all images

  bool overlaps(const Buffer &other) const {
    return first <= other.last && other.first <= last;
  }
};

} // namespace

/// Which buffer a buffer lies over, where a kernel may write over its input.
using Overlays = std::map<int64_t, int64_t>;

/// Buffers that are the whole of a value, and how often they are touched, so
/// that an output takes the place of an input that nothing reads afterwards.
static Overlays findOverlays(exec::FunctionOp function) {
  Overlays overlays;
  auto resolve = [&](int64_t buffer) {
    while (overlays.count(buffer))
      buffer = overlays[buffer];
    return buffer;
  };
  std::map<int64_t, int> last;  // the last call that touches a buffer
  std::map<int64_t, int> first; // and the first
  int time = 0;
  auto calls = function.getBody().front().getOps<exec::CallOp>();
  for (auto call : calls) {
    for (Value operand : call->getOperands())
      if (auto arena = operand.getDefiningOp<exec::ArenaOp>()) {
        last[arena.getBuffer()] = time;
        first.try_emplace(arena.getBuffer(), time);
      }
    ++time;
  }
  time = -1;
  for (auto call : calls) {
    ++time;
    auto output = call.getOutputs().front().getDefiningOp<exec::ArenaOp>();
    if (call.getOutputs().size() != 1 || !output ||
        first[output.getBuffer()] != time)
      continue;
    exec::KernelOp kernel = call.getKernelOp();
    Group group(kernel.getBody().front());
    const Kernel *algorithm = findKernel(kernel.getSchedule().getAlgorithm());
    for (auto [index, operand] : llvm::enumerate(call.getInputs())) {
      auto input = operand.getDefiningOp<exec::ArenaOp>();
      if (!input || input.getType() != output.getType() ||
          input.getBytes() != output.getBytes() ||
          input.getImages() != output.getImages() || input.getOffset() ||
          output.getOffset() || last[resolve(input.getBuffer())] != time)
        continue;
      auto touches = llvm::count_if(call->getOperands(), [&](Value other) {
        auto arena = other.getDefiningOp<exec::ArenaOp>();
        return arena && resolve(arena.getBuffer()) == resolve(input.getBuffer());
      });
      if (touches != 1 ||
          !algorithm->mayOverwrite(group, index, kernel.getSchedule()))
        continue;
      int64_t place = resolve(input.getBuffer());
      overlays[output.getBuffer()] = place;
      last[place] = last[output.getBuffer()];
      break;
    }
  }
  // Every buffer names where it ends up.
  for (auto &[buffer, place] : overlays)
    place = resolve(buffer);
  return overlays;
}

/// The first and the last call of every chain.
using Chains = std::map<int64_t, std::pair<int, int>>;

static Chains findChains(exec::FunctionOp function) {
  Chains chains;
  int time = 0;
  for (auto call : function.getBody().front().getOps<exec::CallOp>()) {
    if (call.getChain())
      chains.try_emplace(*call.getChain(), time, time).first->second.second = time;
    ++time;
  }
  return chains;
}

static std::vector<Buffer> collectBuffers(exec::FunctionOp function,
                                          const Overlays &overlays,
                                          const Chains &chains) {
  std::map<int64_t, Buffer> buffers;
  int time = 0;
  for (auto call : function.getBody().front().getOps<exec::CallOp>()) {
    // What holds all images is in use until a chain is through with the last.
    std::pair<int, int> during =
        call.getChain() ? chains.at(*call.getChain()) : std::pair(time, time);
    for (Value operand : call->getOperands()) {
      auto arena = operand.getDefiningOp<exec::ArenaOp>();
      if (!arena)
        continue;
      auto over = overlays.find(arena.getBuffer());
      int64_t id = over == overlays.end() ? arena.getBuffer() : over->second;
      Buffer &buffer = buffers[id];
      buffer.id = id;
      buffer.bytes = arena.getBytes() * arena.getImages().value_or(1);
      buffer.fixed = cnn::isFixed(arena.getType());
      buffer.chain = arena.getImages() ? *call.getChain() : -1;
      auto [first, last] = arena.getImages() ? std::pair(time, time) : during;
      if (buffer.first < 0)
        buffer.first = first;
      buffer.last = last;
    }
    ++time;
  }
  std::vector<Buffer> result;
  for (auto &[id, buffer] : buffers)
    result.push_back(buffer);
  return result;
}

/// No plan can be smaller than the largest sum of buffers alive at one time.
static int64_t lowerBound(ArrayRef<Buffer> buffers) {
  int64_t bound = 0;
  for (const Buffer &at : buffers) {
    int64_t sum = 0;
    for (const Buffer &other : buffers)
      if (other.first <= at.first && at.first <= other.last)
        sum += other.bytes;
    bound = std::max(bound, sum);
  }
  return bound;
}

/// Gives each buffer in turn the lowest place where it meets no buffer that is
/// alive with it. Returns the size of the arena.
static int64_t place(std::vector<Buffer *> order) {
  int64_t size = 0;
  std::vector<Buffer *> placed; // by slot
  for (Buffer *buffer : order) {
    int64_t slot = 0;
    for (Buffer *other : placed) {
      if (!other->overlaps(*buffer))
        continue;
      if (other->slot >= slot + buffer->bytes)
        break;
      slot = std::max(slot, other->slot + other->bytes);
    }
    buffer->slot = slot;
    size = std::max(size, slot + buffer->bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), buffer,
                                   [](const Buffer *a, const Buffer *b) {
                                     return a->slot < b->slot;
                                   }),
                  buffer);
  }
  return size;
}

/// Tries several orders and keeps the smallest arena, by what `sizeOf` makes of the
/// size of the buffers alone.
template <typename SizeOf>
static int64_t plan(std::vector<Buffer> &buffers, SizeOf sizeOf) {
  using Less = bool (*)(const Buffer *, const Buffer *);
  static const Less orders[] = {
      // Large buffers first.
      [](const Buffer *a, const Buffer *b) { return a->bytes > b->bytes; },
      // As they come.
      [](const Buffer *a, const Buffer *b) { return a->first < b->first; },
      // Long-lived buffers first.
      [](const Buffer *a, const Buffer *b) {
        return (a->last - a->first) > (b->last - b->first);
      },
      // By size times lifetime.
      [](const Buffer *a, const Buffer *b) {
        return a->bytes * (a->last - a->first + 1) >
               b->bytes * (b->last - b->first + 1);
      },
      // Those above which chains keep the most, so that this begins low.
      [](const Buffer *a, const Buffer *b) {
        return a->below != b->below ? a->below > b->below : a->bytes > b->bytes;
      }};
  int64_t best = -1, size = 0;
  std::vector<int64_t> slots;
  for (Less less : orders) {
    std::vector<Buffer *> order;
    for (Buffer &buffer : buffers)
      order.push_back(&buffer);
    std::stable_sort(order.begin(), order.end(), less);
    const int64_t alone = place(order), all = sizeOf(alone);
    if (best >= 0 && all >= best)
      continue;
    best = all, size = alone;
    slots.clear();
    for (Buffer &buffer : buffers)
      slots.push_back(buffer.slot);
  }
  for (auto [buffer, slot] : llvm::zip(buffers, slots))
    buffer.slot = slot;
  return size;
}

ArenaPlan planArena(exec::FunctionOp function) {
  ArenaPlan result;
  Overlays overlays = findOverlays(function);
  const Chains chains = findChains(function);
  const std::vector<Buffer> all = collectBuffers(function, overlays, chains);
  auto those = [&](auto which) {
    std::vector<Buffer> buffers;
    llvm::copy_if(all, std::back_inserter(buffers), which);
    return buffers;
  };
  auto asItIs = [](int64_t size) { return size; };
  // What chains keep, each for itself.
  struct Kept {
    std::vector<Buffer> buffers;
    int64_t bytes;
  };
  std::map<int64_t, Kept> kept;
  for (auto [chain, during] : chains) {
    Kept &one = kept[chain];
    one.buffers = those([&](const Buffer &b) { return b.chain == chain; });
    one.bytes = plan(one.buffers, asItIs);
  }
  // Buffers that grow with the batch, and those that don't.
  std::vector<Buffer> growing = those([](const Buffer &b) { return !b.fixed && b.chain < 0; });
  std::vector<Buffer> fixed = those([](const Buffer &b) { return b.fixed; });
  auto isAcross = [&](const Buffer &buffer, int64_t chain) {
    return buffer.first <= chains.at(chain).second && chains.at(chain).first <= buffer.last;
  };
  for (Buffer &buffer : growing)
    for (const auto &[chain, one] : kept)
      if (isAcross(buffer, chain))
        buffer.below = std::max(buffer.below, one.bytes);
  auto above = [&](int64_t chain) {
    int64_t end = 0;
    for (const Buffer &buffer : growing)
      if (isAcross(buffer, chain))
        end = std::max(end, buffer.slot + buffer.bytes);
    return end;
  };
  // Of one image, and so enough behind any number of them.
  auto withChains = [&](int64_t size) {
    for (const auto &[chain, one] : kept)
      size = std::max(size, above(chain) + one.bytes);
    return size;
  };
  result.growing = plan(growing, withChains);
  result.chains = withChains(result.growing) - result.growing;
  result.fixed = plan(fixed, asItIs);
  std::vector<Buffer> ofOneImage = growing;
  for (const auto &[chain, one] : kept)
    for (const Buffer &buffer : one.buffers) {
      result.places[buffer.id] = {above(chain), buffer.slot};
      ofOneImage.push_back(buffer);
    }
  for (const auto *buffers : {&growing, &fixed})
    for (const Buffer &buffer : *buffers)
      result.places[buffer.id] = {buffer.slot, 0};
  result.bound = lowerBound(ofOneImage);
  for (auto [buffer, place] : overlays)
    result.places[buffer] = result.places[place];
  return result;
}

namespace {
struct PlanMemory : impl::PlanMemoryBase<PlanMemory> {
  void runOnOperation() override {
    exec::ProgramOp program = getOperation();
    for (auto function : program.getBody().front().getOps<exec::FunctionOp>()) {
      ArenaPlan plan = planArena(function);
      program.setArena(std::max<int64_t>(program.getArena(), plan.growing));
      program.setArenaFixed(std::max<int64_t>(program.getArenaFixed(), plan.fixed));
      program.setArenaChains(std::max<int64_t>(program.getArenaChains(), plan.chains));
      program.setArenaBound(
          std::max<int64_t>(program.getArenaBound(), plan.bound));
      function.walk([&](exec::ArenaOp arena) {
        auto [slot, room] = plan.places[arena.getBuffer()];
        arena.setSlot(slot);
        if (arena.getImages())
          arena.setRoom(room);
      });
    }
  }
};
} // namespace
} // namespace halcyon
