//===- onnxruntime.cpp - A program as an operator of ONNX Runtime ---------===//
//
// What a custom operator's library needs of ONNX Runtime's C interface is declared
// here: its places in OrtApi, to which versions only add at the end, and OrtCustomOp
// as of version 16, the first whose operators can say what went wrong. A program that
// loads the library with an older ONNX Runtime is told so.
//
//===----------------------------------------------------------------------===//

#include "halcyon/halcyon.h"

#include <cstdio>
#include <cstdlib>
#include <new>
#include <pthread.h>

extern "C" const halcyon_program halcyon_program_main;

namespace {

using Status = void *;
using Function = void (*)();

/// OrtApi: pointers to functions, known by their place.
struct Api {
  Function Functions[300];
};
struct ApiBase {
  const Api *(*GetApi)(uint32_t Version);
  const char *(*GetVersionString)();
};

constexpr uint32_t Version = 16;
constexpr int Fails = 1, InvalidArgument = 2; // OrtErrorCode

/// A function of OrtApi: its place and its type.
template <unsigned Place, class Type> struct Entry {
  template <class... Arguments>
  auto operator()(const Api *From, Arguments... Given) const {
    return reinterpret_cast<Type *>(From->Functions[Place])(Given...);
  }
};
constexpr Entry<0, Status(int, const char *)> createStatus;
constexpr Entry<26, Status(const char *, void **)> createDomain;
constexpr Entry<27, Status(void *, const void *)> addToDomain;
constexpr Entry<28, Status(void *, void *)> addDomain;
constexpr Entry<51, Status(void *, void **)> getData;
constexpr Entry<61, Status(const void *, size_t *)> getRank;
constexpr Entry<62, Status(const void *, int64_t *, size_t)> getShape;
constexpr Entry<65, Status(const void *, void **)> getTypeAndShape;
constexpr Entry<90, Status(const void *, size_t, const void **)> getInput;
constexpr Entry<91, Status(void *, size_t, const int64_t *, size_t, void **)>
    getOutput;
constexpr Entry<99, void(void *)> releaseTypeAndShape;

/// OrtCustomOp.
struct CustomOp {
  uint32_t Version;
  void *(*CreateKernel)(const CustomOp *, const Api *, const void *);
  const char *(*GetName)(const CustomOp *);
  const char *(*GetProvider)(const CustomOp *);
  int (*GetInputType)(const CustomOp *, size_t);
  size_t (*GetInputCount)(const CustomOp *);
  int (*GetOutputType)(const CustomOp *, size_t);
  size_t (*GetOutputCount)(const CustomOp *);
  void (*Compute)(void *, void *);
  void (*Destroy)(void *);
  int (*GetInputCharacteristic)(const CustomOp *, size_t);
  int (*GetOutputCharacteristic)(const CustomOp *, size_t);
  int (*GetInputMemory)(const CustomOp *, size_t);
  int (*GetVariadicInputMinimum)(const CustomOp *);
  int (*GetVariadicInputHomogeneity)(const CustomOp *);
  int (*GetVariadicOutputMinimum)(const CustomOp *);
  int (*GetVariadicOutputHomogeneity)(const CustomOp *);
  Status (*CreateKernelV2)(const CustomOp *, const Api *, const void *, void **);
  Status (*ComputeV2)(void *, void *);
};

const halcyon_program &Program = halcyon_program_main;

/// ONNX's number of an element type.
int elementType(const halcyon_port &Port) {
  if (Port.type_code == 2)
    return Port.type_bits == 64 ? 11 : 1;
  if (Port.type_code == 3)
    return 16;
  const bool Signed = Port.type_code == 0;
  switch (Port.type_bits) {
  case 8:
    return Signed ? 3 : 2;
  case 16:
    return Signed ? 5 : 4;
  case 32:
    return Signed ? 6 : 12;
  }
  return Signed ? 7 : 13;
}

/// A node of a graph: sessions that no thread is in, as many as threads ever met.
struct Kernel {
  const Api *Ort;
  pthread_mutex_t Mutex = PTHREAD_MUTEX_INITIALIZER;
  struct Idle {
    halcyon_session *Session;
    Idle *Next;
  } *Sessions = nullptr;

  Status fail(int Code, const char *Text) const {
    return createStatus(Ort, Code, Text);
  }

  Idle *take(halcyon_error &Error) {
    pthread_mutex_lock(&Mutex);
    Idle *First = Sessions;
    if (First)
      Sessions = First->Next;
    pthread_mutex_unlock(&Mutex);
    if (First)
      return First;
    First = static_cast<Idle *>(malloc(sizeof(Idle)));
    if (!First) {
      snprintf(Error.text, sizeof(Error.text), "out of memory");
      return nullptr;
    }
    if (halcyon_session_create(&Program, nullptr, &First->Session, &Error) ==
        HALCYON_OK)
      return First;
    free(First);
    return nullptr;
  }

  void give(Idle *Session) {
    pthread_mutex_lock(&Mutex);
    Session->Next = Sessions;
    Sessions = Session;
    pthread_mutex_unlock(&Mutex);
  }

  Status run(halcyon_session *Session, void *Context);
  Status bindInput(halcyon_session *Session, void *Context, uint32_t Index,
                   int64_t &Batch);
  Status bindOutput(halcyon_session *Session, void *Context, uint32_t Index,
                    int64_t Batch);
};

Status Kernel::bindInput(halcyon_session *Session, void *Context,
                         uint32_t Index, int64_t &Batch) {
  const halcyon_port &Port = Program.inputs[Index];
  const void *Value = nullptr;
  void *Data = nullptr, *Type = nullptr;
  if (Status S = getInput(Ort, Context, Index, &Value))
    return S;
  if (Status S = getTypeAndShape(Ort, Value, &Type))
    return S;
  int64_t Shape[HALCYON_MAX_RANK];
  size_t Rank = 0;
  Status S = getRank(Ort, Type, &Rank);
  bool Fits = !S && Rank == Port.rank;
  if (!S && Fits)
    S = getShape(Ort, Type, Shape, Rank);
  releaseTypeAndShape(Ort, Type);
  if (S)
    return S;
  for (unsigned D = 0; Fits && D != Rank; ++D) {
    if (Port.shape[D] == HALCYON_BATCH && Batch < 0)
      Batch = Shape[D];
    Fits = Shape[D] == (Port.shape[D] == HALCYON_BATCH ? Batch : Port.shape[D]);
  }
  if (!Fits || Batch == 0 || Batch > INT32_MAX) {
    char Text[200];
    snprintf(Text, sizeof(Text), "%s: input %s has another shape than the model's",
             Program.name, Program.strings + Port.name);
    return fail(InvalidArgument, Text);
  }
  if (Status S = getData(Ort, const_cast<void *>(Value), &Data))
    return S;
  if (halcyon_session_bind_input(Session, Index, Data))
    return fail(Fails, halcyon_session_error(Session));
  return nullptr;
}

Status Kernel::bindOutput(halcyon_session *Session, void *Context,
                          uint32_t Index, int64_t Batch) {
  const halcyon_port &Port = Program.outputs[Index];
  int64_t Shape[HALCYON_MAX_RANK];
  for (unsigned D = 0; D != Port.rank; ++D)
    Shape[D] = Port.shape[D] == HALCYON_BATCH ? Batch : Port.shape[D];
  void *Value = nullptr, *Data = nullptr;
  if (Status S = getOutput(Ort, Context, Index, Shape, Port.rank, &Value))
    return S;
  if (Status S = getData(Ort, Value, &Data))
    return S;
  if (halcyon_session_bind_output(Session, Index, Data))
    return fail(Fails, halcyon_session_error(Session));
  return nullptr;
}

Status Kernel::run(halcyon_session *Session, void *Context) {
  int64_t Batch = -1;
  for (uint32_t I = 0; I != Program.num_inputs; ++I)
    if (Status S = bindInput(Session, Context, I, Batch))
      return S;
  if (Batch < 0)
    Batch = Program.only_batch ? Program.only_batch : 1;
  if (halcyon_session_set_batch(Session, uint32_t(Batch)))
    return fail(InvalidArgument, halcyon_session_error(Session));
  for (uint32_t I = 0; I != Program.num_outputs; ++I)
    if (Status S = bindOutput(Session, Context, I, Batch))
      return S;
  if (halcyon_session_run(Session))
    return fail(Fails, halcyon_session_error(Session));
  return nullptr;
}

Status create(const CustomOp *, const Api *Ort, const void *, void **Made) {
  void *Room = malloc(sizeof(Kernel));
  if (!Room)
    return createStatus(Ort, Fails, "out of memory");
  auto *K = new (Room) Kernel;
  K->Ort = Ort;
  // A CPU that can't run the program says so now.
  halcyon_error Error = {};
  Kernel::Idle *First = K->take(Error);
  if (!First) {
    free(K);
    return createStatus(Ort, Fails, Error.text);
  }
  K->give(First);
  *Made = K;
  return nullptr;
}

Status compute(void *Made, void *Context) {
  auto &K = *static_cast<Kernel *>(Made);
  halcyon_error Error = {};
  Kernel::Idle *Session = K.take(Error);
  if (!Session)
    return K.fail(Fails, Error.text);
  Status S = K.run(Session->Session, Context);
  K.give(Session);
  return S;
}

void destroy(void *Made) {
  auto *K = static_cast<Kernel *>(Made);
  while (Kernel::Idle *Session = K->Sessions) {
    K->Sessions = Session->Next;
    halcyon_session_destroy(Session->Session);
    free(Session);
  }
  free(K);
}

const CustomOp Operator = {
    Version,
    nullptr,
    [](const CustomOp *) -> const char * { return Program.name; },
    [](const CustomOp *) -> const char * { return nullptr; },
    [](const CustomOp *, size_t I) { return elementType(Program.inputs[I]); },
    [](const CustomOp *) -> size_t { return Program.num_inputs; },
    [](const CustomOp *, size_t I) { return elementType(Program.outputs[I]); },
    [](const CustomOp *) -> size_t { return Program.num_outputs; },
    nullptr,
    destroy,
    [](const CustomOp *, size_t) { return 0; }, // required
    [](const CustomOp *, size_t) { return 0; },
    [](const CustomOp *, size_t) { return 0; }, // where the provider's values lie
    [](const CustomOp *) { return 1; },
    [](const CustomOp *) { return 1; },
    [](const CustomOp *) { return 1; },
    [](const CustomOp *) { return 1; },
    create,
    compute};

} // namespace

/// What ONNX Runtime looks for in a library of custom operators.
extern "C" HALCYON_API Status RegisterCustomOps(void *Options,
                                                const ApiBase *Base) {
  const Api *Ort = Base->GetApi(Version);
  if (!Ort) {
    char Text[120];
    snprintf(Text, sizeof(Text), "needs ONNX Runtime 1.%u or later, not %s",
             Version, Base->GetVersionString());
    return createStatus(Base->GetApi(1), Fails, Text);
  }
  // The operator is called as the program is; libraries of several meet in no domain.
  char Name[200];
  snprintf(Name, sizeof(Name), "halcyon.%s", Program.name);
  void *Domain = nullptr;
  if (Status S = createDomain(Ort, Name, &Domain))
    return S;
  if (Status S = addToDomain(Ort, Domain, &Operator))
    return S;
  return addDomain(Ort, Options, Domain);
}
