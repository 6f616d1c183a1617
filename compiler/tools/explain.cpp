//===- explain.cpp - halcyon explain: what a model becomes, and why -------===//

#include "compiler/codegen/Cache.h"
#include "compiler/kernels/Kernel.h"
#include "compiler/tools/Explanation.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

#include <cmath>

using namespace llvm;

namespace halcyon {

static int explain();

static Subcommand command("explain", "Show what each layer becomes, and why",
                          explain);
static ModelOptions model(command.command, /*takesWeights=*/false);
static cl::opt<bool> effective(
    "effective", cl::desc("Measure, by gradients, what of a receptive field matters"),
    cl::sub(command.command));
static cl::opt<bool> asJson("json", cl::desc("Machine-readable, with every detail"),
                            cl::sub(command.command));
static cl::opt<std::string> page("html", cl::desc("A page with the graph, before and after"),
                                 cl::value_desc("file"), cl::sub(command.command));

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

static constexpr size_t kWidth = 140;

namespace {
/// Columns as wide as their longest cell; numbers stand to the right.
struct Table {
  std::vector<std::string> titles;
  std::string alignment; ///< a letter a column: l or r
  std::vector<std::vector<std::string>> rows;
  /// Beneath each row, if not empty: indented, and broken at spaces.
  std::vector<std::string> notes;

  void print(raw_ostream &os) const;
};
} // namespace

static void printWrapped(raw_ostream &os, StringRef text, size_t indent) {
  size_t used = 0;
  for (StringRef word : split(text, ' ')) {
    if (used == 0 || used + 1 + word.size() > kWidth) {
      os << (used == 0 ? "" : "\n");
      os.indent(indent) << word;
      used = indent + word.size();
    } else {
      os << " " << word;
      used += 1 + word.size();
    }
  }
  os << "\n";
}

void Table::print(raw_ostream &os) const {
  std::vector<size_t> widths;
  for (size_t c = 0; c < titles.size(); ++c) {
    widths.push_back(titles[c].size());
    for (auto &row : rows)
      widths[c] = std::max(widths[c], row[c].size());
  }
  auto line = [&](const std::vector<std::string> &row) {
    std::string text;
    for (size_t c = 0; c < row.size(); ++c) {
      size_t blank = widths[c] - row[c].size();
      text += c ? "  " : "";
      text += alignment[c] == 'r' ? std::string(blank, ' ') + row[c]
                                  : row[c] + std::string(blank, ' ');
    }
    os << StringRef(text).rtrim() << "\n";
  };
  line(titles);
  for (size_t r = 0; r < rows.size(); ++r) {
    line(rows[r]);
    if (r < notes.size() && !notes[r].empty())
      printWrapped(os, notes[r], widths[0] + 2);
  }
}

/// Three digits that matter: "0.0123", "1.23", "123".
static std::string digits(double number) {
  if (number == 0)
    return "0";
  int decimals = 2 - static_cast<int>(std::floor(std::log10(std::fabs(number))));
  return formatv(("{0:F" + Twine(std::clamp(decimals, 0, 6)) + "}").str().c_str(), number);
}

static std::string plain(double number) {
  std::string text = formatv("{0:F2}", number);
  return StringRef(text).rtrim('0').rtrim('.').str();
}

/// One number where both axes agree.
static std::string pair(double y, double x) {
  return y == x ? plain(y) : plain(y) + "x" + plain(x);
}

static std::string thousands(int64_t number) {
  std::string text = std::to_string(number);
  for (int at = static_cast<int>(text.size()) - 3; at > 0; at -= 3)
    text.insert(at, ",");
  return text;
}

static std::string megabytes(double bytes) { return digits(bytes / 1e6) + " MB"; }

//===----------------------------------------------------------------------===//
// For people
//===----------------------------------------------------------------------===//

static std::string lineOf(const cnn::LayerLocation &at) {
  // A layer of another file than the model's is shown with its file.
  std::string line = at.line ? std::to_string(at.line) : "-";
  if (!at.line || sys::path::filename(at.file) == sys::path::filename(model.model))
    return line;
  return sys::path::filename(at.file).str() + ":" + line;
}

static std::string fateText(const LayerFacts &layer) {
  std::string text;
  for (size_t kernel : layer.kernels)
    text += (text.empty() ? "#" : ", #") + std::to_string(kernel + 1);
  if (layer.fate == "computed")
    return text;
  if (layer.fate == "fused")
    return text + " fused";
  if (layer.fate == "folded")
    return text + " in its weights";
  return layer.fate;
}

static void printLayers(const Explanation &facts) {
  Table table;
  table.titles = {"line", "layer", "kind", "output", "params", "MFLOP",
                  "field", "step", "from", "pad t,l,b,r", "kernel"};
  table.alignment = "rlllrrrrrll";
  if (effective) {
    table.titles.insert(table.titles.begin() + 9, {"95 %", "from"});
    table.alignment.insert(9, "rr");
  }
  for (const LayerFacts &layer : facts.layers) {
    const ReceptiveField &y = layer.field[0], &x = layer.field[1];
    bool whole = y.whole || x.whole;
    std::string pad;
    if (any_of(layer.pad, [](int64_t p) { return p != 0; }) ||
        !layer.padMode.empty()) {
      for (int64_t n : layer.pad)
        pad += (pad.empty() ? "" : ",") + std::to_string(n);
      pad += layer.padMode.empty() ? "" : " " + layer.padMode;
    }
    table.rows.push_back(
        {lineOf(layer.at), layer.at.path, layer.kind, layer.shape,
         layer.parameters ? thousands(layer.parameters) : "-",
         layer.flops ? digits(layer.flops / 1e6) : "-",
         whole ? "all" : pair(y.end - y.first, x.end - x.first),
         whole ? "-" : pair(y.step, x.step), whole ? "-" : pair(y.first, x.first),
         pad.empty() ? "-" : pad, fateText(layer)});
    const EffectiveField &rows = layer.effective[0], &columns = layer.effective[1];
    if (effective)
      table.rows.back().insert(
          table.rows.back().begin() + 9,
          {rows.size ? pair(rows.size, columns.size) : "-",
           rows.size ? pair(rows.first, columns.first) : "-"});
  }
  table.print(outs());
}

/// "cheapest by the cost model: direct 0.12 ms, im2col 0.2 ms; not winograd2,
/// winograd4 (...)".
static std::string whyText(const KernelFacts &kernel) {
  std::string text = kernel.reason, separator = ": ";
  MapVector<StringRef, std::string> ruledOut;
  std::vector<Alternative> priced;
  for (const Alternative &candidate : kernel.candidates) {
    if (candidate.ms >= 0) {
      priced.push_back(candidate);
      continue;
    }
    std::string &names = ruledOut[candidate.why];
    names += (names.empty() ? "" : ", ") + candidate.algorithm;
  }
  stable_sort(priced, [](auto &a, auto &b) { return a.ms < b.ms; });
  if (priced.size() == 1 && ruledOut.empty())
    return "the only one for this layer";
  for (const Alternative &candidate : priced) {
    text += separator + candidate.algorithm + " " + digits(candidate.ms) + " ms";
    separator = ", ";
  }
  for (auto &[why, names] : ruledOut)
    text += "; not " + names + " (" + why.str() + ")";
  return text;
}

static std::string layoutsText(const KernelFacts &kernel) {
  auto list = [](const std::vector<std::string> &layouts) {
    std::string text;
    for (const std::string &layout : layouts)
      text += (text.empty() ? "" : ", ") + layout;
    return text.empty() ? std::string("dense") : text;
  };
  return list(kernel.inputs) + " -> " + list(kernel.outputs);
}

static void printKernels(const Explanation &facts) {
  Table table;
  table.titles = {"#",     "line",      "layer",   "est. ms",
                  "error", "precision", "schedule"};
  table.alignment = "rrlrrll";
  for (const KernelFacts &kernel : facts.kernels) {
    table.rows.push_back({"#" + std::to_string(table.rows.size() + 1),
                          lineOf(kernel.at), kernel.at.path, digits(kernel.ms),
                          kernel.error ? errorText(kernel.error) : "-",
                          kernel.precision, kernel.schedule});
    table.notes.push_back(layoutsText(kernel) + "; " + whyText(kernel));
    if (!kernel.keptF32.empty())
      table.notes.back() += "; not bf16 (" + kernel.keptF32 + ")";
  }
  table.print(outs());
}

/// What is done to keep a batch's values in the caches.
static std::string chains(const Explanation &facts) {
  if (!facts.chainedCalls)
    return "";
  return formatv("{0} calls compute a larger batch {1} at a time, so that it stays in the caches\n",
                 facts.chainedCalls,
                 facts.partImages == 1 ? "one image" : std::to_string(facts.partImages) + " images");
}

static void printText(const Driver &driver, const Explanation &facts) {
  Totals totals(facts);
  outs() << model.model << " for " << driver.target.name << " ("
         << driver.target.lanes << " lanes, " << driver.target.cores
         << " cores); a multiply-add counts as 2 FLOPs, everything is per image\n\n";
  printLayers(facts);
  outs() << "\n  field, step, from: what an element of the output sees of the "
            "input, how far apart neighbours\n  look, and where the first one "
            "begins, in pixels\n";
  if (effective)
    outs() << "  95 %, from: where 95 % of its gradient lie, of random inputs and "
           << (model.weights.empty() ? "random weights" : "these weights") << "\n";
  outs() << "\n";
  printKernels(facts);
  outs() << "\n  +1: a border of zeros in the buffer, which serves as padding; "
            "of 256: a slice of a buffer\n"
            "  error: the largest difference to expect from the exact result, "
            "over its largest value\n\n";
  outs() << thousands(totals.parameters) << " parameters";
  if (totals.statistics)
    outs() << " and " << thousands(totals.statistics) << " statistics";
  outs() << ", " << digits(totals.flops / 1e6) << " MFLOP\n"
         << facts.kernels.size() << " kernel calls (" << totals.conversions
         << " of them layout conversions) of " << facts.distinctKernels
         << " kernels, estimated " << digits(totals.ms) << " ms on "
         << driver.target.cores << " cores\n"
         << chains(facts) << megabytes(facts.weights) << " of prepared weights, "
         << megabytes(facts.arena) << " of arena, "
         << formatv("{0:F3}", totals.arenaRatio) << " times its lower bound\n";
}

static int explain() {
  Driver driver(model);
  Explanation facts;
  if (!page.empty() && !checkWritable(page))
    return 1;
  if (!driver.findMachine() || !driver.parse() || !explainModule(driver, facts))
    return 1;
  if (effective && !measureFields(model, facts))
    return 1;
  if (!page.empty()) {
    if (!writeWhole(page, explanationPage(driver, facts)))
      return !fail("can't write " + page + ": " + strerror(errno));
    outs() << page << "\n";
  }
  if (asJson) {
    writeJson(outs(), driver, facts, /*indent=*/1);
    outs() << "\n";
  } else if (page.empty()) {
    printText(driver, facts);
  }
  return 0;
}

} // namespace halcyon
