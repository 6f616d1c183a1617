//===- session.h - A program made ready to run ----------------------------===//

#ifndef HALCYON_RUNTIME_SESSION_H
#define HALCYON_RUNTIME_SESSION_H

#include "halcyon/halcyon.h"
#include "device.h"
#include "memory.h"
#include "threads.h"
#include "weights.h"

#include <HalideRuntime.h>

namespace halcyon {

struct CallTime {
  uint64_t Ns = 0; ///< of the run that goes on
  uint64_t Runs = 0;
  uint64_t TotalNs = 0;
  uint64_t MinNs = 0;
};

/// Says a line to the caller's logger, if there is one.
inline void say(const halcyon_logger &Logger, halcyon_log_level Level,
                const char *Text) {
  if (Logger.log)
    Logger.log(Logger.self, Level, Text);
}

} // namespace halcyon

/// Every view has its buffer descriptor, and every call its argument list, for
/// as long as the session lives: a run is one indirect call per kernel.
struct halcyon_session {
  const halcyon_program *Program = nullptr;
  halcyon::Allocator Memory;
  halcyon::MappedWeights WeightsFile;
  halcyon::PlacedWeights PlacedWeights;
  const uint8_t *Weights = nullptr;
  halcyon::WeightsIdentity WhoseWeights;
  uint8_t *Arena = nullptr;
  uint64_t ArenaBytes = 0;
  halcyon::DeviceMemory Device;
  uint32_t Batch = 0;

  halide_buffer_t *Buffers = nullptr; ///< one per view
  halide_dimension_t *Dims = nullptr; ///< HALCYON_MAX_RANK per view
  uint8_t *OfImage = nullptr;        ///< per view: belongs to an image function
  void **Arguments = nullptr;        ///< of all calls, one after another
  uint64_t *FirstArgument = nullptr; ///< per call
  const void **Inputs = nullptr;
  void **Outputs = nullptr;
  void **OwnOutputs = nullptr; ///< memory of outputs that nobody bound
  uint64_t *OwnBytes = nullptr;
  halcyon::CallTime *Times = nullptr; ///< per call of function 0
  bool Profiling = false;

  halcyon::ThreadContext *Contexts = nullptr;
  unsigned NumThreads = 1;
  void *UserContext = nullptr; ///< what args[0] of every kernel points to
  halcyon::ThreadPool Pool;

  halcyon_logger Logger = {};

  std::atomic<bool> Entered{false};
  std::atomic<bool> KernelSpoke{
      false}; ///< a kernel's message is, or is being, stored
  halcyon_error Error = {};
  char KernelText[200] = {};
};

namespace halcyon {

/// The index of the port of this name, or -1.
int32_t findPort(const halcyon_program &Program, const halcyon_port *Ports,
                 uint32_t Count, const char *Name);

/// Gives outputs that nobody bound memory of the session's.
halcyon_status bindOwnOutputs(halcyon_session &Session);

/// Keeps a second thread out of a session.
class Guard {
public:
  explicit Guard(halcyon_session *S) : S(S), Free(!S->Entered.exchange(true)) {}
  ~Guard() {
    if (Free)
      S->Entered.store(false);
  }
  explicit operator bool() const { return Free; }

private:
  halcyon_session *S;
  bool Free;
};

} // namespace halcyon

#endif // HALCYON_RUNTIME_SESSION_H
