//===- support.cpp - What the commands of a program share -----------------===//

#include "support.h"

#include <cstdarg>
#include <cstdio>
#include <new>
#include <time.h>

using namespace halcyon::cli;

bool halcyon::cli::fail(Failure &Why, const char *Format, ...) {
  va_list Arguments;
  va_start(Arguments, Format);
  vsnprintf(Why.Text, sizeof(Why.Text), Format, Arguments);
  va_end(Arguments);
  return false;
}

double halcyon::cli::nowMs() {
  timespec Time;
  clock_gettime(CLOCK_MONOTONIC, &Time);
  return double(Time.tv_sec) * 1e3 + double(Time.tv_nsec) * 1e-6;
}

bool Buffer::allocate(uint64_t Bytes, Failure &Why) {
  free(Data);
  Data = nullptr;
  Size = 0;
  void *Block = nullptr;
  if (Bytes > SIZE_MAX / 2 ||
      posix_memalign(&Block, 64, Bytes ? size_t(Bytes) : 1))
    return fail(Why, "out of memory: %.1f MB are needed", double(Bytes) / 1e6);
  Data = static_cast<uint8_t *>(Block);
  Size = size_t(Bytes);
  return true;
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

const char *halcyon::cli::typeName(ElementType Type) {
  static const struct {
    ElementType Type;
    const char *Name;
  } Known[] = {
      {{2, 16}, "float16"},  {{2, 32}, "float32"}, {{2, 64}, "float64"},
      {{3, 16}, "bfloat16"}, {{0, 8}, "int8"},     {{0, 16}, "int16"},
      {{0, 32}, "int32"},    {{0, 64}, "int64"},   {{1, 8}, "uint8"},
      {{1, 16}, "uint16"},   {{1, 32}, "uint32"},  {{1, 64}, "uint64"},
      {{1, 1}, "bool"}};
  for (const auto &Entry : Known)
    if (Entry.Type == Type)
      return Entry.Name;
  return "an unsupported type";
}

bool halcyon::cli::tensorBytes(const Tensor &T, uint64_t &Bytes) {
  Bytes = (T.Type.Bits + 7u) / 8u;
  for (unsigned I = 0; I != T.Rank; ++I)
    if (__builtin_mul_overflow(Bytes, T.Shape[I], &Bytes))
      return false;
  return true;
}

void halcyon::cli::shapeText(char *Out, size_t Room, const uint64_t *Shape,
                             unsigned Rank) {
  size_t Used = size_t(snprintf(Out, Room, "["));
  for (unsigned I = 0; I != Rank && Used < Room; ++I)
    Used += size_t(snprintf(Out + Used, Room - Used, I ? ", %llu" : "%llu",
                            static_cast<unsigned long long>(Shape[I])));
  if (Used < Room)
    snprintf(Out + Used, Room - Used, "]");
}

void halcyon::cli::portShapeText(char *Out, size_t Room,
                                 const halcyon_port &Port) {
  size_t Used = size_t(snprintf(Out, Room, "["));
  for (unsigned I = 0; I != Port.rank && Used < Room; ++I) {
    const char *Comma = I ? ", " : "";
    Used += size_t(Port.shape[I] == HALCYON_BATCH
                       ? snprintf(Out + Used, Room - Used, "%sN", Comma)
                       : snprintf(Out + Used, Room - Used, "%s%lld", Comma,
                                  static_cast<long long>(Port.shape[I])));
  }
  if (Used < Room)
    snprintf(Out + Used, Room - Used, "]");
}

Tensors::~Tensors() {
  for (uint32_t I = 0; I != Count; ++I)
    Ports[I].~Buffer();
  free(static_cast<void *>(Ports));
}

bool Tensors::allocate(const halcyon_port *List, uint32_t Number,
                       uint64_t Images, Failure &Why) {
  Ports = static_cast<Buffer *>(calloc(Number ? Number : 1, sizeof(Buffer)));
  if (!Ports)
    return fail(Why, "out of memory");
  for (; Count != Number; ++Count)
    new (&Ports[Count]) Buffer;
  for (uint32_t I = 0; I != Number; ++I)
    if (Images && !Ports[I].allocate(halcyon_port_bytes(&List[I], Images), Why))
      return false;
  return true;
}

//===----------------------------------------------------------------------===//
// Models
//===----------------------------------------------------------------------===//

uint32_t Model::pictureChannels(uint32_t Input) const {
  const halcyon_port &Port = Program.inputs[Input];
  if (Port.image_function < 0)
    return 0;
  const halcyon_function &F = Program.functions[Port.image_function];
  for (uint32_t C = F.first_call; C != F.first_call + F.num_calls; ++C)
    for (uint32_t V = 0; V != Program.calls[C].num_views; ++V) {
      const halcyon_view &View = Program.views[Program.calls[C].first_view + V];
      if (View.space == HALCYON_IMAGE && View.rank > 0 &&
          View.dims[0].extent > 0)
        return uint32_t(View.dims[0].extent);
    }
  return Port.rank > 1 && Port.shape[1] == 1 ? 1 : 3;
}

bool Model::prepare(uint32_t Input, const uint8_t *Data, size_t Size,
                    const char *Path, uint8_t *Out, Failure &Why) {
  Picture Decoded;
  Failure Reason;
  if (!decodePicture(Data, Size, pictureChannels(Input), Decoded, Reason))
    return fail(Why, "%s: %s", Path, Reason.Text);
  halcyon_picture Pixels = {Decoded.Pixels.Data, Decoded.Width, Decoded.Height,
                            Decoded.Channels, 0};
  if (halcyon_session_prepare_image(Session, Input, &Pixels, Out))
    return fail(Why, "%s: %s", Path, halcyon_session_error(Session));
  return true;
}

bool Model::setBatch(uint32_t Batch, Failure &Why) {
  return !halcyon_session_set_batch(Session, Batch) ||
         fail(Why, "%s", halcyon_session_error(Session));
}

bool Model::run(Failure &Why) {
  return !halcyon_session_run(Session) ||
         fail(Why, "%s", halcyon_session_error(Session));
}

bool halcyon::cli::isClassifier(const halcyon_port &Port) {
  return Port.rank == 2 && Port.type_code == 2 && Port.type_bits == 32 &&
         Port.shape[1] > 1;
}

Label halcyon::cli::labelOf(const Model &M, const halcyon_port &Port,
                            uint64_t Class, char (&Room)[24]) {
  if (Port.labels != UINT32_MAX) {
    const char *Line = M.text(Port.labels);
    for (uint64_t I = 0; I != Class && Line; ++I) {
      Line = strchr(Line, '\n');
      Line = Line ? Line + 1 : nullptr;
    }
    int Length = Line ? int(strcspn(Line, "\r\n")) : 0;
    if (Length)
      return {Line, Length};
  }
  return {Room, snprintf(Room, sizeof(Room), "%llu",
                         static_cast<unsigned long long>(Class))};
}
