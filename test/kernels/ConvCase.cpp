//===- ConvCase.cpp - One convolution with its neighbours ------------------===//

#include "test/kernels/ConvCase.h"

#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using llvm::formatv;

namespace halcyon::test {

ConvCase ConvCase::square(int size, int c, int o, int k, int s) {
  ConvCase result;
  result.h = result.w = size;
  result.c = c;
  result.o = o;
  result.kh = result.kw = k;
  result.sh = result.sw = s;
  for (int &p : result.pad)
    p = (k - 1) / 2;
  return result;
}

int ConvCase::outH() const {
  if (transposed)
    return (h - 1) * sh - pad[0] - pad[2] + dh * (kh - 1) + 1 + outputPad[0];
  return (h + pad[0] + pad[2] - dh * (kh - 1) - 1) / sh + 1;
}
int ConvCase::outW() const {
  if (transposed)
    return (w - 1) * sw - pad[1] - pad[3] + dw * (kw - 1) + 1 + outputPad[1];
  return (w + pad[1] + pad[3] - dw * (kw - 1) - 1) / sw + 1;
}

double ConvCase::flops() const {
  double perCell = 2.0 * kh * kw * (c / groups) * o;
  return perCell * (transposed ? h * w : outH() * outW());
}

std::string ConvCase::name() const {
  static const char *epilogues[] = {"", " relu", " scale+silu", " add+relu",
                                    " gate"};
  std::string text =
      formatv("{0}{1}x{2}x{3} -> {4}, {5}x{6}/{7}x{8}",
              transposed ? "transposed " : "", c, h, w, o, kh, kw, sh, sw);
  text += formatv(" pad {0},{1},{2},{3}", pad[0], pad[1], pad[2], pad[3]);
  if (dh > 1 || dw > 1)
    text += formatv(" dilation {0}x{1}", dh, dw);
  if (groups > 1)
    text += formatv(" groups {0}", groups);
  if (outputPad[0] || outputPad[1])
    text += formatv(" output_pad {0},{1}", outputPad[0], outputPad[1]);
  if (padMode != "zero")
    text += " " + padMode;
  if (!bias)
    text += " no bias";
  if (prologue)
    text += " prologue";
  if (bf16In || bf16Out)
    text += formatv(" {0}->{1}", bf16In ? "bf16" : "f32", bf16Out ? "bf16" : "f32");
  return text + epilogues[(int)epilogue];
}

static const char *kRelu = R"( {
    ^bb0(%a: f32):
      %zero = arith.constant 0.0 : f32
      %m = arith.maximumf %a, %zero : f32
      cnn.yield %m : f32
    })";

std::string ConvCase::text() const {
  const char *in = bf16In ? "bf16" : "f32", *out = bf16Out ? "bf16" : "f32";
  std::string x = formatv("tensor<?x{0}x{1}x{2}x{3}>", c, h, w, in);
  std::string y = formatv("tensor<?x{0}x{1}x{2}x{3}>", o, outH(), outW(), out);
  std::string weight =
      transposed
          ? formatv("tensor<{0}x{1}x{2}x{3}x{4}>", c, o / groups, kh, kw, in)
          : formatv("tensor<{0}x{1}x{2}x{3}x{4}>", o, c / groups, kh, kw, in);
  std::string vectorC = formatv("tensor<{0}xf32>", c);
  std::string vectorO = formatv("tensor<{0}xf32>", o);
  std::string args = "%x: " + x + ", %w: " + weight;
  std::string body, source = "%x", result = "%y";
  if (bias)
    args += ", %b: " + vectorO;
  if (prologue) {
    args += ", %ps: " + vectorC + ", %pt: " + vectorC;
    body += "    %p0 = cnn.map \"affine\" %x, %ps, %pt : (" + x + ", " +
            vectorC + ", " + vectorC + ") -> " + x + R"( {
    ^bb0(%a: f32, %k: f32, %l: f32):
      %m = arith.mulf %a, %k : f32
      %q = arith.addf %m, %l : f32
      cnn.yield %q : f32
    })" + "\n    %p1 = cnn.map \"relu\" %p0 : (" + x + ") -> " + x + kRelu +
            "\n";
    source = "%p1";
  }
  std::string attributes = formatv(
      "stride = array<i64: {0}, {1}>, pad = array<i64: {2}, {3}, {4}, {5}>, "
      "dilation = array<i64: {6}, {7}>, groups = {8}",
      sh, sw, pad[0], pad[1], pad[2], pad[3], dh, dw, groups);
  if (transposed)
    attributes += formatv(", output_pad = array<i64: {0}, {1}>", outputPad[0],
                          outputPad[1]);
  else if (padMode == "reflect")
    attributes += ", pad_mode = 1 : i32";
  else if (padMode == "replicate")
    attributes += ", pad_mode = 2 : i32";
  else if (padMode == "circular")
    attributes += ", pad_mode = 3 : i32";
  body += "    %y = cnn." + std::string(transposed ? "conv_transpose" : "conv") +
          " " + source + ", %w" + (bias ? ", %b" : "") + " {" + attributes +
          "} : (" + x + ", " + weight + (bias ? ", " + vectorO : "") + ") -> " +
          y + "\n";
  auto relu = [&](std::string from, std::string to) {
    body += "    " + to + " = cnn.map \"relu\" " + from + " : (" + y + ") -> " +
            y + kRelu + "\n";
    result = to;
  };
  std::string gate = formatv("tensor<?x{0}x1x1x{1}>", o, out);
  switch (epilogue) {
  case Epilogue::None:
    break;
  case Epilogue::Relu:
    relu("%y", "%e0");
    break;
  case Epilogue::ScaleSilu:
    args += ", %s: " + vectorO;
    body += "    %e0 = cnn.map \"scale_silu\" %y, %s : (" + y + ", " + vectorO +
            ") -> " + y + R"( {
    ^bb0(%a: f32, %k: f32):
      %one = arith.constant 1.0 : f32
      %m = arith.mulf %a, %k : f32
      %j = arith.negf %m : f32
      %h = math.exp %j : f32
      %i = arith.addf %h, %one : f32
      %q = arith.divf %m, %i : f32
      cnn.yield %q : f32
    })" + "\n";
    result = "%e0";
    break;
  case Epilogue::ResidualRelu:
    args += ", %r: " + y;
    body += "    %e0 = cnn.map \"add\" %y, %r : (" + y + ", " + y + ") -> " + y +
            R"( {
    ^bb0(%a: f32, %k: f32):
      %m = arith.addf %a, %k : f32
      cnn.yield %m : f32
    })" + "\n";
    relu("%e0", "%e1");
    break;
  case Epilogue::Gate:
    args += ", %g: " + gate;
    body += "    %e0 = cnn.map \"mul\" %y, %g : (" + y + ", " + gate + ") -> " +
            y + R"( {
    ^bb0(%a: f32, %k: f32):
      %m = arith.mulf %a, %k : f32
      cnn.yield %m : f32
    })" + "\n";
    result = "%e0";
    break;
  }
  return "exec.kernel @k <\"none\", {}> {\n  ^bb0(" + args + "):\n" + body +
         "    cnn.yield " + result + " : " + y + "\n}\n";
}

std::vector<Tensor> ConvCase::inputs(int batch) const {
  std::vector<Tensor> result;
  result.push_back(Tensor::random({batch, c, h, w}, 1));
  if (transposed)
    result.push_back(Tensor::random({c, o / groups, kh, kw}, 2));
  else
    result.push_back(Tensor::random({o, c / groups, kh, kw}, 2));
  if (bias)
    result.push_back(Tensor::random({o}, 3));
  if (prologue) {
    result.push_back(Tensor::random({c}, 4));
    result.push_back(Tensor::random({c}, 5));
  }
  if (epilogue == Epilogue::ScaleSilu)
    result.push_back(Tensor::random({o}, 6));
  if (epilogue == Epilogue::ResidualRelu)
    result.push_back(Tensor::random({batch, o, outH(), outW()}, 7));
  if (epilogue == Epilogue::Gate)
    result.push_back(Tensor::random({batch, o, 1, 1}, 8));
  if (bf16In)
    for (Tensor *stored : {&result[0], &result[1]})
      *stored = stored->rounded();
  if (bf16Out && (epilogue == Epilogue::ResidualRelu || epilogue == Epilogue::Gate))
    result.back() = result.back().rounded();
  return result;
}

/// The cell that stands for `i` outside of [0, size), or -1 for zero.
static int outside(int i, int size, const std::string &mode) {
  if (i >= 0 && i < size)
    return i;
  if (mode == "reflect")
    return i < 0 ? -i : 2 * (size - 1) - i;
  if (mode == "replicate")
    return i < 0 ? 0 : size - 1;
  if (mode == "circular")
    return (i + size) % size;
  return -1;
}

Tensor ConvCase::reference(const std::vector<Tensor> &inputs) const {
  size_t next = 2;
  Tensor x = inputs[0];
  const Tensor &weight = inputs[1];
  const Tensor *b = bias ? &inputs[next++] : nullptr;
  int batch = (int)x.shape[0], oh = outH(), ow = outW(), cells = h * w;
  if (prologue) {
    const Tensor &scale = inputs[next], &shift = inputs[next + 1];
    next += 2;
    for (size_t i = 0; i < x.data.size(); ++i) {
      int channel = (int)(i / cells % c);
      x.data[i] = std::max(
          0.0f, x.data[i] * scale.data[channel] + shift.data[channel]);
    }
  }
  Tensor y({batch, o, oh, ow});
  int cig = c / groups, cog = o / groups;
  std::vector<double> sum(oh * ow);
  for (int n = 0; n < batch; ++n)
    for (int co = 0; co < o; ++co) {
      std::fill(sum.begin(), sum.end(), b ? b->data[co] : 0.0);
      int group = co / cog;
      for (int ci = 0; ci < cig; ++ci) {
        const float *plane = &x.data[(size_t)(n * c + group * cig + ci) * cells];
        const float *taps =
            transposed
                ? &weight.data[((size_t)(group * cig + ci) * cog + co % cog) *
                               kh * kw]
                : &weight.data[((size_t)co * cig + ci) * kh * kw];
        for (int u = 0; u < kh; ++u)
          for (int v = 0; v < kw; ++v) {
            float tap = taps[u * kw + v];
            if (transposed) {
              for (int i = 0; i < h; ++i)
                for (int j = 0; j < w; ++j) {
                  int row = i * sh + u * dh - pad[0];
                  int column = j * sw + v * dw - pad[1];
                  if (row >= 0 && row < oh && column >= 0 && column < ow)
                    sum[row * ow + column] += (double)tap * plane[i * w + j];
                }
              continue;
            }
            for (int i = 0; i < oh; ++i) {
              int row = outside(i * sh + u * dh - pad[0], h, padMode);
              if (row < 0)
                continue;
              for (int j = 0; j < ow; ++j) {
                int column = outside(j * sw + v * dw - pad[1], w, padMode);
                if (column >= 0)
                  sum[i * ow + j] += (double)tap * plane[row * w + column];
              }
            }
          }
      }
      for (int i = 0; i < oh * ow; ++i) {
        size_t at = (size_t)(n * o + co) * oh * ow + i;
        double value = sum[i];
        switch (epilogue) {
        case Epilogue::None:
          break;
        case Epilogue::Relu:
          value = std::max(value, 0.0);
          break;
        case Epilogue::ScaleSilu:
          value *= inputs[next].data[co];
          value /= 1 + std::exp(-value);
          break;
        case Epilogue::ResidualRelu:
          value = std::max(value + inputs[next].data[at], 0.0);
          break;
        case Epilogue::Gate:
          value *= inputs[next].data[n * o + co];
          break;
        }
        y.data[at] = (float)value;
      }
    }
  return y;
}

} // namespace halcyon::test
