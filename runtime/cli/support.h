//===- support.h - What the commands of a program share -------------------===//
//
// Functions that can fail return false and leave one line in a Failure; only
// main() prints it. Memory is malloc's: a program links no libstdc++.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_CLI_SUPPORT_H
#define HALCYON_CLI_SUPPORT_H

#include "halcyon/halcyon.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace halcyon::cli {

struct Failure {
  char Text[640] = "";
};

/// Stores a line and returns false, to be returned in turn.
__attribute__((format(printf, 2, 3))) bool fail(Failure &Why,
                                                const char *Format, ...);

/// Bytes aligned to 64.
class Buffer {
public:
  Buffer() = default;
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  Buffer(Buffer &&Other) : Data(Other.Data), Size(Other.Size) {
    Other.Data = nullptr;
  }
  Buffer &operator=(Buffer &&Other) {
    free(Data);
    Data = Other.Data;
    Size = Other.Size;
    Other.Data = nullptr;
    return *this;
  }
  ~Buffer() { free(Data); }

  /// Drops what there was and makes room for `Bytes`.
  bool allocate(uint64_t Bytes, Failure &Why);

  uint8_t *Data = nullptr;
  size_t Size = 0;
};

/// A growable list of plain values.
template <class T> class List {
public:
  List() = default;
  List(const List &) = delete;
  List &operator=(const List &) = delete;
  ~List() { free(Items); }

  /// False where memory is exhausted.
  bool push(const T &Item) {
    if (Count == Capacity) {
      size_t Room = Capacity ? 2 * Capacity : 16;
      T *Grown = static_cast<T *>(
          realloc(static_cast<void *>(Items), Room * sizeof(T)));
      if (!Grown)
        return false;
      Items = Grown;
      Capacity = Room;
    }
    Items[Count++] = Item;
    return true;
  }
  void clear() { Count = 0; }
  size_t size() const { return Count; }
  T &operator[](size_t I) { return Items[I]; }
  const T &operator[](size_t I) const { return Items[I]; }
  T *begin() { return Items; }
  T *end() { return Items + Count; }

private:
  T *Items = nullptr;
  size_t Count = 0, Capacity = 0;
};

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

/// The whole of a file; "-" is standard input.
bool readFile(const char *Path, Buffer &Out, Failure &Why);

struct Piece {
  const void *Data;
  size_t Size;
};

/// Writes the pieces in order to a file that appears whole or not at all.
bool writeFile(const char *Path, const Piece *Pieces, size_t Count,
               Failure &Why);

bool isDirectory(const char *Path);
bool isFile(const char *Path);

/// Names in a folder, sorted, without hidden ones; each is malloc's.
class Names {
public:
  ~Names();
  bool read(const char *Folder, Failure &Why);
  List<char *> Items;
};

/// "folder/name", or false where that is too long.
bool joinPath(char (&Out)[4096], const char *Folder, const char *Name);

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

constexpr unsigned MaxRank = 8;

/// Element types as Halide numbers them; code 255 is one that no program takes.
struct ElementType {
  uint8_t Code = 255;
  uint8_t Bits = 0;
  bool operator==(const ElementType &) const = default;
};

/// A dense row-major tensor somewhere in a file's bytes.
struct Tensor {
  ElementType Type;
  unsigned Rank = 0;
  uint64_t Shape[MaxRank] = {};
  size_t Offset = 0; ///< of its first byte
  size_t Bytes = 0;
};

/// "float32"
const char *typeName(ElementType Type);
/// Product of Shape and the type's size; false where it overflows.
bool tensorBytes(const Tensor &T, uint64_t &Bytes);
/// "[1, 3, 224, 224]"
void shapeText(char *Out, size_t Room, const uint64_t *Shape, unsigned Rank);
/// The same of a port, with N for the batch.
void portShapeText(char *Out, size_t Room, const halcyon_port &Port);

bool isNpy(const uint8_t *Data, size_t Size);
bool parseNpy(const uint8_t *Data, size_t Size, Tensor &Out, Failure &Why);
/// The header of a .npy file, padded so that the data after it are aligned.
bool makeNpyHeader(const Tensor &T, Buffer &Out, Failure &Why);

/// The tensor of that name; the file's only one where it has just one.
bool findSafetensor(const uint8_t *Data, size_t Size, const char *Name,
                    Tensor &Out, Failure &Why);
/// The header for tensors that follow one another in order.
bool makeSafetensorsHeader(const Tensor *Tensors, const char *const *Names,
                           size_t Count, Buffer &Out, Failure &Why);

//===----------------------------------------------------------------------===//
// Pictures
//===----------------------------------------------------------------------===//

struct Picture {
  Buffer Pixels;
  uint32_t Width = 0, Height = 0, Channels = 0;
};

bool isPicture(const uint8_t *Data, size_t Size);
/// Decodes PNG or JPEG to 1 (gray) or 3 (RGB) channels of 8 bits.
bool decodePicture(const uint8_t *Data, size_t Size, uint32_t Channels,
                   Picture &Out, Failure &Why);

//===----------------------------------------------------------------------===//
// Commands
//===----------------------------------------------------------------------===//

/// `--input name=path`; Name is empty where only a path is given.
struct NamedPath {
  char Name[256];
  const char *Path;
};

struct Options {
  uint32_t Threads = 0;
  uint32_t Batch = 0; ///< 0: each command's default
  uint32_t Top = 5;
  double Seconds = 0;
  bool Bench = false, Profile = false, Info = false, Json = false;
  const char *EvalFolder = nullptr;
  const char *WeightsPath = nullptr;
  List<NamedPath> Inputs, Outputs;
  List<const char *> Pictures;
};

/// A session with the tensors that are bound to it, and the program's texts.
struct Model {
  const halcyon_program &Program;
  halcyon_session *Session = nullptr;

  explicit Model(const halcyon_program &Program) : Program(Program) {}
  ~Model() { halcyon_session_destroy(Session); }

  const char *text(uint32_t Offset) const { return Program.strings + Offset; }
  /// Channels of the pictures that an input is made from; 0 where it is not.
  uint32_t pictureChannels(uint32_t Input) const;
  /// Decodes a file's bytes and makes one image of an input.
  bool prepare(uint32_t Input, const uint8_t *Data, size_t Size,
               const char *Path, uint8_t *Out, Failure &Why);
  bool setBatch(uint32_t Batch, Failure &Why);
  bool run(Failure &Why);
};

/// All tensors of one side of a program, for `Images` images.
struct Tensors {
  Buffer *Ports = nullptr;
  uint32_t Count = 0;
  ~Tensors();
  bool allocate(const halcyon_port *List, uint32_t Number, uint64_t Images,
                Failure &Why);
};

bool infer(Model &M, const Options &O, Failure &Why);
bool evaluate(Model &M, const Options &O, Failure &Why);
bool bench(Model &M, const Options &O, Failure &Why);
bool profile(Model &M, const Options &O, Failure &Why);

/// Reads what --input and the pictures name. `Images` receives how many there
/// are.
bool loadInputs(Model &M, const Options &O, Tensors &Out, uint64_t &Images,
                Failure &Why);
/// Runs over images in chunks; the outputs are allocated here.
bool runAll(Model &M, const Tensors &Inputs, uint64_t Images, uint32_t Chunk,
            Tensors &Outputs, Failure &Why);

/// A label of an output, its number where it has none. Not NUL-terminated.
struct Label {
  const char *Text;
  int Length;
};
Label labelOf(const Model &M, const halcyon_port &Port, uint64_t Class,
              char (&Room)[24]);
bool isClassifier(const halcyon_port &Port);

/// f32 GFLOP/s of multiply-adds on all threads of the session; 0: unknown.
double measurePeak(halcyon_session *Session);

double nowMs();

} // namespace halcyon::cli

#endif // HALCYON_CLI_SUPPORT_H
