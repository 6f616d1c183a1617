//===- infer.cpp - Inputs to answers --------------------------------------===//

#include "support.h"

#include <cmath>
#include <cstdio>

using namespace halcyon::cli;

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

/// Whether a port's first size is the number of images.
static bool hasBatch(const halcyon_port &Port) {
  return Port.rank && Port.shape[0] == HALCYON_BATCH;
}

/// Checks a tensor against an input and tells how many images it holds: 0 where
/// the input does not ask.
static bool matchInput(const Model &M, const halcyon_port &Port,
                       const Tensor &T, const char *Path, uint64_t &Images,
                       Failure &Why) {
  char Given[200], Wanted[200];
  shapeText(Given, sizeof(Given), T.Shape, T.Rank);
  portShapeText(Wanted, sizeof(Wanted), Port);
  const char *Name = M.text(Port.name);
  if (!(T.Type == ElementType{Port.type_code, Port.type_bits}))
    return fail(Why, "%s: holds %s, input %s takes %s", Path, typeName(T.Type),
                Name, typeName({Port.type_code, Port.type_bits}));
  // A single image may come without its batch dimension, a number without any.
  unsigned Missing = T.Rank + 1u == Port.rank &&
                     (hasBatch(Port) || (T.Rank == 0 && Port.shape[0] == 1));
  bool Same = T.Rank + Missing == Port.rank;
  Images = hasBatch(Port);
  for (unsigned D = Missing; Same && D != Port.rank; ++D) {
    uint64_t Extent = T.Shape[D - Missing];
    if (Port.shape[D] == HALCYON_BATCH)
      Images = Extent;
    else
      Same = Extent == uint64_t(Port.shape[D]);
  }
  if (!Same || Images < hasBatch(Port))
    return fail(Why, "%s: has shape %s, input %s takes %s", Path, Given, Name,
                Wanted);
  return true;
}

static bool loadTensor(Model &M, uint32_t Input, const char *Path, Buffer &Out,
                       uint64_t &Images, Failure &Why) {
  const halcyon_port &Port = M.Program.inputs[Input];
  Buffer File;
  if (!readFile(Path, File, Why))
    return false;
  if (isPicture(File.Data, File.Size)) {
    if (!M.pictureChannels(Input))
      return fail(
          Why, "%s: input %s is not made from a picture, give it a .npy file",
          Path, M.text(Port.name));
    Images = 1;
    return Out.allocate(halcyon_port_bytes(&Port, 1), Why) &&
           M.prepare(Input, File.Data, File.Size, Path, Out.Data, Why);
  }
  Tensor T;
  Failure Reason;
  bool Parsed =
      isNpy(File.Data, File.Size)
          ? parseNpy(File.Data, File.Size, T, Reason)
          : findSafetensor(File.Data, File.Size, M.text(Port.name), T, Reason);
  if (!Parsed && !isNpy(File.Data, File.Size) &&
      strcmp(Reason.Text, "not a .safetensors file") == 0)
    return fail(Why, "%s: not a PNG, JPEG, .npy or .safetensors file", Path);
  if (!Parsed)
    return fail(Why, "%s: %s", Path, Reason.Text);
  if (!matchInput(M, Port, T, Path, Images, Why))
    return false;
  // Moved to the front, the data are aligned.
  memmove(File.Data, File.Data + T.Offset, T.Bytes);
  File.Size = T.Bytes;
  Out = static_cast<Buffer &&>(File);
  return true;
}

static bool loadPictures(Model &M, const Options &O, Buffer &Out,
                         uint64_t &Images, Failure &Why) {
  const halcyon_program &P = M.Program;
  if (P.num_inputs != 1)
    return fail(Why, "the model has %u inputs: give each by --input name=file",
                P.num_inputs);
  if (!M.pictureChannels(0))
    return fail(Why,
                "input %s is not made from a picture: give --input file.npy",
                M.text(P.inputs[0].name));
  Images = O.Pictures.size();
  if (!Out.allocate(halcyon_port_bytes(&P.inputs[0], Images), Why))
    return false;
  uint64_t Bytes = halcyon_port_bytes(&P.inputs[0], 1);
  for (size_t I = 0; I != O.Pictures.size(); ++I) {
    Buffer File;
    if (!readFile(O.Pictures[I], File, Why) ||
        !M.prepare(0, File.Data, File.Size, O.Pictures[I], Out.Data + I * Bytes,
                   Why))
      return false;
  }
  return true;
}

bool halcyon::cli::loadInputs(Model &M, const Options &O, Tensors &Out,
                              uint64_t &Images, Failure &Why) {
  const halcyon_program &P = M.Program;
  if (!Out.allocate(P.inputs, P.num_inputs, 0, Why))
    return false;
  if (O.Pictures.size() && O.Inputs.size())
    return fail(Why, "give pictures or --input, not both");
  if (O.Pictures.size())
    return loadPictures(M, O, Out.Ports[0], Images, Why);

  Images = 0;
  for (size_t I = 0; I != O.Inputs.size(); ++I) {
    const NamedPath &Given = O.Inputs[I];
    int32_t First = 0, Last = int32_t(P.num_inputs);
    if (*Given.Name) {
      First = halcyon_program_find_input(&P, Given.Name);
      Last = First + 1;
      if (First < 0)
        return fail(Why, "the model has no input '%s': see --info", Given.Name);
    }
    // A file without a name is asked for every input, by the input's own name.
    for (int32_t Input = First; Input != Last; ++Input) {
      uint64_t Here;
      if (Out.Ports[Input].Data)
        return fail(Why, "input %s is given twice",
                    M.text(P.inputs[Input].name));
      if (!loadTensor(M, uint32_t(Input), Given.Path, Out.Ports[Input], Here,
                      Why))
        return false;
      if (Images && Here && Here != Images)
        return fail(Why, "%s: has %llu images, the input before it %llu",
                    Given.Path, static_cast<unsigned long long>(Here),
                    static_cast<unsigned long long>(Images));
      Images = Here ? Here : Images;
    }
  }
  Images = Images ? Images : 1;
  for (uint32_t I = 0; I != P.num_inputs; ++I)
    if (!Out.Ports[I].Data)
      return fail(Why, "input %s is missing: --input %s=file",
                  M.text(P.inputs[I].name), M.text(P.inputs[I].name));
  return true;
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

bool halcyon::cli::runAll(Model &M, const Tensors &Inputs, uint64_t Images,
                          uint32_t Chunk, Tensors &Outputs, Failure &Why) {
  const halcyon_program &P = M.Program;
  if (!Outputs.allocate(P.outputs, P.num_outputs, Images, Why))
    return false;
  // What is computed of the whole batch is not computed in parts.
  for (uint32_t I = 0; I != P.num_outputs; ++I)
    if (!hasBatch(P.outputs[I]))
      Chunk = uint32_t(Images);
  auto At = [](const halcyon_port &Port, uint64_t Image) {
    return hasBatch(Port) ? Image * halcyon_port_bytes(&Port, 1) : 0;
  };
  for (uint64_t First = 0; First < Images; First += Chunk) {
    uint64_t Count = Images - First < Chunk ? Images - First : Chunk;
    if (!M.setBatch(P.only_batch ? P.only_batch : uint32_t(Count), Why))
      return false;
    for (uint32_t I = 0; I != P.num_inputs; ++I)
      halcyon_session_bind_input(
          M.Session, I, Inputs.Ports[I].Data + At(P.inputs[I], First));
    for (uint32_t I = 0; I != P.num_outputs; ++I)
      halcyon_session_bind_output(
          M.Session, I, Outputs.Ports[I].Data + At(P.outputs[I], First));
    if (!M.run(Why))
      return false;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Answers
//===----------------------------------------------------------------------===//

static bool endsWith(const char *Text, const char *End) {
  size_t Length = strlen(Text), EndLength = strlen(End);
  return Length >= EndLength && strcmp(Text + Length - EndLength, End) == 0;
}

/// Of an output of which the data decide how many elements it has: how many.
static uint64_t countOf(const halcyon_port &Port, const Tensors &Outputs) {
  int64_t Count;
  memcpy(&Count, Outputs.Ports[Port.counted_by - 1].Data, sizeof(Count));
  int64_t Most = Port.shape[Port.counted_axis];
  return uint64_t(Count < 0 ? 0 : Count > Most ? Most : Count);
}

/// Whether an output only counts another one's elements.
static bool isCount(const halcyon_program &P, uint32_t Output) {
  for (uint32_t I = 0; I != P.num_outputs; ++I)
    if (P.outputs[I].counted_by == Output + 1)
      return true;
  return false;
}

/// Leaves of every output the elements that there are.
static void trimOutputs(const halcyon_program &P, Tensors &Outputs) {
  for (uint32_t I = 0; I != P.num_outputs; ++I) {
    const halcyon_port &Port = P.outputs[I];
    if (!Port.counted_by)
      continue;
    uint64_t Count = countOf(Port, Outputs), Outer = 1, Inner = Port.type_bits / 8;
    for (unsigned D = 0; D != Port.rank; ++D)
      if (D != Port.counted_axis)
        (D < Port.counted_axis ? Outer : Inner) *= uint64_t(Port.shape[D]);
    Buffer &Data = Outputs.Ports[I];
    uint64_t Room = uint64_t(Port.shape[Port.counted_axis]) * Inner;
    for (uint64_t O = 0; O != Outer; ++O)
      memmove(Data.Data + O * Count * Inner, Data.Data + O * Room, Count * Inner);
    Data.Size = Outer * Count * Inner;
  }
}

static Tensor outputTensor(const halcyon_port &Port, uint64_t Images,
                           const Tensors &Outputs, const Buffer &Data) {
  Tensor T;
  T.Type = {Port.type_code, Port.type_bits};
  T.Rank = Port.rank;
  for (unsigned D = 0; D != Port.rank; ++D)
    T.Shape[D] =
        Port.shape[D] == HALCYON_BATCH ? Images : uint64_t(Port.shape[D]);
  if (Port.counted_by)
    T.Shape[Port.counted_axis] = countOf(Port, Outputs);
  T.Bytes = Data.Size;
  return T;
}

static bool saveOutputs(const Model &M, const NamedPath &To,
                        const Tensors &Outputs, uint64_t Images, Failure &Why) {
  const halcyon_program &P = M.Program;
  uint32_t First = 0, Count = P.num_outputs;
  bool Safetensors = endsWith(To.Path, ".safetensors");
  // Numbers of elements, which shapes say, stand behind all else.
  while (!Safetensors && Count > 1 && isCount(P, Count - 1))
    --Count;
  if (*To.Name) {
    int32_t Found = halcyon_program_find_output(&P, To.Name);
    if (Found < 0)
      return fail(Why, "the model has no output '%s': see --info", To.Name);
    First = uint32_t(Found);
    Count = 1;
  }
  if (!Safetensors && Count != 1)
    return fail(
        Why,
        "the model has %u outputs: give --output name=file for each, or a "
        ".safetensors file",
        Count);
  List<Tensor> Shapes;
  List<const char *> Names;
  List<Piece> Pieces;
  bool Room = Pieces.push({nullptr, 0});
  for (uint32_t I = First; I != First + Count; ++I)
    Room = Room &&
           Shapes.push(outputTensor(P.outputs[I], Images, Outputs,
                                    Outputs.Ports[I])) &&
           Names.push(M.text(P.outputs[I].name)) &&
           Pieces.push({Outputs.Ports[I].Data, Outputs.Ports[I].Size});
  if (!Room)
    return fail(Why, "out of memory");
  Buffer Header;
  Failure Reason;
  if (Safetensors
          ? !makeSafetensorsHeader(&Shapes[0], &Names[0], Count, Header, Reason)
          : !makeNpyHeader(Shapes[0], Header, Reason))
    return fail(Why, "%s: %s", To.Path, Reason.Text);
  Pieces[0] = {Header.Data, Header.Size};
  return writeFile(To.Path, &Pieces[0], Pieces.size(), Why);
}

static bool hasNan(const float *Values, uint64_t Count) {
  for (uint64_t I = 0; I != Count; ++I)
    if (std::isnan(Values[I]))
      return true;
  return false;
}

/// The likeliest classes of one image, with their probabilities.
static void printClasses(const Model &M, const halcyon_port &Port,
                         const float *Values, uint32_t Top) {
  uint64_t Classes = uint64_t(Port.shape[1]);
  float Largest = Values[0];
  for (uint64_t I = 1; I != Classes; ++I)
    Largest = Values[I] > Largest ? Values[I] : Largest;
  double Sum = 1;
  if (!Port.softmax) {
    Sum = 0;
    for (uint64_t I = 0; I != Classes; ++I)
      Sum += exp(double(Values[I]) - double(Largest));
  }
  List<uint64_t> Shown;
  while (Shown.size() != Top && Shown.size() != Classes) {
    uint64_t Best = Classes;
    for (uint64_t I = 0; I != Classes; ++I) {
      bool Known = false;
      for (uint64_t S : Shown)
        Known |= S == I;
      if (!Known && (Best == Classes || Values[I] > Values[Best]))
        Best = I;
    }
    if (!Shown.push(Best))
      return;
    double P = Port.softmax ? double(Values[Best])
                            : exp(double(Values[Best]) - double(Largest)) / Sum;
    char Room[24];
    Label L = labelOf(M, Port, Best, Room);
    printf("  %6.2f %%  %.*s\n", 100 * P, L.Length, L.Text);
  }
}

static void printRange(const Model &M, const halcyon_port &Port,
                       const Tensors &Outputs, const Buffer &Data,
                       uint64_t Images) {
  Tensor T = outputTensor(Port, Images, Outputs, Data);
  char Shape[200];
  shapeText(Shape, sizeof(Shape), T.Shape, T.Rank);
  printf("%s: %s %s", M.text(Port.name), typeName(T.Type), Shape);
  if (Port.type_code == 2 && Port.type_bits == 32 && Data.Size) {
    const float *Values = reinterpret_cast<const float *>(Data.Data);
    uint64_t Count = Data.Size / sizeof(float);
    float Low = INFINITY, High = -INFINITY;
    for (uint64_t I = 0; I != Count; ++I) {
      Low = Values[I] < Low ? Values[I] : Low;
      High = Values[I] > High ? Values[I] : High;
    }
    printf(", from %g to %g%s", double(Low), double(High),
           hasNan(Values, Count) ? ", with values that are not numbers" : "");
  }
  printf("\n");
}

static bool printAnswers(const Model &M, const Options &O,
                         const Tensors &Inputs, const Tensors &Outputs,
                         uint64_t Images, Failure &Why) {
  const halcyon_program &P = M.Program;
  bool Classifies = false;
  for (uint32_t I = 0; I != P.num_outputs; ++I)
    Classifies |= isClassifier(P.outputs[I]);
  for (uint32_t I = 0; Classifies && I != P.num_inputs; ++I)
    if (P.inputs[I].type_code == 2 && P.inputs[I].type_bits == 32 &&
        hasNan(reinterpret_cast<const float *>(Inputs.Ports[I].Data),
               Inputs.Ports[I].Size / sizeof(float)))
      return fail(Why, "input %s holds values that are not numbers (NaN)",
                  M.text(P.inputs[I].name));
  for (uint32_t I = 0; I != P.num_outputs; ++I) {
    const halcyon_port &Port = P.outputs[I];
    if (!isClassifier(Port)) {
      printRange(M, Port, Outputs, Outputs.Ports[I], Images);
      continue;
    }
    const float *Values =
        reinterpret_cast<const float *>(Outputs.Ports[I].Data);
    uint64_t Classes = uint64_t(Port.shape[1]);
    if (hasNan(Values, Images * Classes))
      return fail(Why, "output %s holds values that are not numbers (NaN)",
                  M.text(Port.name));
    for (uint64_t Image = 0; Image != Images; ++Image) {
      if (O.Pictures.size())
        printf("%s", O.Pictures[Image]);
      else
        printf("image %llu", static_cast<unsigned long long>(Image));
      printf(P.num_outputs > 1 ? " (%s)\n" : "\n", M.text(Port.name));
      printClasses(M, Port, Values + Image * Classes, O.Top);
    }
  }
  return true;
}

/// Enough images to keep all threads busy, few enough for the arena of a large
/// network.
static constexpr uint32_t DefaultChunk = 16;

bool halcyon::cli::infer(Model &M, const Options &O, Failure &Why) {
  Tensors Inputs, Outputs;
  uint64_t Images;
  if (!loadInputs(M, O, Inputs, Images, Why) ||
      !runAll(M, Inputs, Images, O.Batch ? O.Batch : DefaultChunk, Outputs,
              Why))
    return false;
  trimOutputs(M.Program, Outputs);
  if (!O.Outputs.size())
    return printAnswers(M, O, Inputs, Outputs, Images, Why);
  for (size_t I = 0; I != O.Outputs.size(); ++I)
    if (!saveOutputs(M, O.Outputs[I], Outputs, Images, Why))
      return false;
  return true;
}
