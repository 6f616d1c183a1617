//===- report.cpp - halcyon report: a run as one HTML file ----------------===//

#include "compiler/codegen/Cache.h"
#include "compiler/tools/Driver.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <cmath>

using namespace llvm;

namespace halcyon {

static int report();

static Subcommand command("report", "What a run of training came to, as one HTML file",
                          report);
static cl::opt<std::string> folder(cl::Positional, cl::Required, cl::desc("folder"),
                                   cl::sub(command.command));
static cl::opt<std::string> output("o", cl::desc("The file (report.html in the folder)"),
                                   cl::value_desc("file"), cl::sub(command.command));

namespace {

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

class Report {
public:
  bool read(const std::string &folder);
  std::string write();

private:
  void overview();
  void words();
  void curves();
  void weights();
  void table();
  void pictures(StringRef key, StringRef title);
  void masks(const json::Object &one);
  void boxes(const json::Object &one);
  void chart(StringRef title, std::vector<Curve> curves, bool logarithmic = false);
  std::vector<double> over(StringRef key) const;

  std::string folder, name;
  std::vector<json::Object> steps, epochs;
  json::Object plan, shown;
  std::string html;
  raw_string_ostream os{html};
};

} // namespace

static std::string shortNumber(double value) {
  std::string text;
  raw_string_ostream(text) << format("%.4g", value);
  return text;
}

bool Report::read(const std::string &where) {
  folder = where;
  auto file = MemoryBuffer::getFile(folder + "/log.jsonl");
  if (!file)
    return fail("can't read " + folder + "/log.jsonl: " + file.getError().message());
  SmallVector<StringRef> lines;
  (*file)->getBuffer().split(lines, '\n');
  for (StringRef line : lines) {
    // A run that was killed may have left half a line.
    auto value = json::parse(line);
    if (!value) {
      consumeError(value.takeError());
      continue;
    }
    if (json::Object *object = value->getAsObject())
      (object->get("step") ? steps : epochs).push_back(std::move(*object));
  }
  auto object = [&](StringRef name, json::Object &into) {
    auto text = MemoryBuffer::getFile(folder + "/" + name);
    if (!text)
      return;
    auto value = json::parse((*text)->getBuffer());
    if (!value)
      consumeError(value.takeError());
    else if (json::Object *found = value->getAsObject())
      into = std::move(*found);
  };
  object("plan.json", plan);
  object("pictures.json", shown);
  name = plan.getString("name").value_or("training").str();
  return !steps.empty() || fail(folder + "/log.jsonl has no step of training yet");
}

/// The values of an entry, epoch by epoch; NaN where one has none.
std::vector<double> Report::over(StringRef key) const {
  std::vector<double> values;
  for (const json::Object &epoch : epochs)
    values.push_back(epoch.getNumber(key).value_or(NAN));
  return values;
}

//===----------------------------------------------------------------------===//
// Charts
//===----------------------------------------------------------------------===//

static constexpr StringLiteral colors[] = {"#1f6fb2", "#d1495b", "#3a8f5c", "#9a6fb0",
                                           "#c98a1b", "#4a4a4a", "#2aa1a1", "#b0567a"};

void Report::chart(StringRef title, std::vector<Curve> curves, bool logarithmic) {
  const double width = 520, height = 220, left = 56, bottom = 24;
  double x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = -INFINITY;
  for (Curve &curve : curves)
    for (auto &[x, y] : curve.points) {
      if (logarithmic)
        y = y > 0 ? std::log10(y) : NAN;
      if (!std::isfinite(y))
        continue;
      x0 = std::min(x0, x);
      x1 = std::max(x1, x);
      y0 = std::min(y0, y);
      y1 = std::max(y1, y);
    }
  if (!(x0 <= x1))
    return;
  if (y1 - y0 < 1e-12) {
    y0 -= 0.5;
    y1 += 0.5;
  }
  auto atX = [&](double x) {
    return left + (x1 > x0 ? (x - x0) / (x1 - x0) : 0.5) * (width - left - 8);
  };
  auto atY = [&](double y) { return 8 + (y1 - y) / (y1 - y0) * (height - bottom - 8); };
  os << "<figure><figcaption>" << escaped(title) << "</figcaption><svg viewBox=\"0 0 "
     << width << " " << height << "\">";
  for (int i = 0; i <= 4; ++i) {
    double y = y0 + (y1 - y0) * i / 4, at = atY(y);
    os << formatv("<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:f1}\" y2=\"{2:f1}\" "
                  "stroke=\"#ddd\"/><text x=\"{3}\" y=\"{4:f1}\" "
                  "text-anchor=\"end\">{5}</text>",
                  left, width - 8, at, left - 4, at + 4,
                  shortNumber(logarithmic ? std::pow(10, y) : y));
  }
  for (double x : {x0, x1})
    os << formatv("<text x=\"{0:f1}\" y=\"{1}\" text-anchor=\"{2}\">{3}</text>", atX(x),
                  height - 6, x == x0 ? "start" : "end", shortNumber(x));
  for (auto [i, curve] : enumerate(curves)) {
    StringRef color = colors[i % std::size(colors)];
    os << "<polyline fill=\"none\" stroke-width=\"1.6\" stroke=\"" << color
       << "\" points=\"";
    for (auto &[x, y] : curve.points)
      if (std::isfinite(y))
        os << formatv("{0:f1},{1:f1} ", atX(x), atY(y));
    os << "\"/>";
  }
  os << "</svg><p class=\"key\">";
  for (auto [i, curve] : enumerate(curves))
    os << "<span style=\"color:" << colors[i % std::size(colors)] << "\">"
       << escaped(curve.name) << "</span> ";
  os << "</p></figure>\n";
}

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

void Report::overview() {
  os << "<table>";
  auto row = [&](StringRef what, const Twine &value) {
    os << "<tr><td>" << what << "</td><td>" << escaped(value.str()) << "</td></tr>";
  };
  row("epochs", Twine(epochs.size()));
  row("steps", Twine(steps.back().getInteger("step").value_or(0)));
  double seconds = 0;
  for (double each : over("seconds"))
    seconds += std::isfinite(each) ? each : 0;
  row("time", shortNumber(seconds) + " s");
  if (!epochs.empty())
    for (auto &[key, value] : epochs.back())
      if (key != "epoch" && key != "seconds")
        if (auto number = value.getAsNumber())
          row(("last " + key.str()).c_str(), shortNumber(*number));
  os << "</table>\n";
}

/// What the curves say, in words.
void Report::words() {
  std::vector<double> trained = over("loss"), validated = over("val loss");
  size_t count = trained.size();
  if (count < 3)
    return;
  auto *least = std::min_element(validated.data(), validated.data() + count,
                                 [](double a, double b) { return a < b; });
  size_t best = least - validated.data();
  bool hasValidation = std::isfinite(validated.back());
  if (hasValidation && best + 2 < count && validated.back() > 1.05 * *least &&
      trained.back() < trained[best])
    os << formatv("<p><b>Overfitting:</b> the loss of validation was least after epoch "
                  "{0} ({1}) and has risen to {2}, while that of training went on "
                  "falling. More augmentation, more decay or an earlier end would help; "
                  "<code>keep best(...)</code> and <code>stop patience(...)</code> do "
                  "the latter.</p>",
                  best + 1, shortNumber(*least), shortNumber(validated.back()));
  size_t tail = std::max<size_t>(2, count / 4);
  double then = trained[count - 1 - tail], last = trained.back();
  if (count >= 6 && then - last < 0.01 * std::abs(then))
    os << formatv("<p><b>A plateau:</b> the loss has fallen by less than 1 % in the last "
                  "{0} epochs. A lower rate, or a schedule that ends low, may go "
                  "further.</p>",
                  tail);
}

void Report::curves() {
  Curve loss{"loss", {}}, mean{"mean of 50 steps", {}}, rate{"rate", {}},
      norm{"norm", {}};
  // A picture shows no more than so many points.
  size_t stride = std::max<size_t>(1, steps.size() / 1000);
  double sum = 0;
  std::vector<double> recent;
  for (auto [i, step] : enumerate(steps)) {
    double value = step.getNumber("loss").value_or(NAN),
           at = double(step.getInteger("step").value_or(0));
    recent.push_back(value);
    sum += value;
    if (recent.size() > 50)
      sum -= recent[recent.size() - 51];
    if (i % stride)
      continue;
    loss.points.push_back({at, value});
    mean.points.push_back({at, sum / double(std::min<size_t>(recent.size(), 50))});
    rate.points.push_back({at, step.getNumber("rate").value_or(NAN)});
    norm.points.push_back({at, step.getNumber("norm").value_or(NAN)});
  }
  chart("Loss of each step", {loss, mean}, /*logarithmic=*/true);
  chart("Rate", {rate});
  chart("Norm of the gradient, before it is clipped", {norm}, /*logarithmic=*/true);
  std::vector<std::string> names;
  for (const json::Object &epoch : epochs)
    for (auto &[key, value] : epoch)
      if (!StringRef(key).starts_with("val ") && key != "epoch" && key != "seconds" &&
          value.getAsNumber() && !is_contained(names, key.str()))
        names.push_back(key.str());
  for (const std::string &key : names) {
    Curve trained{"training", {}}, validated{"validation", {}};
    std::vector<double> ofTraining = over(key), ofValidation = over("val " + key);
    for (size_t i = 0; i < epochs.size(); ++i) {
      double epoch = double(epochs[i].getInteger("epoch").value_or(0));
      trained.points.push_back({epoch, ofTraining[i]});
      validated.points.push_back({epoch, ofValidation[i]});
    }
    chart(key + " of each epoch", {trained, validated});
  }
}

void Report::weights() {
  std::vector<Curve> norms, moves, gradients;
  std::vector<std::string> still;
  for (const json::Object &epoch : epochs) {
    const json::Object *all = epoch.getObject("weights");
    double at = double(epoch.getInteger("epoch").value_or(0));
    for (auto &[key, value] : all ? *all : json::Object()) {
      const json::Object &weight = *value.getAsObject();
      auto put = [&, name = key.str()](std::vector<Curve> &curves,
                                       std::optional<double> number) {
        if (!number)
          return;
        auto it = find_if(curves, [&](const Curve &c) { return c.name == name; });
        if (it == curves.end())
          it = curves.insert(curves.end(), Curve{name, {}});
        it->points.push_back({at, *number});
      };
      put(norms, weight.getNumber("norm"));
      put(moves, weight.getNumber("moved"));
      put(gradients, weight.getNumber("gradient"));
    }
  }
  if (norms.empty())
    return;
  os << "<h2>Weights</h2>\n";
  chart("Norm of each weight", norms, true);
  chart("How far each moved in an epoch", moves, true);
  chart("Norm of each weight's gradient, over an epoch", gradients, true);
  const json::Object *last = epochs.back().getObject("weights");
  os << "<div class=\"grid\">";
  for (auto &[key, value] : last ? *last : json::Object()) {
    const json::Object &weight = *value.getAsObject();
    const json::Array *bins = weight.getArray("bins");
    double most = 1;
    for (const json::Value &bin : bins ? *bins : json::Array())
      most = std::max(most, bin.getAsNumber().value_or(0));
    os << "<figure class=\"small\"><svg viewBox=\"0 0 160 60\">";
    for (auto [i, bin] : enumerate(bins ? *bins : json::Array()))
      os << formatv("<rect x=\"{0}\" width=\"3.6\" y=\"{1:f1}\" height=\"{2:f1}\" "
                    "fill=\"#1f6fb2\"/>",
                    4 * i, 60 - 58 * bin.getAsNumber().value_or(0) / most,
                    58 * bin.getAsNumber().value_or(0) / most);
    os << "</svg><p class=\"key\">" << escaped(key.str()) << "<br>"
       << shortNumber(weight.getNumber("least").value_or(0)) << " to "
       << shortNumber(weight.getNumber("most").value_or(0));
    if (int64_t count = weight.getInteger("still").value_or(0))
      os << "<br><b>" << count << " of " << weight.getInteger("rows").value_or(0)
         << " units did not move in the last epoch: dead?</b>";
    os << "</p></figure>";
  }
  os << "</div>\n";
}

void Report::table() {
  if (epochs.empty())
    return;
  const json::Array *names = shown.getArray("classes");
  auto nameOf = [&](size_t i) {
    if (names && i < names->size())
      if (auto text = (*names)[i].getAsString())
        return escaped(*text);
    return std::to_string(i);
  };
  const json::Array *rows = nullptr;
  for (auto &[key, value] : epochs.back())
    if (StringRef(key).starts_with("table ") && !rows)
      rows = value.getAsArray();
  if (!rows)
    rows = shown.getArray("confusion");
  if (!rows || rows->size() > 60)
    return;
  os << "<h2>Confusion</h2><p>Rows are what is right, columns what the model said.</p>"
        "<table class=\"confusion\"><tr><td></td>";
  for (size_t i = 0; i < rows->size(); ++i)
    os << "<th>" << nameOf(i) << "</th>";
  os << "</tr>";
  for (auto [i, row] : enumerate(*rows)) {
    const json::Array *cells = row.getAsArray();
    double sum = 0;
    for (const json::Value &cell : cells ? *cells : json::Array())
      sum += cell.getAsNumber().value_or(0);
    os << "<tr><th>" << nameOf(i) << "</th>";
    for (auto [j, cell] : enumerate(cells ? *cells : json::Array())) {
      double count = cell.getAsNumber().value_or(0), part = sum ? count / sum : 0;
      os << formatv("<td style=\"background:rgba({0},{1:f3})\">{2}</td>",
                    i == j ? "58,143,92" : "209,73,91",
                    std::min(1.0, i == j ? part : 4 * part), shortNumber(count));
    }
    os << "</tr>";
  }
  os << "</table>\n";
}

static std::string imageOf(const json::Object &one, StringRef key) {
  auto png = one.getString(key);
  return png ? ("<img src=\"data:image/png;base64," + *png + "\">").str() : "";
}

/// The picture, the mask that is right, and the model's.
void Report::masks(const json::Object &one) {
  os << imageOf(one, "png") << imageOf(one, "wanted") << imageOf(one, "given")
     << "<p class=\"key\"><b>IoU " << shortNumber(one.getNumber("iou").value_or(0))
     << "</b>: the picture, what is right, what the model says";
}

void Report::boxes(const json::Object &one) {
  double width = 1, height = 1;
  if (const json::Array *size = one.getArray("size"); size && size->size() == 2) {
    width = std::max(1.0, (*size)[0].getAsNumber().value_or(1));
    height = std::max(1.0, (*size)[1].getAsNumber().value_or(1));
  }
  double line = std::max(width, height) / 150;
  os << formatv("<svg class=\"boxes\" viewBox=\"0 0 {0} {1}\">", shortNumber(width),
                shortNumber(height));
  if (auto png = one.getString("png"))
    os << formatv("<image width=\"{0}\" height=\"{1}\" "
                  "href=\"data:image/png;base64,{2}\"/>",
                  shortNumber(width), shortNumber(height), *png);
  const json::Array *list = one.getArray("boxes");
  for (const json::Value &value : list ? *list : json::Array()) {
    const json::Object *box = value.getAsObject();
    const json::Array *at = box ? box->getArray("at") : nullptr;
    if (!at || at->size() != 4)
      continue;
    auto edge = [&](size_t i) { return (*at)[i].getAsNumber().value_or(0); };
    StringRef how = box->getString("how").value_or("");
    os << formatv("<rect class=\"{0}\" x=\"{1:f1}\" y=\"{2:f1}\" width=\"{3:f1}\" "
                  "height=\"{4:f1}\" stroke-width=\"{5:f2}\"/>",
                  escaped(how), edge(0), edge(1), std::max(0.0, edge(2) - edge(0)),
                  std::max(0.0, edge(3) - edge(1)), line);
    // A wanted box that was found bears the name already.
    if (how == "wanted")
      continue;
    os << formatv("<text class=\"{0}\" x=\"{1:f1}\" y=\"{2:f1}\" "
                  "style=\"font-size:{3:f1}px\">{4}",
                  escaped(how), edge(0) + line, edge(1) + 8 * line, 8 * line,
                  escaped(box->getString("what").value_or("")));
    if (auto score = box->getNumber("score"))
      os << formatv(" {0:f2}", *score);
    os << "</text>";
  }
  os << formatv("</svg><p class=\"key\"><b>{0} of {1} found, {2} wrong</b>",
                shortNumber(one.getNumber("right").value_or(0)),
                shortNumber(one.getNumber("objects").value_or(0)),
                shortNumber(one.getNumber("wrong").value_or(0)));
}

void Report::pictures(StringRef key, StringRef title) {
  const json::Array *list = shown.getArray(key);
  if (!list || list->empty())
    return;
  os << "<h2>" << title << "</h2>";
  const json::Object *first = list->front().getAsObject();
  if (first && first->get("boxes"))
    os << "<p>Dashed is what is there, in orange where it was not found; green was found, "
          "red is found where no such thing is. What is found counts from the score on "
          "that serves all pictures best.</p>";
  if (const json::Array *legend = shown.getArray("legend")) {
    os << "<p class=\"key\">";
    for (const json::Value &value : *legend)
      if (const json::Array *pair = value.getAsArray(); pair && pair->size() == 2)
        os << "<i style=\"background:" << escaped((*pair)[1].getAsString().value_or(""))
           << "\"></i> " << escaped((*pair)[0].getAsString().value_or("")) << " ";
    os << "</p>";
  }
  os << "<div class=\"grid\">";
  for (const json::Value &value : *list) {
    const json::Object *one = value.getAsObject();
    if (!one)
      continue;
    bool hasMasks = one->get("wanted"), hasBoxes = one->get("boxes");
    os << "<figure class=\"" << (hasMasks ? "three" : hasBoxes ? "middle" : "small") << "\">";
    if (hasMasks)
      masks(*one);
    else if (hasBoxes)
      boxes(*one);
    else
      os << imageOf(*one, "png") << "<p class=\"key\"><b>"
         << escaped(one->getString("label").value_or("")) << "</b>, the model says "
         << escaped(one->getString("guess").value_or("")) << "<br>loss "
         << shortNumber(one->getNumber("loss").value_or(0));
    os << "<br>" << escaped(sys::path::filename(one->getString("name").value_or("")))
       << "</p></figure>";
  }
  os << "</div>\n";
}

std::string Report::write() {
  os << "<!doctype html><html><head><meta charset=\"utf-8\"><title>" << escaped(name)
     << "</title><style>"
        "body{font:15px/1.45 system-ui,sans-serif;max-width:1120px;margin:2em auto;"
        "padding:0 1em;color:#222}svg text{font:11px system-ui,sans-serif;fill:#555}"
        "figure{display:inline-block;width:520px;margin:0 16px 16px 0;"
        "vertical-align:top}figure.small{width:160px}figure.middle{width:240px}"
        "figure.three{width:348px}figure.three img{margin-right:4px}"
        "figcaption{font-weight:600}svg.boxes{width:240px;background:#eee;"
        "image-rendering:pixelated}svg.boxes rect{fill:none}"
        "svg.boxes text{font-weight:600;fill:#fff;stroke:#000;stroke-width:.18em;"
        "paint-order:stroke}rect.right{stroke:#2fbf5b}"
        "rect.wrong{stroke:#f0384a}svg text.wrong{fill:#f0384a}rect.wanted,rect.missed"
        "{stroke-dasharray:4 2;stroke:#fff}rect.missed{stroke:#ffa51f}"
        "svg text.missed{fill:#ffa51f}svg "
        "i{display:inline-block;width:1em;height:1em;vertical-align:-.15em}"
        "img{width:112px;height:112px;object-fit:contain;image-rendering:pixelated;"
        "background:#eee}.key{margin:2px 0;font-size:12px;color:#444;"
        "word-break:break-word}td,th{padding:2px 8px;text-align:right}"
        "td:first-child{text-align:left}.confusion td{min-width:2em}"
        "</style></head><body><h1>" << escaped(name) << "</h1>\n";
  overview();
  words();
  os << "<h2>Curves</h2>\n";
  curves();
  weights();
  table();
  pictures("mistakes", "The worst mistakes");
  pictures("doubtful", "Pictures of training whose labels look wrong");
  os << "</body></html>\n";
  return html;
}

static int report() {
  Report made;
  if (!made.read(folder))
    return 1;
  std::string path = output.empty() ? folder + "/report.html" : output.getValue();
  if (!checkWritable(path))
    return 1;
  if (!writeWhole(path, made.write()))
    return !fail("can't write " + path + ": " + strerror(errno));
  outs() << path << "\n";
  return 0;
}

} // namespace halcyon
