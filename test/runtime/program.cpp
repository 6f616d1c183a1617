//===- program.cpp - A program made by hand -------------------------------===//

#include "program.h"

#include <HalideRuntime.h>

#include <cstring>

int FailingRow = -1;

namespace {

float *at(const halide_buffer_t &B, int X, int Y, int N) {
  return reinterpret_cast<float *>(B.host) + X * B.dim[0].stride +
         Y * B.dim[1].stride + N * B.dim[2].stride;
}

struct Row {
  const halide_buffer_t *In, *Weights, *Out;
  float *Scratch;
  int Y, N;
};

int doubleCell(void *, int X, uint8_t *Closure) {
  Row &R = *reinterpret_cast<Row *>(Closure);
  R.Scratch[X] = *at(*R.In, X, R.Y, R.N) + *at(*R.In, X, R.Y, R.N);
  return 0;
}

int doubleRow(void *Context, int Index, uint8_t *Closure) {
  Row R = *reinterpret_cast<Row *>(Closure);
  R.Y = Index % 4;
  R.N = Index / 4;
  if (Index == FailingRow) {
    halide_error(Context, "the row is broken\n");
    return -7;
  }
  R.Scratch = static_cast<float *>(halide_malloc(Context, 4 * sizeof(float)));
  if (!R.Scratch)
    return halide_error_code_out_of_memory;
  int Result = halide_do_par_for(Context, doubleCell, 0, 4,
                                 reinterpret_cast<uint8_t *>(&R));
  for (int X = 0; X != 4; ++X)
    *at(*R.Out, X, R.Y, R.N) =
        R.Scratch[X] + *reinterpret_cast<const float *>(R.Weights->host);
  halide_free(Context, R.Scratch);
  return Result;
}

int doubleKernel(void **Args) {
  void *Context = *static_cast<void **>(Args[0]);
  auto *In = static_cast<halide_buffer_t *>(Args[1]);
  auto *Weights = static_cast<halide_buffer_t *>(Args[2]);
  auto *Out = static_cast<halide_buffer_t *>(Args[3]);
  Row R = {In, Weights, Out, nullptr, 0, 0};
  return halide_do_par_for(Context, doubleRow, 0, 4 * In->dim[2].extent,
                           reinterpret_cast<uint8_t *>(&R));
}

int sumKernel(void **Args) {
  auto *In = static_cast<halide_buffer_t *>(Args[1]);
  auto *Weights = static_cast<halide_buffer_t *>(Args[2]);
  auto *Out = static_cast<halide_buffer_t *>(Args[3]);
  for (int N = 0; N != Out->dim[1].extent; ++N)
    for (int K = 0; K != 3; ++K) {
      float Sum = 0;
      for (int X = 0; X != 4; ++X)
        Sum += *at(*In, X, K, N);
      reinterpret_cast<float *>(Out->host)[N * Out->dim[1].stride + K] =
          Sum * reinterpret_cast<const float *>(Weights->host)[1 + K];
    }
  return 0;
}

int imageKernel(void **Args) {
  auto *In = static_cast<halide_buffer_t *>(Args[1]);
  auto *Out = static_cast<halide_buffer_t *>(Args[2]);
  for (int Y = 0; Y != 4; ++Y)
    for (int X = 0; X != 4; ++X) {
      int FromX = X < In->dim[1].extent ? X : In->dim[1].extent - 1;
      int FromY = Y < In->dim[2].extent ? Y : In->dim[2].extent - 1;
      *at(*Out, X, Y, 0) =
          float(
              In->host[FromX * In->dim[1].stride + FromY * In->dim[2].stride]) /
          255;
    }
  return 0;
}

const halcyon_kernel Kernels[] = {doubleKernel, sumKernel, imageKernel};

constexpr halcyon_view plane(uint8_t Space, uint64_t Slot = 0,
                             uint64_t Offset = 0) {
  return {Space, 2,    32,     3,
          0,     Slot, Offset, {{0, 4, 1}, {0, 4, 4}, {0, HALCYON_BATCH, 16}}};
}
constexpr halcyon_view WeightsView = {HALCYON_WEIGHTS, 2, 32, 1, 0, 0, 0,
                                      {{0, 4, 1}}};

const halcyon_view Views[] = {
    plane(HALCYON_INPUT),
    WeightsView,
    plane(HALCYON_ARENA, 64, 0),
    plane(HALCYON_ARENA, 64, 0),
    WeightsView,
    {HALCYON_OUTPUT, 2, 32, 2, 0, 0, 0, {{0, 3, 1}, {0, HALCYON_BATCH, 3}}},
    {HALCYON_IMAGE,
     1,
     8,
     3,
     0,
     0,
     0,
     {{0, 1, 1},
      {0, HALCYON_DYNAMIC, 1},
      {0, HALCYON_DYNAMIC, HALCYON_DYNAMIC}}},
    plane(HALCYON_INPUT),
};

constexpr char Strings[] =
    "image\0scores\0zero\none\ntwo\n\0twice\0sums\0direct\0infer";
enum : uint32_t {
  Image = 0,
  Scores = 6,
  Labels = 13,
  Twice = 27,
  Sums = 33,
  Direct = 38,
  Infer = 45
};

const halcyon_call Calls[] = {
    {0, 0, 3, Twice, 3, Direct, 32, 128},
    {1, 3, 3, Sums, 4, Direct, 24, 76},
    {2, 6, 2, Image, 2, Direct, 16, 80},
};
const halcyon_function Functions[] = {{Infer, 0, 2, 0}, {Image, 2, 1, 0}};
const halcyon_port Inputs[] = {
    {Image, 2, 32, 4, {HALCYON_BATCH, 1, 4, 4}, 1, UINT32_MAX, 0, 0}};
const halcyon_port Outputs[] = {
    {Scores, 2, 32, 2, {HALCYON_BATCH, 3}, -1, Labels, 0, 0}};
alignas(64) const float Weights[4] = {0.5f, 1, 2, 3};

} // namespace

extern "C" const halcyon_program halcyon_program_main = {
    HALCYON_PROGRAM_VERSION,
    3,
    8,
    3,
    2,
    1,
    1,
    64,
    128, // the buffer lies in the second half, to see that `slot` is honoured
    0,
    sizeof(Weights),
    Kernels,
    Views,
    Calls,
    Functions,
    Inputs,
    Outputs,
    Strings,
    Weights,
    "by-hand",
    "x86-64-linux",
    "sse2",
    0x1234,
};
