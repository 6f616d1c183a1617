//===- ExplanationJson.cpp - An explanation for programs, and as a page ---===//

#include "compiler/emit/Texts.h"
#include "compiler/tools/Explanation.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace halcyon {

Totals::Totals(const Explanation &facts) {
  for (const LayerFacts &layer : facts.layers) {
    parameters += layer.parameters;
    statistics += layer.statistics;
    flops += layer.flops;
  }
  for (const KernelFacts &kernel : facts.kernels) {
    conversions += kernel.conversion;
    ms += kernel.ms;
  }
  if (facts.arenaBound)
    arenaRatio = double(facts.arena) / facts.arenaBound;
}

/// Indices as people count, from 1.
static void numbers(json::OStream &json, StringRef name, ArrayRef<size_t> indices) {
  json.attributeArray(name, [&] {
    for (size_t index : indices)
      json.value(int64_t(index + 1));
  });
}

static void writeLayer(json::OStream &json, const LayerFacts &layer) {
  json.attribute("layer", layer.at.path);
  json.attribute("file", layer.at.file);
  json.attribute("line", layer.at.line);
  json.attribute("column", layer.at.column);
  json.attribute("kind", layer.kind);
  json.attribute("shape", json::Array(layer.sizes));
  json.attribute("parameters", layer.parameters);
  json.attribute("statistics", layer.statistics);
  json.attribute("flops", layer.flops);
  json.attribute("bytes", layer.bytes);
  numbers(json, "reads", layer.reads);
  const ReceptiveField &y = layer.field[0], &x = layer.field[1];
  json.attributeObject("receptive_field", [&] {
    json.attribute("size", json::Array{y.end - y.first, x.end - x.first});
    json.attribute("stride", json::Array{y.step, x.step});
    json.attribute("offset", json::Array{y.first, x.first});
    json.attribute("whole", y.whole || x.whole);
  });
  const EffectiveField &rows = layer.effective[0], &columns = layer.effective[1];
  if (rows.size)
    json.attributeObject("effective_field", [&] {
      json.attribute("size", json::Array{rows.size, columns.size});
      json.attribute("offset", json::Array{rows.first, columns.first});
    });
  if (!layer.pad.empty())
    json.attribute("pad", json::Array(layer.pad));
  if (!layer.padMode.empty())
    json.attribute("pad_mode", layer.padMode);
  numbers(json, "kernels", layer.kernels);
  json.attribute("fate", layer.fate);
}

static void writeKernel(json::OStream &json, const KernelFacts &kernel) {
  json.attribute("layer", kernel.at.path);
  json.attribute("line", kernel.at.line);
  json.attribute("algorithm", kernel.algorithm);
  json.attribute("schedule", kernel.schedule);
  json.attribute("precision", kernel.precision);
  if (!kernel.keptF32.empty())
    json.attribute("not_bf16", kernel.keptF32);
  json.attribute("layouts_in", json::Array(kernel.inputs));
  json.attribute("layouts_out", json::Array(kernel.outputs));
  json.attribute("estimated_ms", kernel.ms);
  json.attribute("estimated_error", kernel.error);
  json.attribute("max_error", kernel.maxError);
  json.attribute("flops", kernel.flops);
  json.attribute("bytes", kernel.bytes);
  json.attribute("conversion", kernel.conversion);
  numbers(json, "reads", kernel.reads);
  json.attribute("live_bytes", kernel.live);
  json.attribute("reason", kernel.reason);
  json.attributeArray("candidates", [&] {
    for (const Alternative &candidate : kernel.candidates)
      json.object([&] {
        json.attribute("algorithm", candidate.algorithm);
        if (candidate.ms >= 0)
          json.attribute("estimated_ms", candidate.ms);
        else
          json.attribute("ruled_out", candidate.why);
        if (candidate.error >= 0)
          json.attribute("estimated_error", candidate.error);
      });
  });
}

void writeJson(raw_ostream &os, const Driver &driver, const Explanation &facts,
               unsigned indent) {
  Totals totals(facts);
  json::OStream json(os, indent);
  json.object([&] {
    json.attribute("model", driver.options.model);
    json.attribute("target", driver.target.halide);
    json.attributeArray("layers", [&] {
      for (const LayerFacts &layer : facts.layers)
        json.object([&] { writeLayer(json, layer); });
    });
    json.attributeArray("kernels", [&] {
      for (const KernelFacts &kernel : facts.kernels)
        json.object([&] { writeKernel(json, kernel); });
    });
    json.attributeObject("totals", [&] {
      json.attribute("parameters", totals.parameters);
      json.attribute("statistics", totals.statistics);
      json.attribute("flops", totals.flops);
      json.attribute("kernel_calls", int64_t(facts.kernels.size()));
      json.attribute("kernels", int64_t(facts.distinctKernels));
      json.attribute("chained_calls", int64_t(facts.chainedCalls));
      json.attribute("conversions", totals.conversions);
      json.attribute("estimated_ms", totals.ms);
      json.attribute("weight_bytes", facts.weights);
      json.attribute("arena_bytes", facts.arena);
      json.attribute("arena_bound_bytes", facts.arenaBound);
      json.attribute("arena_ratio", totals.arenaRatio);
    });
  });
}

/// The lines of the model's files that layers stand in; none of a binary file.
static void writeSources(json::OStream &json, const Explanation &facts) {
  StringSet<> seen;
  for (const LayerFacts &layer : facts.layers) {
    StringRef file = layer.at.file;
    if (sys::path::extension(file) != ".cnn" || !seen.insert(file).second)
      continue;
    auto buffer = MemoryBuffer::getFile(file);
    if (!buffer || !json::isUTF8((*buffer)->getBuffer()))
      continue;
    json.attributeArray(file, [&] {
      for (StringRef line : split((*buffer)->getBuffer(), '\n'))
        json.value(line);
    });
  }
}

std::string explanationPage(const Driver &driver, const Explanation &facts) {
  std::string data, sources;
  raw_string_ostream os(data), sourcesOs(sources);
  writeJson(os, driver, facts, /*indent=*/0);
  {
    json::OStream json(sourcesOs);
    json.object([&] { writeSources(json, facts); });
  }
  std::string page = textOf("tools/explain.html").str();
  auto put = [&](StringRef mark, StringRef text) {
    std::string escaped;
    // A script ends at "</", wherever it stands.
    for (char c : text)
      escaped += c == '<' ? "\\u003c" : std::string(1, c);
    size_t at = page.find(mark);
    page.replace(at, mark.size(), escaped);
  };
  put("@sources@", sources);
  put("@explanation@", data);
  return page;
}

} // namespace halcyon
