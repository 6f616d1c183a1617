//===- program.cpp - A training program made by hand ----------------------===//
//
// Softmax regression: `image` [N, 1, 4, 4] times `w` [3, 16] gives `logits`; the
// loss is their cross entropy with `label`, the rule sgd with a momentum of 0.9.
// A label of 99 stands for a loss that is no number.
//
//===----------------------------------------------------------------------===//

#include "halcyon/training.h"

#include <HalideRuntime.h>

#include <cmath>

namespace {

constexpr int Classes = 3, Pixels = 16;

template <class T> T *dataOf(void *Buffer) {
  return reinterpret_cast<T *>(static_cast<halide_buffer_t *>(Buffer)->host);
}

/// image, label, w, then loss, logits: forward. Leaves the probabilities of one
/// image to `Use`.
template <class Function> void forward(void **Args, const float *W, float *Loss,
                                       float *Logits, Function Use) {
  int Images = static_cast<halide_buffer_t *>(Args[1])->dim[1].extent;
  const float *Image = dataOf<float>(Args[1]);
  const int32_t *Label = dataOf<int32_t>(Args[2]);
  for (int N = 0; N != Images; ++N) {
    float Sum = 0, P[Classes];
    for (int C = 0; C != Classes; ++C) {
      float Dot = 0;
      for (int I = 0; I != Pixels; ++I)
        Dot += W[C * Pixels + I] * Image[N * Pixels + I];
      Logits[N * Classes + C] = Dot;
      Sum += P[C] = std::exp(Dot);
    }
    for (float &Value : P)
      Value /= Sum;
    Loss[N] = Label[N] == 99 ? NAN : -std::log(P[Label[N]]);
    Use(N, Images, P);
  }
}

int stepKernel(void **Args) {
  const float *Image = dataOf<float>(Args[1]);
  const int32_t *Label = dataOf<int32_t>(Args[2]);
  const float *W = dataOf<float>(Args[3]), *V = dataOf<float>(Args[4]);
  float Rate = *dataOf<float>(Args[5]);
  float *NewW = dataOf<float>(Args[8]), *NewV = dataOf<float>(Args[9]);
  float G[Classes * Pixels] = {};
  forward(Args, W, dataOf<float>(Args[6]), dataOf<float>(Args[7]),
          [&](int N, int Images, const float *P) {
            for (int C = 0; C != Classes; ++C)
              for (int I = 0; I != Pixels; ++I)
                G[C * Pixels + I] +=
                    (P[C] - float(C == Label[N])) * Image[N * Pixels + I] / float(Images);
          });
  for (int I = 0; I != Classes * Pixels; ++I) {
    NewV[I] = 0.9f * V[I] + G[I];
    NewW[I] = W[I] - Rate * NewV[I];
  }
  return 0;
}

int evalKernel(void **Args) {
  forward(Args, dataOf<float>(Args[3]), dataOf<float>(Args[4]), dataOf<float>(Args[5]),
          [](int, int, const float *) {});
  return 0;
}

constexpr halcyon_view images(uint8_t Space, uint32_t Index, int32_t Size,
                              uint8_t Code = 2) {
  return {Space, Code, 32, 2, Index, 0, 0, {{0, Size, 1}, {0, HALCYON_BATCH, Size}}};
}
constexpr halcyon_view weights(uint8_t Space, uint32_t Index, int32_t Size) {
  return {Space, 2, 32, 1, Index, 0, 0, {{0, Size, 1}}};
}
constexpr int32_t Size = Classes * Pixels;
enum : uint8_t { In = HALCYON_INPUT, Out = HALCYON_OUTPUT };

constexpr char Strings[] = "image\0label\0param:w\0slot:velocity:w\0train.rate\0"
                           "loss\0logits\0infer\0direct";
enum : uint32_t {
  ImageName = 0,
  LabelName = 6,
  WName = 12,
  VName = 20,
  RateName = 36,
  LossName = 47,
  LogitsName = 52,
  Infer = 59,
  Direct = 65
};

constexpr halcyon_port port(uint32_t Name, int64_t Rest, uint8_t Code = 2) {
  return {Name, Code, 32, 2, {HALCYON_BATCH, Rest}, -1, UINT32_MAX, 0, 0};
}
constexpr halcyon_port Image = {
    ImageName, 2, 32, 4, {HALCYON_BATCH, 1, 4, 4}, -1, UINT32_MAX, 0, 0};
constexpr halcyon_port Label = {
    LabelName, 0, 32, 1, {HALCYON_BATCH}, -1, UINT32_MAX, 0, 0};
constexpr halcyon_port W = {WName, 2, 32, 2, {Classes, Pixels}, -1, UINT32_MAX, 0, 0};
constexpr halcyon_port V = {VName, 2, 32, 2, {Classes, Pixels}, -1, UINT32_MAX, 0, 0};
constexpr halcyon_port Rate = {RateName, 2, 32, 1, {1}, -1, UINT32_MAX, 0, 0};

const halcyon_kernel StepKernels[] = {stepKernel}, EvalKernels[] = {evalKernel};
const halcyon_view StepViews[] = {images(In, 0, Pixels), images(In, 1, 1, 0),
                                  weights(In, 2, Size),  weights(In, 3, Size),
                                  weights(In, 4, 1),     images(Out, 0, 1),
                                  images(Out, 1, Classes), weights(Out, 2, Size),
                                  weights(Out, 3, Size)},
                   EvalViews[] = {images(In, 0, Pixels), images(In, 1, 1, 0),
                                  weights(In, 2, Size), images(Out, 0, 1),
                                  images(Out, 1, Classes)};
const halcyon_call StepCalls[] = {{0, 0, 9, WName, 1, Direct, 1, 1}},
                   EvalCalls[] = {{0, 0, 5, WName, 1, Direct, 1, 1}};
const halcyon_function Functions[] = {{Infer, 0, 1, 0}};
const halcyon_port StepInputs[] = {Image, Label, W, V, Rate},
                   StepOutputs[] = {port(LossName, 1), port(LogitsName, Classes), W, V},
                   EvalInputs[] = {Image, Label, W},
                   EvalOutputs[] = {port(LossName, 1), port(LogitsName, Classes)};

const halcyon_program Step = {
    HALCYON_PROGRAM_VERSION, 1, 9, 1, 1, 5, 4, 64, 0, 0, 0, StepKernels, StepViews,
    StepCalls, Functions, StepInputs, StepOutputs, Strings, nullptr, "by-hand",
    "x86-64-linux", "sse2", 0};
const halcyon_program Eval = {
    HALCYON_PROGRAM_VERSION, 1, 5, 1, 1, 3, 2, 64, 0, 0, 0, EvalKernels, EvalViews,
    EvalCalls, Functions, EvalInputs, EvalOutputs, Strings, nullptr, "by-hand",
    "x86-64-linux", "sse2", 0};

const char Plan[] = R"({
  "batch": 8, "epochs": 4,
  "data": [{"call": "images", "path": "train"},
           {"call": "random_crop", "size": [4, 4], "pad": 1},
           {"call": "noise", "deviation": 0.01}],
  "validate": [{"call": "images", "path": "val"}],
  "inputs": [{"name": "image", "image": {"scale": 0.00392156862745098, "mean": [0], "std": [1]}},
             {"name": "label"}],
  "metrics": [{"name": "top1", "call": "accuracy", "k": 1, "value": "logits", "right": "label"},
              {"name": "table", "call": "confusion", "value": "logits", "right": "label"}],
  "rate": [{"call": "cosine", "rate": 0.5, "end": 0.0}],
  "keep": [{"call": "best", "metric": "top1"},
           {"call": "every", "time": {"steps": 10}}],
  "average": [{"call": "ema", "decay": 0.9}]
})";

} // namespace

static const halcyon_program *const Steps[] = {&Step};
extern "C" const halcyon_trainer halcyon_trainer_main = {HALCYON_TRAINER_VERSION, 1, Steps,
                                                         &Eval, Plan};
