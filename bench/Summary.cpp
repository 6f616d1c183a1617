//===- Summary.cpp - Classes of kernels beside what is wanted of them ------===//

#include "bench/KernelBench.h"
#include "bench/Machine.h"

#include <algorithm>
#include <cstdio>

using namespace halcyon;
using namespace halcyon::bench;
using namespace halcyon::test;

namespace {
/// What a kernel's time is compared with.
enum class Measure {
  Peak,      ///< FLOP/s by the layer's definition / the peak
  Direct,    ///< the direct kernel's time / this one's
  Roofline,  ///< the longer of its arithmetic and a plain copy of its bytes / its time
  Reading,   ///< bytes/s of weights that lie in memory / those of a plain copy
};

struct Wanted {
  const char *what, *kernel;
  Measure measure;
  double least; ///< 0: nothing is asked
  std::vector<const char *> layers;
};
} // namespace

static const std::vector<Wanted> &wanted() {
  static const std::vector<Wanted> all = {
      {"direct 3x3", "direct", Measure::Peak, 0.90,
       {"resnet/3x3/1_56_64-64", "resnet/3x3/1_28_128-128",
        "resnet/3x3/1_14_256-256", "vgg/3x3/1_112_128-128",
        "unet/3x3/1_64_128-128"}},
      {"1x1", "pointwise", Measure::Peak, 0.85,
       {"resnet/1x1/1_56_64-256", "resnet/1x1/1_56_256-64",
        "resnet/1x1/1_28_512-128", "resnet/1x1/1_28_128-512",
        "resnet/1x1/1_14_1024-256", "resnet/1x1/1_14_256-1024",
        "inception/1x1/1_17_768-192", "mobile/1x1/1_14_96-576"}},
      {"7x7 maps", "direct", Measure::Peak, 0.75, {"resnet/3x3/1_7_512-512"}},
      {"7x7 maps", "pointwise", Measure::Peak, 0.75,
       {"resnet/1x1/1_7_512-2048", "resnet/1x1/1_7_2048-512",
        "mobile/1x1/1_7_320-1280"}},
      {"stride 2", "direct", Measure::Peak, 0.75,
       {"resnet/3x3/2_56_128-128", "resnet/3x3/2_28_256-256",
        "resnet/3x3/2_14_512-512", "resnet/7x7/2_224_3-64"}},
      {"stride 2", "pointwise", Measure::Peak, 0.75,
       {"resnet/1x1/2_56_256-512", "resnet/1x1/2_14_1024-2048"}},
      {"Winograd", "winograd4", Measure::Direct, 1.8,
       {"resnet/3x3/1_56_64-64", "resnet/3x3/1_28_128-128",
        "vgg/3x3/1_112_128-128", "vgg/3x3/1_56_256-256"}},
      {"Winograd", "winograd2", Measure::Direct, 0, {"resnet/3x3/1_28_128-128"}},
      {"fast inner product", "im2col_fip", Measure::Peak, 0,
       {"resnet/1x1/1_56_256-64", "resnet/1x1/1_28_128-512",
        "resnet/1x1/1_14_1024-256", "resnet/1x1/1_7_2048-512",
        "resnet/3x3/2_28_256-256", "resnet/3x3/1_28_128-128"}},
      {"fast inner product", "winograd4_fip", Measure::Direct, 0,
       {"resnet/3x3/1_56_64-64", "resnet/3x3/1_28_128-128",
        "vgg/3x3/1_56_256-256"}},
      {"fast inner product", "winograd6_fip", Measure::Direct, 0,
       {"vgg/3x3/1_112_128-128"}},
      {"im2col", "im2col", Measure::Peak, 0,
       {"resnet/3x3/1_28_128-128", "inception/5x5/1_35_48-64"}},
      {"depthwise", "depthwise", Measure::Roofline, 0.6,
       {"mobile/3x3/1_7_960-960_dw", "mobile/3x3/1_14_384-384_dw",
        "mobile/3x3/1_28_192-192_dw", "mobile/3x3/1_56_144-144_dw",
        "mobile/3x3/2_112_96-96_dw"}},
      {"linear, batch 1", "linear", Measure::Reading, 0,
       {"linear/1x25088-4096", "linear/1x4096-4096", "linear/1x2048-1000"}},
      {"linear, batch 64", "linear", Measure::Peak, 0, {"linear/64x784-256"}},
  };
  return all;
}

void KernelBench::summary() const {
  std::vector<Layer> all = layers();
  int below = 0;
  printf("%d thread%s, peak %.0f GFLOP/s\n\n%-18s%-12s%-30s%10s %9s %8s  %-12s%8s\n",
         options.threads, options.threads > 1 ? "s" : "", peak, "class",
         "kernel", "layer", "us", "GFLOP/s", "GB/s", "reached", "wanted");
  for (const Wanted &want : wanted())
    for (const char *name : want.layers) {
      auto layer = std::find_if(all.begin(), all.end(), [&](const Layer &each) {
        return each.name == name;
      });
      if (layer == all.end() ||
          (!options.kernel.empty() && options.kernel != want.kernel))
        continue;
      auto kernel = prepare(*layer, want.kernel);
      if (!kernel)
        continue;
      double seconds =
          measure(*kernel, 0.1, want.measure == Measure::Reading);
      double reached = 0;
      std::string unit;
      switch (want.measure) {
      case Measure::Peak:
        reached = layer->flops / seconds / 1e9 / peak;
        unit = "of peak";
        break;
      case Measure::Direct: {
        auto direct = prepare(*layer, "direct");
        reached = direct ? measure(*direct, 0.1, false) / seconds : 0;
        unit = "x direct";
        break;
      }
      case Measure::Roofline:
        reached = std::max(layer->bytes / measureBandwidth(size_t(layer->bytes),
                                                           options.threads),
                           layer->flops / peak) /
                  1e9 / seconds;
        unit = "of limit";
        break;
      case Measure::Reading:
        reached = layer->bytes / seconds / 1e9 /
                  measureBandwidth(256 << 20, options.threads);
        unit = "of copying";
        break;
      }
      bool low = reached < want.least;
      below += low;
      char least[16] = "-";
      if (want.least > 0)
        snprintf(least, sizeof least, "%.2f", want.least);
      printf("%-18s%-12s%-30s%10.1f %9.1f %8.1f  %.2f %-10s%5s%s\n", want.what,
             want.kernel, name, seconds * 1e6, layer->flops / seconds / 1e9,
             layer->bytes / seconds / 1e9, reached, unit.c_str(), least,
             low ? "  below" : "");
      fflush(stdout);
    }
  printf("\n%d below what is wanted\n", below);
}
