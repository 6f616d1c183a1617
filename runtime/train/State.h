//===- State.h - Tensors that programs read and change --------------------===//

#ifndef HALCYON_TRAIN_STATE_H
#define HALCYON_TRAIN_STATE_H

#include "Tensor.h"

#include "device.h"

#include <set>

namespace halcyon::train {

/// Named tensors that several programs are bound to. Those of programs for a device
/// have a copy in its memory, where they stay from run to run: what was changed on one
/// side reaches the other when it is asked for there.
class State {
public:
  State() = default;
  State(const State &) = delete;
  State &operator=(const State &) = delete;
  ~State() { release(); }

  /// The tensors as they are now.
  const Tensors &get();
  /// The same, to be changed.
  Tensors &change();

  /// Binds an input or output of a session to one of them.
  void bind(halcyon_session *session, halcyon_space space, uint32_t index,
            const std::string &name);
  /// To be called before a session that is bound runs, and behind it.
  void enter();
  void leave();
  /// Gives the device's memory back: while the first session that was bound is there.
  void release();

  /// Bytes of all of them.
  uint64_t bytes() const;

private:
  Tensors tensors;
  halcyon_session *device = nullptr; ///< through which one speaks to it
  std::map<std::string, DeviceBlock> copies;
  std::set<std::string> written; ///< by programs
  bool changedHere = true, changedThere = false;
};

} // namespace halcyon::train

#endif // HALCYON_TRAIN_STATE_H
