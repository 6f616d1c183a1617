//===- eval.cpp - Accuracy over a labelled set ----------------------------===//
//
// Two kinds of folder: MNIST's IDX files, or one folder of pictures per class.
//
//===----------------------------------------------------------------------===//

#include "support.h"

#include <cstdio>
#include <initializer_list>
#include <zlib.h>

using namespace halcyon::cli;

//===----------------------------------------------------------------------===//
// IDX files
//===----------------------------------------------------------------------===//

static bool inflateGzip(Buffer &Data, const char *Path, Failure &Why) {
  z_stream Stream = {};
  Buffer Out;
  if (!Out.allocate(4 * uint64_t(Data.Size) + 65536, Why))
    return false;
  if (Data.Size > UINT32_MAX || inflateInit2(&Stream, 15 + 16) != Z_OK)
    return fail(Why, "%s: cannot be unpacked", Path);
  Stream.next_in = Data.Data;
  Stream.avail_in = uInt(Data.Size);
  size_t Used = 0;
  int Status = Z_OK;
  bool Good = true;
  while (Good && Status == Z_OK) {
    if (Used == Out.Size) {
      Buffer Grown;
      Good = Out.Size < UINT32_MAX / 2 &&
             Grown.allocate(2 * uint64_t(Out.Size), Why);
      if (!Good)
        break;
      memcpy(Grown.Data, Out.Data, Used);
      Out = static_cast<Buffer &&>(Grown);
    }
    Stream.next_out = Out.Data + Used;
    Stream.avail_out = uInt(Out.Size - Used);
    Status = inflate(&Stream, Z_NO_FLUSH);
    Used = Out.Size - Stream.avail_out;
  }
  inflateEnd(&Stream);
  if (!Good || Status != Z_STREAM_END)
    return fail(Why, "%s: damaged or truncated gzip file", Path);
  Out.Size = Used;
  Data = static_cast<Buffer &&>(Out);
  return true;
}

/// "t10k-images-idx3-ubyte", with a dot as some write it, maybe packed.
static bool findIdx(char (&Path)[4096], const char *Folder, const char *What,
                    char Rank) {
  for (const char *Mark : {"-", "."})
    for (const char *End : {"", ".gz"}) {
      char Name[64];
      snprintf(Name, sizeof(Name), "t10k-%s%sidx%c-ubyte%s", What, Mark, Rank,
               End);
      if (joinPath(Path, Folder, Name) && isFile(Path))
        return true;
    }
  return false;
}

/// Reads an IDX file of bytes and checks its sizes.
static bool readIdx(const char *Path, unsigned Rank, Buffer &Out,
                    uint32_t (&Sizes)[3], Failure &Why) {
  if (!readFile(Path, Out, Why))
    return false;
  if (Out.Size > 2 && Out.Data[0] == 0x1f && Out.Data[1] == 0x8b &&
      !inflateGzip(Out, Path, Why))
    return false;
  size_t Header = 4 + 4 * size_t(Rank);
  if (Out.Size < Header || Out.Data[0] || Out.Data[1] || Out.Data[2] != 8 ||
      Out.Data[3] != Rank)
    return fail(Why, "%s: not an IDX file of bytes in %u dimensions", Path,
                Rank);
  uint64_t Bytes = 1;
  for (unsigned I = 0; I != Rank; ++I) {
    const uint8_t *At = Out.Data + 4 + 4 * size_t(I);
    Sizes[I] = uint32_t(At[0]) << 24 | uint32_t(At[1]) << 16 |
               uint32_t(At[2]) << 8 | At[3];
    if (__builtin_mul_overflow(Bytes, uint64_t(Sizes[I]), &Bytes))
      Bytes = UINT64_MAX;
  }
  if (Bytes > Out.Size - Header)
    return fail(Why, "%s: truncated IDX file", Path);
  return true;
}

//===----------------------------------------------------------------------===//
// Counting
//===----------------------------------------------------------------------===//

namespace {
/// Collects images to a batch, runs it and compares.
struct Judge {
  Model &M;
  const halcyon_port &In;
  const halcyon_port &Out;
  uint32_t Batch;
  Tensors Inputs, Outputs;
  List<uint64_t> Wanted;
  uint64_t Total = 0, First = 0, Five = 0;

  Judge(Model &M, uint32_t Batch)
      : M(M), In(M.Program.inputs[0]), Out(M.Program.outputs[0]), Batch(Batch) {
  }

  bool start(Failure &Why) {
    if (!Inputs.allocate(&In, 1, Batch, Why) ||
        !Outputs.allocate(&Out, 1, Batch, Why))
      return false;
    halcyon_session_bind_input(M.Session, 0, Inputs.Ports[0].Data);
    halcyon_session_bind_output(M.Session, 0, Outputs.Ports[0].Data);
    return true;
  }

  /// Where the next image goes.
  uint8_t *room() {
    return Inputs.Ports[0].Data + Wanted.size() * halcyon_port_bytes(&In, 1);
  }

  bool add(uint64_t Class, Failure &Why) {
    if (!Wanted.push(Class))
      return fail(Why, "out of memory");
    return Wanted.size() < Batch || flush(Why);
  }

  bool flush(Failure &Why) {
    if (Wanted.size() == 0)
      return true;
    if (!M.setBatch(uint32_t(Wanted.size()), Why) || !M.run(Why))
      return false;
    uint64_t Classes = uint64_t(Out.shape[1]);
    const float *Values =
        reinterpret_cast<const float *>(Outputs.Ports[0].Data);
    for (size_t I = 0; I != Wanted.size(); ++I, Values += Classes) {
      // The rank of the right class; a NaN beats it.
      uint64_t Better = 0;
      for (uint64_t C = 0; C != Classes; ++C)
        Better += C != Wanted[I] &&
                  (!(Values[C] <= Values[Wanted[I]]) ||
                   (Values[C] == Values[Wanted[I]] && C < Wanted[I]));
      First += Better == 0;
      Five += Better < 5;
    }
    Total += Wanted.size();
    Wanted.clear();
    return true;
  }
};
} // namespace

static bool judgeIdx(Judge &J, const char *Images, const char *Labels,
                     Failure &Why) {
  Buffer Pictures, Classes;
  uint32_t Sizes[3], Count[3];
  if (!readIdx(Images, 3, Pictures, Sizes, Why) ||
      !readIdx(Labels, 1, Classes, Count, Why))
    return false;
  if (Sizes[0] != Count[0])
    return fail(Why, "%s: %u pictures, but %u labels", Images, Sizes[0],
                Count[0]);
  if (J.M.pictureChannels(0) != 1)
    return fail(Why, "%s: pictures are gray, input %s takes %u channels",
                Images, J.M.text(J.In.name), J.M.pictureChannels(0));
  for (uint32_t I = 0; I != Sizes[0]; ++I) {
    halcyon_picture Picture = {Pictures.Data + 16 +
                                   uint64_t(I) * Sizes[1] * Sizes[2],
                               Sizes[2], Sizes[1], 1, 0};
    uint8_t Class = Classes.Data[8 + size_t(I)];
    if (Class >= J.Out.shape[1])
      return fail(Why, "%s: label %u, the model has %lld classes", Labels,
                  Class, static_cast<long long>(J.Out.shape[1]));
    if (halcyon_session_prepare_image(J.M.Session, 0, &Picture, J.room()))
      return fail(Why, "%s: %s", Images, halcyon_session_error(J.M.Session));
    if (!J.add(Class, Why))
      return false;
  }
  return true;
}

/// The class that a folder stands for: by its label, else by its place among
/// the folders where there are as many as classes, else by its number.
static bool classOfFolder(const Judge &J, const char *Name, size_t Place,
                          size_t Folders, uint64_t &Class) {
  uint64_t Classes = uint64_t(J.Out.shape[1]);
  char Room[24];
  for (Class = 0; Class != Classes; ++Class) {
    Label L = labelOf(J.M, J.Out, Class, Room);
    if (strlen(Name) == size_t(L.Length) &&
        memcmp(Name, L.Text, size_t(L.Length)) == 0)
      return true;
  }
  Class = Place;
  return Folders == Classes;
}

static bool judgeFolders(Judge &J, const char *Folder, Failure &Why) {
  Names Listed;
  List<const char *> Folders;
  char Path[4096];
  if (!Listed.read(Folder, Why))
    return false;
  for (char *Name : Listed.Items)
    if (joinPath(Path, Folder, Name) && isDirectory(Path) &&
        !Folders.push(Name))
      return fail(Why, "out of memory");
  for (size_t I = 0; I != Folders.size(); ++I) {
    uint64_t Class;
    Names Files;
    if (!classOfFolder(J, Folders[I], I, Folders.size(), Class))
      return fail(Why, "%s: folder '%s' is none of the model's %lld classes",
                  Folder, Folders[I], static_cast<long long>(J.Out.shape[1]));
    char Inside[4096];
    if (!joinPath(Inside, Folder, Folders[I]) || !Files.read(Inside, Why))
      return false;
    for (char *Name : Files.Items) {
      Buffer File;
      if (!joinPath(Path, Inside, Name) || !isFile(Path))
        continue;
      if (!readFile(Path, File, Why) ||
          !J.M.prepare(0, File.Data, File.Size, Path, J.room(), Why) ||
          !J.add(Class, Why))
        return false;
    }
  }
  return true;
}

static constexpr uint32_t DefaultBatch = 32;

bool halcyon::cli::evaluate(Model &M, const Options &O, Failure &Why) {
  const halcyon_program &P = M.Program;
  if (P.num_inputs != 1 || P.num_outputs != 1 || !M.pictureChannels(0) ||
      !isClassifier(P.outputs[0]))
    return fail(Why,
                "%s does not classify pictures: --eval needs one image input "
                "and one output "
                "of classes",
                P.name);
  Judge J(M, O.Batch ? O.Batch : DefaultBatch);
  char Images[4096], Labels[4096];
  if (!isDirectory(O.EvalFolder))
    return fail(Why, "%s: not a folder", O.EvalFolder);
  if (!J.start(Why))
    return false;
  bool Good = findIdx(Images, O.EvalFolder, "images", '3') &&
                      findIdx(Labels, O.EvalFolder, "labels", '1')
                  ? judgeIdx(J, Images, Labels, Why)
                  : judgeFolders(J, O.EvalFolder, Why);
  if (!Good || !J.flush(Why))
    return false;
  if (J.Total == 0)
    return fail(
        Why, "%s: neither MNIST's t10k files nor folders of pictures by class",
        O.EvalFolder);
  double Accuracy = double(J.First) / double(J.Total),
         Five = double(J.Five) / double(J.Total);
  if (O.Json)
    printf("{\"accuracy\": %.6f, \"top5\": %.6f, \"correct\": %llu, "
           "\"images\": %llu}\n",
           Accuracy, Five, static_cast<unsigned long long>(J.First),
           static_cast<unsigned long long>(J.Total));
  else
    printf("%s: %.2f %% right (%llu of %llu), %.2f %% among the first five\n",
           P.name, 100 * Accuracy, static_cast<unsigned long long>(J.First),
           static_cast<unsigned long long>(J.Total), 100 * Five);
  return true;
}
