//===- program_tests.cpp - The command line of a program ------------------===//

#include "check.h"
#include "cli/support.h"

#include <cmath>
#include <initializer_list>
#include <png.h>
#include <sys/stat.h>
#include <sys/wait.h>

using namespace halcyon::cli;

namespace {

char Output[8192];

/// Runs the program in the tests' folder; stdout and stderr land in Output.
int run(const char *Arguments) {
  char Command[1024];
  snprintf(Command, sizeof(Command), "cd '%s' && '%s' %s 2>&1", Folder,
           ProgramPath, Arguments);
  FILE *Pipe = popen(Command, "r");
  size_t Used = fread(Output, 1, sizeof(Output) - 1, Pipe);
  Output[Used] = 0;
  int Status = pclose(Pipe);
  return WIFEXITED(Status) ? WEXITSTATUS(Status) : 128;
}

bool says(const char *Text) {
  bool Found = strstr(Output, Text) != nullptr;
  if (!Found)
    printf("no \"%s\" in: %s", Text, Output);
  return Found;
}

/// Fails with one line that begins as all do.
bool refuses(const char *Arguments, const char *Text) {
  int Code = run(Arguments);
  const char *Line = strchr(Output, '\n');
  return says(Text) && Code == 1 && Line && !Line[1] &&
         strstr(Output, ": error: ");
}

void write(const char *Name, const void *Data, size_t Size) {
  char Path[4096];
  Failure Why;
  Piece P = {Data, Size};
  CHECK(joinPath(Path, Folder, Name) && writeFile(Path, &P, 1, Why));
}

void writeNpy(const char *Name, const float *Data,
              std::initializer_list<uint64_t> Shape) {
  char Path[4096];
  Tensor T;
  Buffer Header;
  Failure Why;
  T.Type = {2, 32};
  uint64_t Bytes;
  for (uint64_t Extent : Shape)
    T.Shape[T.Rank++] = Extent;
  CHECK(tensorBytes(T, Bytes) && makeNpyHeader(T, Header, Why));
  Piece P[] = {{Header.Data, Header.Size}, {Data, size_t(Bytes)}};
  CHECK(joinPath(Path, Folder, Name) && writeFile(Path, P, 2, Why));
}

/// A picture whose brightest row is `Row`.
void writePng(const char *Name, unsigned Row) {
  png_image Image = {};
  uint8_t Pixels[16] = {};
  memset(Pixels + 4 * Row, 255, 4);
  Image.version = PNG_IMAGE_VERSION;
  Image.width = Image.height = 4;
  Image.format = PNG_FORMAT_GRAY;
  char Path[4096];
  CHECK(joinPath(Path, Folder, Name) &&
        png_image_write_to_file(&Image, Path, 0, Pixels, 0, nullptr));
}

void pictures() {
  writePng("a.png", 1);
  writePng("b.png", 0);
  CHECK(run("a.png") == 0);
  CHECK(says("a.png\n  100.00 %  one\n"));
  CHECK(run("--threads 2 --batch=1 --top 1 a.png b.png") == 0);
  CHECK(says("b.png\n   97.96 %  zero\n"));
  CHECK(run("- < a.png") == 0);
}

void tensors() {
  float In[48] = {}, NotANumber[16] = {};
  for (int I = 0; I != 48; ++I)
    In[I] = float(I);
  NotANumber[3] = NAN;
  writeNpy("x.npy", In, {3, 1, 4, 4});
  writeNpy("one.npy", In, {1, 4, 4});
  writeNpy("wrong.npy", In, {1, 1, 4, 5});
  writeNpy("nan.npy", NotANumber, {1, 1, 4, 4});
  CHECK(run("--input x.npy --output y.npy --batch 2") == 0);
  CHECK(run("--input image=x.npy --output y.safetensors") == 0);
  CHECK(run("--input one.npy --output=scores=z.npy") == 0);
  char Path[4096];
  Buffer File;
  Failure Why;
  Tensor T;
  CHECK(joinPath(Path, Folder, "y.npy") && readFile(Path, File, Why));
  CHECK(parseNpy(File.Data, File.Size, T, Why));
  CHECK(T.Rank == 2 && T.Shape[0] == 3 && T.Shape[1] == 3);
  const float *Out = reinterpret_cast<const float *>(File.Data + T.Offset);
  // scores[2, 1]: twice the sum of 36, 37, 38, 39, a half four times, all twice
  CHECK(Out[2 * 3 + 1] == 2 * (2 * (36 + 37 + 38 + 39) + 2));
  float Third = Out[8];
  CHECK(joinPath(Path, Folder, "y.safetensors") && readFile(Path, File, Why));
  CHECK(findSafetensor(File.Data, File.Size, "scores", T, Why) &&
        T.Shape[0] == 3);
  CHECK(memcmp(File.Data + T.Offset + 32, &Third, 4) == 0);

  CHECK(refuses("--input wrong.npy",
                "has shape [1, 1, 4, 5], input image takes [N, 1, 4, 4]"));
  CHECK(refuses("--input nan.npy", "NaN"));
  CHECK(refuses("--input nothing.npy", "nothing.npy: No such file"));
  CHECK(refuses("--input picture=x.npy", "no input 'picture'"));
  CHECK(refuses("--input x.npy --output /nowhere/y.npy", "No such file"));
}

void unusable() {
  write("empty.png", "", 0);
  write("text.png", "hello, world", 12);
  write("half.png", "\x89PNG\r\n\x1a\n", 8);
  CHECK(refuses("", "nothing to do"));
  CHECK(refuses("empty.png", "empty.png: the file is empty"));
  CHECK(refuses("text.png", "text.png: not a PNG or JPEG picture"));
  CHECK(refuses("half.png", "half.png: damaged"));
  CHECK(refuses("--input text.png",
                "not a PNG, JPEG, .npy or .safetensors file"));
  CHECK(refuses(".", "is a folder"));
  CHECK(refuses("--fast", "unknown option '--fast'"));
  CHECK(refuses("--threads x",
                "--threads takes a number from 1 to 4096, not 'x'"));
  CHECK(refuses("--batch", "--batch needs a value"));
  CHECK(refuses("--bench --info", "exclude"));
  CHECK(refuses("--weights /nowhere a.png", "/nowhere: No such file"));
  CHECK(run("--info > /dev/full") == 1);
}

void measuring() {
  CHECK(run("--bench --json --seconds 0.05 --threads 2 --batch 3") == 0);
  for (const char *Key :
       {"\"median_ms\": ", "\"min_ms\": ", "\"p90_ms\": ", "\"spread\": ",
        "\"gflops\": ", "\"threads\": 2", "\"batch\": 3"})
    CHECK(says(Key));
  CHECK(run("--bench --seconds 0.05") == 0);
  CHECK(says("GFLOP/s"));
  CHECK(run("--profile --seconds 0.05") == 0);
  CHECK(says("    3  twice  direct ") && says("    4  sums   direct ") &&
        says("total"));
  CHECK(run("--info") == 0);
  CHECK(says("input image: float32 [N, 1, 4, 4], from a picture"));
  CHECK(run("--help") == 0);
  CHECK(says("usage: "));
}

void evaluation() {
  uint8_t Images[16 + 3 * 16] = {0, 0, 8, 3, 0, 0, 0, 3,
                                 0, 0, 0, 4, 0, 0, 0, 4};
  const uint8_t Labels[] = {0, 0, 8, 1, 0, 0, 0, 3, 0, 1, 1};
  for (int Image = 0; Image != 3; ++Image)
    memset(Images + 16 + 16 * Image + 4 * Image, 255, 4);
  CHECK(refuses("--eval .", "neither MNIST") ||
        refuses("--eval .", "is none of"));
  char Path[4096];
  joinPath(Path, Folder, "mnist");
  mkdir(Path, 0777);
  write("mnist/t10k-images-idx3-ubyte", Images, sizeof(Images));
  write("mnist/t10k-labels-idx1-ubyte", Labels, sizeof(Labels));
  CHECK(run("--eval mnist --batch 2") == 0);
  CHECK(says("66.67 % right (2 of 3)"));
  CHECK(run("--eval mnist --json") == 0);
  CHECK(says("\"accuracy\": 0.666667"));
  write("mnist/t10k-images-idx3-ubyte", Images, sizeof(Images) - 1);
  CHECK(refuses("--eval mnist", "truncated IDX file"));

  for (const char *Name : {"set", "set/zero", "set/one", "set/two"}) {
    joinPath(Path, Folder, Name);
    mkdir(Path, 0777);
  }
  writePng("set/zero/1.png", 0);
  writePng("set/one/1.png", 1);
  writePng("set/two/1.png", 1);
  CHECK(run("--eval set") == 0);
  CHECK(says("66.67 % right (2 of 3)"));
  write("set/one/2.png", "x", 1);
  CHECK(refuses("--eval set", "set/one/2.png: not a PNG or JPEG"));
  CHECK(refuses("--eval nowhere", "nowhere: not a folder"));
}

} // namespace

const Test ProgramTests[] = {
    {"program-pictures", pictures},     {"program-tensors", tensors},
    {"program-unusable", unusable},     {"program-measuring", measuring},
    {"program-evaluation", evaluation},
};
const unsigned NumProgramTests = sizeof(ProgramTests) / sizeof(Test);
