//===- main.cpp - The command line of a stand-alone program ---------------===//

#include "support.h"

#include <cstdio>
#include <unistd.h>

using namespace halcyon::cli;

extern "C" const halcyon_program halcyon_program_main;

static constexpr char Usage[] =
    "usage: %s photo.png [more.jpg ...]              the likeliest classes\n"
    "       %s --input x.npy --output y.npy          tensors; .npy or "
    ".safetensors,\n"
    "                                                name=file for several\n"
    "       %s --bench | --profile | --eval FOLDER | --info\n"
    "\n"
    "  --threads N      threads (default: the cores this process may use)\n"
    "  --batch N        images computed at once\n"
    "  --top N          classes shown per picture (default 5)\n"
    "  --input FILE     a tensor or picture for the input, --input NAME=FILE "
    "for one of several\n"
    "  --output FILE    where the outputs go, --output NAME=FILE for one of "
    "several\n"
    "  --weights FILE   the weights, where they are not inside the program\n"
    "  --bench          measure: median, fastest, spread, GFLOP/s\n"
    "  --profile        time of every kernel\n"
    "  --eval FOLDER    accuracy over MNIST's t10k files, or over one folder "
    "of pictures\n"
    "                   per class\n"
    "  --seconds S      how long to measure\n"
    "  --json           machine-readable results of --bench and --eval\n"
    "  --info           the model's inputs, outputs and sizes\n";

namespace {
/// Walks the arguments; `--name value` and `--name=value` are the same.
struct Arguments {
  int Count;
  char **Values;
  int At = 1;
  const char *Attached = nullptr;

  bool is(const char *Name) {
    const char *Argument = Values[At];
    size_t Length = strlen(Name);
    if (strncmp(Argument, Name, Length) != 0 ||
        (Argument[Length] && Argument[Length] != '='))
      return false;
    Attached = Argument[Length] ? Argument + Length + 1 : nullptr;
    return true;
  }

  bool text(const char *&Out, Failure &Why) {
    const char *Name = Values[At];
    if (Attached)
      Out = Attached;
    else if (At + 1 < Count)
      Out = Values[++At];
    else
      return fail(Why, "%s needs a value", Name);
    return true;
  }

  bool number(uint32_t &Out, uint32_t Largest, Failure &Why) {
    const char *Name = Values[At], *Text = "";
    char *End;
    if (!text(Text, Why))
      return false;
    unsigned long Value =
        *Text >= '0' && *Text <= '9' ? strtoul(Text, &End, 10) : 0;
    if (Value == 0 || *End || Value > Largest)
      return fail(Why, "%.*s takes a number from 1 to %u, not '%s'",
                  int(strcspn(Name, "=")), Name, Largest, Text);
    Out = uint32_t(Value);
    return true;
  }

  bool seconds(double &Out, Failure &Why) {
    const char *Text = "";
    char *End;
    if (!text(Text, Why))
      return false;
    Out = strtod(Text, &End);
    if (End == Text || *End || !(Out > 0 && Out <= 3600))
      return fail(Why, "--seconds takes a number up to 3600, not '%s'", Text);
    return true;
  }

  /// "file" or "name=file". A file whose own name has a `=` is given as
  /// "./a=b".
  bool namedPath(List<NamedPath> &Out, Failure &Why) {
    NamedPath P = {};
    if (!text(P.Path, Why))
      return false;
    size_t Length = strcspn(P.Path, "=");
    if (P.Path[Length] == '=' && Length < sizeof(P.Name)) {
      memcpy(P.Name, P.Path, Length);
      // A name may have slashes, also the first; where they lead to a folder it
      // is a path.
      char *Slash = strrchr(P.Name, '/');
      if (Slash) {
        *Slash = 0;
        bool Path = Slash != P.Name && access(P.Name, F_OK) == 0;
        *Slash = '/';
        if (Path) {
          P.Name[0] = 0;
          return Out.push(P) || fail(Why, "out of memory");
        }
      }
      P.Path += Length + 1;
    }
    return Out.push(P) || fail(Why, "out of memory");
  }
};
} // namespace

static bool parse(Arguments A, Options &O, Failure &Why) {
  for (; A.At < A.Count; ++A.At) {
    const char *Argument = A.Values[A.At];
    bool Good = true;
    if (A.is("--threads"))
      Good = A.number(O.Threads, 4096, Why);
    else if (A.is("--batch"))
      Good = A.number(O.Batch, 1 << 24, Why);
    else if (A.is("--top"))
      Good = A.number(O.Top, 1 << 20, Why);
    else if (A.is("--seconds"))
      Good = A.seconds(O.Seconds, Why);
    else if (A.is("--input"))
      Good = A.namedPath(O.Inputs, Why);
    else if (A.is("--output"))
      Good = A.namedPath(O.Outputs, Why);
    else if (A.is("--weights"))
      Good = A.text(O.WeightsPath, Why);
    else if (A.is("--eval"))
      Good = A.text(O.EvalFolder, Why);
    else if (strcmp(Argument, "--bench") == 0)
      O.Bench = true;
    else if (strcmp(Argument, "--profile") == 0)
      O.Profile = true;
    else if (strcmp(Argument, "--info") == 0)
      O.Info = true;
    else if (strcmp(Argument, "--json") == 0)
      O.Json = true;
    else if (Argument[0] == '-' && Argument[1])
      Good = fail(Why, "unknown option '%s': see --help", Argument);
    else
      Good = O.Pictures.push(Argument) || fail(Why, "out of memory");
    if (!Good)
      return false;
  }
  if (O.Bench + O.Profile + O.Info + (O.EvalFolder != nullptr) > 1)
    return fail(Why,
                "--bench, --profile, --eval and --info exclude one another");
  return true;
}

static void printPort(const Model &M, const char *Kind,
                      const halcyon_port &Port) {
  char Shape[200];
  portShapeText(Shape, sizeof(Shape), Port);
  printf("%s %s: %s %s%s%s\n", Kind, M.text(Port.name),
         typeName({Port.type_code, Port.type_bits}), Shape,
         Port.image_function >= 0 ? ", from a picture" : "",
         Port.labels != UINT32_MAX ? ", with labels" : "");
}

static void printInfo(const Model &M) {
  const halcyon_program &P = M.Program;
  const halcyon_function &F = P.functions[0];
  double Flops = 0;
  for (uint32_t I = F.first_call; I != F.first_call + F.num_calls; ++I)
    Flops += P.calls[I].flops;
  printf("model %s, for %s\n", P.name, P.target);
  for (uint32_t I = 0; I != P.num_inputs; ++I)
    printPort(M, "input", P.inputs[I]);
  for (uint32_t I = 0; I != P.num_outputs; ++I)
    printPort(M, "output", P.outputs[I]);
  printf("%u kernels in %u calls, %.4g MFLOP per image\n", P.num_kernels,
         F.num_calls, Flops / 1e6);
  printf("weights %.4g MB%s, arena %.4g MB per image\n",
         double(P.weight_bytes) / 1e6,
         P.weights || !P.weight_bytes ? "" : " (beside the program)",
         double(P.arena_bytes) / 1e6);
}

/// Weights beside the program lie at its own path with ".weights" appended.
static const char *ownWeights(char (&Path)[4096]) {
  ssize_t Length = readlink("/proc/self/exe", Path, sizeof(Path) - 9);
  if (Length <= 0)
    return nullptr;
  strcpy(Path + Length, ".weights");
  return Path;
}

static bool runProgram(const Options &O, Failure &Why) {
  Model M(halcyon_program_main);
  if (O.Info) {
    printInfo(M);
    return true;
  }
  bool Measures = O.Bench || O.Profile;
  // A program without inputs has its outputs to give.
  bool Asked = O.Pictures.size() || O.Inputs.size() ||
               (!M.Program.num_inputs && O.Outputs.size());
  if (!Measures && !O.EvalFolder && !Asked)
    return fail(Why, "nothing to do: give a picture, or see --help");
  char OwnWeights[4096];
  halcyon_options Settings = {};
  halcyon_error Error = {};
  Settings.threads = O.Threads;
  // For one run a copy of the weights isn't worth making.
  Settings.flags = HALCYON_PIN_CALLER |
                   (Measures || O.EvalFolder ? 0 : HALCYON_MAP_WEIGHTS);
  Settings.weights_path = O.WeightsPath;
  if (!O.WeightsPath && !M.Program.weights && M.Program.weight_bytes)
    Settings.weights_path = ownWeights(OwnWeights);
  if (halcyon_session_create(&M.Program, &Settings, &M.Session, &Error))
    return fail(Why, "%s", Error.text);
  return O.Bench        ? bench(M, O, Why)
         : O.Profile    ? profile(M, O, Why)
         : O.EvalFolder ? evaluate(M, O, Why)
                        : infer(M, O, Why);
}

int main(int Count, char **Values) {
  const char *Name = Count > 0 ? Values[0] : halcyon_program_main.name;
  for (int I = 1; I < Count; ++I)
    if (strcmp(Values[I], "--help") == 0 || strcmp(Values[I], "-h") == 0) {
      printf(Usage, Name, Name, Name);
      return 0;
    }
  Failure Why;
  bool Good;
  {
    Options O;
    Good = parse({Count, Values}, O, Why) && runProgram(O, Why);
  }
  if (fflush(stdout) && Good)
    Good = fail(Why, "standard output cannot be written");
  if (Good)
    return 0;
  const char *Slash = strrchr(Name, '/');
  fprintf(stderr, "%s: error: %s\n", Slash ? Slash + 1 : Name, Why.Text);
  return 1;
}
