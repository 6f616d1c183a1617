//===- bench.cpp - How fast, and where the time goes ----------------------===//

#include "support.h"

#include <cstdio>

using namespace halcyon::cli;

/// Inputs to measure on: those given, else pseudo-random numbers in [0, 1).
/// Zeros would be unfair either way: they make denormals, or skip them.
static bool makeInputs(Model &M, const Options &O, Tensors &Inputs,
                       uint32_t &Batch, Failure &Why) {
  const halcyon_program &P = M.Program;
  Batch = O.Batch ? O.Batch : P.only_batch ? P.only_batch : 1;
  if (O.Pictures.size() || O.Inputs.size()) {
    uint64_t Images;
    if (!loadInputs(M, O, Inputs, Images, Why))
      return false;
    if (O.Batch && O.Batch != Images)
      return fail(Why, "--batch %u, but the inputs hold %llu images", O.Batch,
                  static_cast<unsigned long long>(Images));
    if (Images > INT32_MAX)
      return fail(Why, "too many images");
    if (!P.only_batch)
      Batch = uint32_t(Images);
    return true;
  }
  if (!Inputs.allocate(P.inputs, P.num_inputs, Batch, Why))
    return false;
  uint32_t State = 1;
  for (uint32_t I = 0; I != P.num_inputs; ++I) {
    Buffer &Data = Inputs.Ports[I];
    if (P.inputs[I].type_code != 2 || P.inputs[I].type_bits != 32) {
      memset(Data.Data, 0, Data.Size);
      continue;
    }
    float *Values = reinterpret_cast<float *>(Data.Data);
    for (size_t V = 0; V != Data.Size / sizeof(float); ++V) {
      State = State * 1664525u + 1013904223u; // Numerical Recipes' generator
      Values[V] = float(State >> 8) / 16777216.0f;
    }
  }
  return true;
}

static bool bindAll(Model &M, const Tensors &Inputs, uint32_t Batch,
                    Tensors &Outputs, Failure &Why) {
  const halcyon_program &P = M.Program;
  if (!M.setBatch(Batch, Why) ||
      !Outputs.allocate(P.outputs, P.num_outputs, Batch, Why))
    return false;
  for (uint32_t I = 0; I != P.num_inputs; ++I)
    halcyon_session_bind_input(M.Session, I, Inputs.Ports[I].Data);
  for (uint32_t I = 0; I != P.num_outputs; ++I)
    halcyon_session_bind_output(M.Session, I, Outputs.Ports[I].Data);
  return true;
}

/// Until caches, branch predictors and clocks have settled.
static bool warmUp(Model &M, Failure &Why) {
  double Until = nowMs() + 200;
  for (int Runs = 0; Runs < 3 || nowMs() < Until; ++Runs)
    if (!M.run(Why))
      return false;
  return true;
}

static double flopsOf(const Model &M, uint32_t Batch) {
  const halcyon_function &F = M.Program.functions[0];
  double Flops = 0;
  for (uint32_t I = F.first_call; I != F.first_call + F.num_calls; ++I)
    Flops += M.Program.calls[I].flops * Batch;
  return Flops;
}

bool halcyon::cli::bench(Model &M, const Options &O, Failure &Why) {
  Tensors Inputs, Outputs;
  uint32_t Batch;
  if (!makeInputs(M, O, Inputs, Batch, Why) ||
      !bindAll(M, Inputs, Batch, Outputs, Why) || !warmUp(M, Why))
    return false;

  List<double> Times;
  double Until = nowMs() + 1e3 * (O.Seconds > 0 ? O.Seconds : 2);
  while (Times.size() < 10 || nowMs() < Until) {
    double Start = nowMs();
    if (!M.run(Why))
      return false;
    if (!Times.push(nowMs() - Start))
      return fail(Why, "out of memory");
  }
  qsort(&Times[0], Times.size(), sizeof(double),
        [](const void *A, const void *B) {
          double X = *static_cast<const double *>(A),
                 Y = *static_cast<const double *>(B);
          return int(X > Y) - int(X < Y);
        });
  size_t Runs = Times.size();
  double Median = Times[Runs / 2], Low = Times[Runs / 10],
         High = Times[Runs * 9 / 10];
  double Spread = (High - Low) / Median,
         Speed = flopsOf(M, Batch) / Median / 1e6;
  unsigned Threads = halcyon_session_threads(M.Session);
  if (O.Json)
    printf("{\"median_ms\": %.6f, \"min_ms\": %.6f, \"p90_ms\": %.6f, "
           "\"spread\": %.4f, "
           "\"gflops\": %.3f, \"threads\": %u, \"batch\": %u, \"runs\": %zu}\n",
           Median, Times[0], High, Spread, Speed, Threads, Batch, Runs);
  else
    printf("%s: median %.4g ms, fastest %.4g ms, 90 %% within %.4g ms, spread "
           "%.1f %%\n"
           "%.1f GFLOP/s, %u thread%s, batch %u, %zu runs\n",
           M.Program.name, Median, Times[0], High, 100 * Spread, Speed, Threads,
           Threads == 1 ? "" : "s", Batch, Runs);
  return true;
}

static int widthOf(const char *Text, int Least) {
  int Length = int(strlen(Text));
  return Length > Least ? Length : Least;
}

bool halcyon::cli::profile(Model &M, const Options &O, Failure &Why) {
  Tensors Inputs, Outputs;
  uint32_t Batch;
  if (!makeInputs(M, O, Inputs, Batch, Why) ||
      !bindAll(M, Inputs, Batch, Outputs, Why))
    return false;
  double Peak = measurePeak(M.Session);
  if (!warmUp(M, Why))
    return false;
  halcyon_session_set_profiling(M.Session, 1);
  double Until = nowMs() + 1e3 * (O.Seconds > 0 ? O.Seconds : 1);
  for (int Runs = 0; Runs < 10 || nowMs() < Until; ++Runs)
    if (!M.run(Why))
      return false;

  uint32_t Calls = halcyon_session_num_calls(M.Session);
  int LayerWidth = 5, AlgorithmWidth = 9;
  halcyon_call_profile C;
  double Total = 0;
  for (uint32_t I = 0; I != Calls; ++I) {
    halcyon_session_profile(M.Session, I, &C);
    LayerWidth = widthOf(C.layer, LayerWidth);
    AlgorithmWidth = widthOf(C.algorithm, AlgorithmWidth);
    Total += C.total_ms / double(C.runs);
  }
  printf("%5s  %-*s  %-*s  %9s  %6s  %8s  %6s  %6s\n", "line", LayerWidth,
         "layer", AlgorithmWidth, "algorithm", "ms", "% time", "GFLOP/s",
         "% peak", "GB/s");
  auto Row = [&](const char *Line, const char *Layer, const char *Algorithm,
                 double Ms, double Flops, double Bytes) {
    char Share[16] = "-";
    if (Peak > 0 && Flops > 0)
      snprintf(Share, sizeof(Share), "%.0f", 100 * Flops / Ms / 1e6 / Peak);
    printf("%5s  %-*s  %-*s  %9.4f  %6.1f  %8.1f  %6s  %6.1f\n", Line,
           LayerWidth, Layer, AlgorithmWidth, Algorithm, Ms, 100 * Ms / Total,
           Flops / Ms / 1e6, Share, Bytes / Ms / 1e6);
  };
  double Flops = 0, Bytes = 0;
  for (uint32_t I = 0; I != Calls; ++I) {
    halcyon_session_profile(M.Session, I, &C);
    char Line[16] = "-";
    if (C.line)
      snprintf(Line, sizeof(Line), "%u", C.line);
    Row(Line, C.layer, C.algorithm, C.total_ms / double(C.runs), C.flops,
        C.bytes);
    Flops += C.flops;
    Bytes += C.bytes;
  }
  Row("", "total", "", Total, Flops, Bytes);
  if (Peak > 0)
    printf("peak: %.0f GFLOP/s of f32 multiply-adds, measured on %u thread%s\n",
           Peak, halcyon_session_threads(M.Session),
           halcyon_session_threads(M.Session) == 1 ? "" : "s");
  return true;
}
