//===- embed_tests.cpp - What hosts of the runtime bring and ask ----------===//

#include "check.h"
#include "session.h"
#include "sessions.h"

#include <atomic>
#include <cstring>
#include <pthread.h>

namespace {

void versions() {
  CHECK(halcyon_abi_version() == HALCYON_ABI_VERSION);
  halcyon_options Options = {};
  Options.abi_version = HALCYON_ABI_VERSION;
  Session Same(1, halcyon_program_main, Options);
  CHECK(Same.S);
  Options.abi_version = HALCYON_ABI_VERSION + 1;
  Session Other(1, halcyon_program_main, Options);
  CHECK(!Other.S && Other.Error.status == HALCYON_BAD_ARGUMENT);
  CHECK(strstr(Other.Error.text, "interface version"));
}

void names() {
  float In[16 * 5], Out[3 * 5];
  makeImages(In, 5);
  Session S(2);
  CHECK(!halcyon_session_output(S, "scores", nullptr));
  CHECK(halcyon_session_set_input(S, "picture", In, 64) == HALCYON_BAD_ARGUMENT);
  CHECK(!strcmp(halcyon_session_error(S), "there is no input 'picture'"));
  CHECK(halcyon_session_set_input(S, "image", In, 65) == HALCYON_BAD_ARGUMENT);
  CHECK(!strcmp(halcyon_session_error(S),
                "input 'image' takes 64 bytes at a batch of 1, not 65"));
  CHECK(halcyon_session_set_output(S, "image", Out, 12) == HALCYON_BAD_ARGUMENT);
  // Outputs of the session's own grow with the batch.
  for (uint32_t Batch : {1u, 5u, 2u}) {
    uint64_t Bytes = 0;
    CHECK(halcyon_session_set_batch(S, Batch) == HALCYON_OK);
    CHECK(halcyon_session_set_input(S, "image", In, 64 * Batch) == HALCYON_OK);
    CHECK(halcyon_session_run(S) == HALCYON_OK);
    auto *Own = static_cast<const float *>(
        halcyon_session_output(S, "scores", &Bytes));
    CHECK(Own && Bytes == 12 * Batch && isRight(In, Own, Batch));
  }
  CHECK(halcyon_session_set_output(S, "scores", Out, 24) == HALCYON_OK);
  CHECK(halcyon_session_run(S) == HALCYON_OK && isRight(In, Out, 2));
  CHECK(halcyon_session_output(S, "scores", nullptr) == Out);
  CHECK(!halcyon_session_output(S, "scored", nullptr));
}

//===----------------------------------------------------------------------===//
// The caller's threads
//===----------------------------------------------------------------------===//

struct Job {
  void (*Run)(void *, uint32_t);
  void *Data;
  uint32_t Index;
};

struct HostPool {
  enum Order { Forwards, Backwards, InThreads } How = Forwards;
  std::atomic<int> Loops{0};
  std::atomic<uint32_t> Most{0};
};

void runOnHost(void *Self, uint32_t Count, void (*Run)(void *, uint32_t),
               void *Data) {
  auto &Pool = *static_cast<HostPool *>(Self);
  ++Pool.Loops;
  if (Count > Pool.Most)
    Pool.Most = Count;
  pthread_t Threads[16];
  Job Jobs[16];
  for (uint32_t I = 0; I != Count; ++I) {
    Jobs[I] = {Run, Data, Pool.How == HostPool::Backwards ? Count - 1 - I : I};
    auto Main = [](void *Argument) -> void * {
      auto &J = *static_cast<Job *>(Argument);
      J.Run(J.Data, J.Index);
      return nullptr;
    };
    if (Pool.How == HostPool::InThreads)
      CHECK(pthread_create(&Threads[I], nullptr, Main, &Jobs[I]) == 0);
    else
      Main(&Jobs[I]);
  }
  for (uint32_t I = 0; Pool.How == HostPool::InThreads && I != Count; ++I)
    pthread_join(Threads[I], nullptr);
}

void hostThreads() {
  float In[16 * 9], Out[3 * 9];
  makeImages(In, 9);
  for (auto How : {HostPool::Forwards, HostPool::Backwards, HostPool::InThreads}) {
    HostPool Pool;
    Pool.How = How;
    halcyon_options Options = {};
    Options.thread_pool = {&Pool, runOnHost};
    Session S(3, halcyon_program_main, Options);
    CHECK(S.S && halcyon_session_threads(S) == 3);
    halcyon_session_set_batch(S, 9);
    halcyon_session_bind_input(S, 0, In);
    halcyon_session_bind_output(S, 0, Out);
    for (int Run = 0; Run != 20; ++Run) {
      memset(Out, 0xff, sizeof(Out));
      CHECK(halcyon_session_run(S) == HALCYON_OK && isRight(In, Out, 9));
    }
    CHECK(Pool.Loops >= 20 && Pool.Most == 3);
    FailingRow = 2;
    CHECK(halcyon_session_run(S) == HALCYON_KERNEL_FAILED);
    FailingRow = -1;
    CHECK(halcyon_session_run(S) == HALCYON_OK);
  }
}

//===----------------------------------------------------------------------===//
// The caller's log
//===----------------------------------------------------------------------===//

struct Heard {
  int Lines[2] = {};
  char Last[300] = {};
};

void hear(void *Self, halcyon_log_level Level, const char *Text) {
  auto &H = *static_cast<Heard *>(Self);
  ++H.Lines[Level];
  snprintf(H.Last, sizeof(H.Last), "%s", Text);
}

void logs() {
  Heard H;
  halcyon_options Options = {};
  Options.logger = {&H, hear};
  float In[16], Out[3];
  makeImages(In, 1);
  Session S(2, halcyon_program_main, Options);
  CHECK(S.S && H.Lines[HALCYON_LOG_INFO] == 1 && strstr(H.Last, "2 threads"));
  halcyon_session_bind_input(S, 0, In);
  halcyon_session_bind_output(S, 0, Out);
  FailingRow = 1;
  CHECK(halcyon_session_run(S) == HALCYON_KERNEL_FAILED);
  FailingRow = -1;
  CHECK(H.Lines[HALCYON_LOG_ERROR] == 1);
  CHECK(!strcmp(H.Last, halcyon_session_error(S)));
  Options.weights_path = "/nowhere";
  Session Fails(2, halcyon_program_main, Options);
  CHECK(!Fails.S && H.Lines[HALCYON_LOG_ERROR] == 2);
  CHECK(!strcmp(H.Last, Fails.Error.text));
}

} // namespace

const Test EmbedTests[] = {
    {"embed-versions", versions},
    {"embed-names", names},
    {"embed-threads", hostThreads},
    {"embed-logs", logs},
};
const unsigned NumEmbedTests = sizeof(EmbedTests) / sizeof(Test);
