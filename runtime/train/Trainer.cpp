//===- Trainer.cpp - The loop ---------------------------------------------===//

#include "Trainer.h"
#include "Initialize.h"

#include <algorithm>
#include <cmath>

namespace halcyon::train {

volatile bool interrupted = false;

/// A run that is killed loses no more than this, nor an epoch.
static constexpr double secondsBetweenStates = 300;

Trainer::Trainer(const halcyon_trainer &trainer, const TrainerOptions &how)
    : options(how), plan(Json::parse(trainer.plan)),
      model(trainer, plan, how.threads),
      batchSize(uint32_t(how.batch ? how.batch : plan.at("batch").get<int64_t>())),
      epochs(uint64_t(how.epochs ? how.epochs : plan.at("epochs").get<int64_t>())) {
  for (const Json &entry : plan.value("metrics", Json::array()))
    metrics.push_back(makeMetric(entry));
  for (const Json &turn : plan.value("turns", Json::array()))
    turnNames.push_back(turn.at("name"));
  openData();
  rate = std::make_unique<Rate>(plan.at("rate"), loader->batches(),
                                loader->batches() * epochs);
  startWeights();
}

//===----------------------------------------------------------------------===//
// Before the first step
//===----------------------------------------------------------------------===//

std::shared_ptr<Dataset> Trainer::openSource(const Json &chain, bool validation) {
  Json call = chain.at(0);
  const std::string &instead = validation ? options.validate : options.data;
  if (!instead.empty())
    call["path"] = instead;
  Wanted wanted;
  wanted.validation = validation;
  for (const DataInput &input : model.inputs)
    if (input.shape.size() == 3 && wanted.channels == 0)
      wanted.channels = int(input.shape[0]);
  return openDataset(call, wanted);
}

void Trainer::openData() {
  const Json &data = plan.at("data");
  training = openSource(data, false);
  Json chain = plan.value("validate", Json());
  if (chain.is_array() && chain.at(0).at("call") == "split") {
    std::vector<uint32_t> order =
        permutation(training->size(), Random(options.seed, Random::Split, 0));
    size_t part = size_t(chain[0].at("part").get<double>() * double(order.size()));
    validation = subset(training, {order.begin(), order.begin() + long(part)});
    training = subset(training, {order.begin() + long(part), order.end()});
  } else if (chain.is_array()) {
    validation = openSource(chain, true);
  }
  LoaderOptions how;
  how.batch = batchSize;
  how.seed = options.seed;
  how.threads = std::max(options.dataThreads, 1u);
  how.balanced = data[0].value("balanced", false);
  loader = std::make_unique<Loader>(training, Pipeline::of(data), model.inputs, how);
  if (!validation)
    return;
  how.training = how.balanced = false;
  how.preparer = model.trainer.eval;
  validationLoader =
      std::make_unique<Loader>(validation, Pipeline::of(chain), model.inputs, how);
}

void Trainer::startWeights() {
  Json init = plan.value("init", Json::array());
  std::set<std::string> zeroed;
  if (plan.contains("last_norms"))
    zeroed = plan["last_norms"].get<std::set<std::string>>();
  Tensors &weights = model.weights.change();
  for (auto &[name, tensor] : weights)
    initialize(tensor, name, init, zeroed, options.seed);
  if (plan.contains("average"))
    for (auto &[name, tensor] : weights)
      averages.change()[name] = Tensor(tensor.element, tensor.shape);
  std::string from = options.weights;
  std::set<std::string> except;
  if (plan.contains("from")) {
    if (from.empty())
      from = plan["from"].at("path");
    except = plan["from"].at("except").get<std::set<std::string>>();
  }
  auto take = [&](const TensorFile &file, const std::string &path,
                  const std::string &name, Tensor &tensor, const std::string &hint) {
    auto found = file.tensors.find(name);
    if (found == file.tensors.end())
      throw Failure(path + ": there is no weight '" + name + "'" + hint);
    if (found->second.shape != tensor.shape)
      throw Failure(path + ": '" + name + "' has another shape than the model's");
    for (size_t i = 0, count = tensor.size(); i < count; ++i)
      tensor.set(i, found->second.at(i));
  };
  for (const Json &part : plan.value("from_parts", Json::array())) {
    std::string path = part.at("path"), prefix = part.at("part");
    TensorFile file = readSafetensors(path);
    for (const std::string name : part.at("weights")) {
      std::string whole = prefix + "." + name;
      take(file, path, name, weights.at(whole), "");
      except.insert(whole);
    }
  }
  if (from.empty())
    return;
  TensorFile file = readSafetensors(from);
  for (auto &[name, tensor] : weights)
    if (!except.contains(name))
      take(file, from, name, tensor,
           "; write 'from ... except " + name + "' to begin it anew");
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

/// Rates of parts, and of parts that are frozen for now.
void Trainer::setScalars() {
  Scalars &scalars = model.scalars;
  scalars["train.rate"] = currentRate;
  scalars["train.step"] = double(place.step + 1);
  scalars["train.seed"] = double(options.seed & 0x7fffffff);
  // Named: a range-based for does not keep what items() is called on.
  const Json thaw = plan.value("thaw", Json::object()),
             rates = plan.value("rates", Json::object());
  for (auto &[name, how] : rates.items()) {
    double own = how.at("scale").get<double>() * currentRate +
                 how.at("offset").get<double>();
    if (place.epoch + 1 < thaw.value(name, uint64_t(0)))
      own = 0;
    scalars["rate:" + name] = own;
  }
}

/// The batch's mean loss.
static double meanOf(const Tensors &outputs, const std::string &name, uint32_t images) {
  auto found = outputs.find(name);
  if (found == outputs.end())
    throw Failure("the program computes no '" + name + "'");
  const Tensor &loss = found->second;
  size_t count = std::min<size_t>(loss.size(), images);
  double sum = 0;
  for (size_t i = 0; i < count; ++i)
    sum += loss.at(i);
  return sum / double(std::max<size_t>(count, 1));
}

/// The step of each turn. Gives the loss, of several models the sum of theirs.
double Trainer::trainOn(const Batch &batch, Sums &sums, Json *line) {
  double loss = 0;
  for (size_t turn = 0; turn < model.turns(); ++turn) {
    const Tensors &outputs = model.step(batch, turn);
    double own = meanOf(outputs, "loss", batch.images);
    loss += own;
    std::string name = turnNames.empty() ? "" : turnNames[turn];
    if (!name.empty())
      sums.turns["loss " + name] += own * batch.images;
    if (line && !name.empty())
      (*line)["loss " + name] = own;
    if (auto norm = outputs.find("train.norm"); line && norm != outputs.end())
      (*line)[name.empty() ? "norm" : "norm " + name] = norm->second.at(0);
    for (auto &[output, value] : outputs)
      if (output.starts_with("squares:"))
        sums.squares[output.substr(8)] += value.at(0) * batch.images;
    if (!std::isfinite(own))
      break;
    if (line && turn + 1 == model.turns())
      addMetrics(outputs, batch);
  }
  sums.loss += loss * batch.images;
  sums.images += batch.images;
  return loss;
}

double Trainer::evaluateOn(const Batch &batch, Sums &sums) {
  const Tensors &outputs = model.evaluate(batch, averagedWeights());
  double loss = 0;
  for (const std::string &turn : turnNames) {
    double own = meanOf(outputs, "loss:" + turn, batch.images);
    sums.turns["loss " + turn] += own * batch.images;
    loss += own;
  }
  if (turnNames.empty())
    loss = meanOf(outputs, "loss", batch.images);
  sums.loss += loss * batch.images;
  sums.images += batch.images;
  addMetrics(outputs, batch);
  return loss;
}

void Trainer::addMetrics(const Tensors &outputs, const Batch &batch) {
  for (auto &metric : metrics) {
    std::vector<const Tensor *> values;
    auto take = [&](const std::string &name) {
      if (auto value = outputs.find(name); value != outputs.end())
        values.push_back(&value->second);
    };
    take(metric->value);
    for (const std::string &name : metric->more)
      take(name);
    auto right = batch.inputs.find(metric->right);
    if (values.size() == 1 + metric->more.size())
      metric->addAll(values, right == batch.inputs.end() ? nullptr : &right->second,
                     batch.images);
  }
}

void Trainer::average() {
  for (const Json &how : plan.value("average", Json::array())) {
    bool ema = how.at("call") == "ema";
    bool first = place.averaged == 0;
    // Over epochs the mean is of what each ends with.
    if (!ema && (place.batch != 0 || place.epoch < how.at("start").get<double>()))
      continue;
    double kept = first ? 0
                  : ema ? how.at("decay").get<double>()
                        : 1 - 1 / double(place.averaged + 1);
    const Tensors &weights = model.weights.get();
    for (auto &[name, tensor] : averages.change()) {
      const Tensor &now = weights.at(name);
      for (size_t i = 0, count = tensor.size(); i < count; ++i)
        tensor.set(i, kept * tensor.at(i) + (1 - kept) * now.at(i));
    }
    ++place.averaged;
  }
}

State *Trainer::averagedWeights() {
  return place.averaged ? &averages : nullptr;
}

/// What is wrong with the data costs no step.
Batch *Trainer::nextBatch() {
  try {
    return loader->next();
  } catch (const Failure &) {
    saveState();
    throw;
  }
}

void Trainer::takeStep(Batch &batch) {
  currentRate = rate->at(place.step);
  setScalars();
  Json line = {{"step", place.step + 1}, {"rate", currentRate}};
  double loss = line["loss"] = trainOn(batch, soFar, &line);
  if (!std::isfinite(loss))
    throw Failure(std::string("the loss is ") + (std::isnan(loss) ? "NaN" : "infinite") +
                  " at a rate of " + std::to_string(currentRate) +
                  "; the state before is in " + file("state.safetensors"));
  ++place.step;
  ++place.batch;
  if (place.batch == loader->batches()) {
    place.batch = 0;
    ++place.epoch;
  }
  average();
  log->entry(line);
}

Standing Trainer::standing(const Sums &sums) const {
  Standing result;
  result.epochs = epochs;
  result.batches = loader->batches();
  result.loss = sums.meanLoss();
  result.rate = currentRate;
  for (auto &[name, sum] : sums.turns)
    result.metrics.push_back({name, sums.images ? sum / sums.images : 0});
  for (auto &metric : metrics)
    result.metrics.push_back({metric->name, metric->result()});
  result.imagesPerSecond = speed;
  return result;
}

Standing Trainer::validate() {
  for (auto &metric : metrics)
    metric->clear();
  Sums sums;
  validationLoader->begin(0);
  while (Batch *batch = validationLoader->next())
    evaluateOn(*batch, sums);
  return standing(sums);
}

double Trainer::metricOf(const std::string &name, const Standing &standing,
                         bool &larger) const {
  larger = false;
  for (auto &metric : metrics)
    if (metric->name == name)
      larger = metric->larger;
  for (auto &[known, value] : standing.metrics)
    if (known == name)
      return value;
  return standing.loss;
}

/// After the last step of an epoch. False where training is over.
bool Trainer::endEpoch(const Sums &sums, double seconds) {
  Standing trained = standing(sums);
  trained.epoch = place.epoch;
  std::optional<Standing> validated;
  Json line = {{"epoch", place.epoch}, {"seconds", seconds}, {"loss", trained.loss}};
  for (auto &[name, value] : trained.metrics)
    line[name] = value;
  if (validationLoader) {
    validated = validate();
    line["val loss"] = validated->loss;
    for (auto &[name, value] : validated->metrics)
      line["val " + name] = value;
    for (auto &metric : metrics)
      if (Json table = metric->table(); table.is_array())
        line["table " + metric->name] = table;
  }
  line["weights"] = reviewWeights(sums);
  log->entry(line);
  log->epoch(trained, validated ? &*validated : nullptr, seconds);
  const Standing &judged = validated ? *validated : trained;

  bool larger;
  double watched = metricOf(rate->metric(), judged, larger);
  rate->hear(watched, larger);
  auto better = [&](double value, double best, bool any) {
    return !any || (larger ? value > best : value < best);
  };
  bool goesOn = true;
  for (const Json &stop : plan.value("stop", Json::array())) {
    double value = metricOf(stop.at("metric"), judged, larger);
    place.waited = better(value, place.best, place.anyBest) ? 0 : place.waited + 1;
    if (place.waited == 0)
      place.best = value;
    place.anyBest = true;
    if (place.waited >= stop.at("epochs").get<int64_t>()) {
      log->say("no better for " + std::to_string(place.waited) + " epochs: that is all");
      goesOn = false;
    }
  }
  for (const Json &keep : plan.value("keep", Json::array())) {
    if (keep.at("call") != "best")
      continue;
    double value = metricOf(keep.at("metric"), judged, larger);
    if (!better(value, place.kept, place.anyKept))
      continue;
    place.kept = value;
    place.anyKept = true;
    saveWeights("best.safetensors");
  }
  for (auto &metric : metrics)
    metric->clear();
  soFar = {};
  saveState();
  return goesOn;
}

//===----------------------------------------------------------------------===//
// The loop
//===----------------------------------------------------------------------===//

bool Trainer::run() {
  makeFolder(options.folder);
  if (options.resume)
    loadState();
  log = std::make_unique<Log>(file("log.jsonl"), place.step, options.quiet);
  writeWhole(file("plan.json"), plan.dump(1) + "\n");
  size_t trained = 0;
  for (auto &[name, tensor] : model.weights.get())
    trained += model.changes(name) ? tensor.size() : 0;
  log->say(std::to_string(training->size()) + " images" +
           (validation ? ", " + std::to_string(validation->size()) + " to validate" : "") +
           "; " + std::to_string(trained) + " weights; batches of " +
           std::to_string(batchSize) + "; threads: " + std::to_string(model.threads()) +
           "; memory: " + std::to_string((model.bytes(batchSize) + (1 << 20) - 1) >> 20) +
           " MB");
  started = lastSaved = now();
  if (!options.resume)
    saveState();
  try {
    trainEpochs();
  } catch (const Failure &failure) {
    throw Failure("epoch " + std::to_string(place.epoch + 1) + ", step " +
                  std::to_string(place.step + 1) + ": " + failure.what());
  }
  saveWeights("last.safetensors");
  if (options.profile)
    model.printProfile();
  if (interrupted) {
    log->say("interrupted at step " + std::to_string(place.step) +
             "; --resume goes on from there");
    return false;
  }
  if (options.steps && place.step >= options.steps)
    return true;
  reviewPictures();
  log->say("weights are in " + weightFiles("last.safetensors") +
           (place.anyKept ? " and " + weightFiles("best.safetensors") : ""));
  return true;
}

/// Until the last epoch, the last step that is asked for, or an interruption.
void Trainer::trainEpochs() {
  const uint64_t perEpoch = loader->batches(), all = perEpoch * epochs;
  const uint64_t firstStep = place.step;
  auto ends = [&] {
    return interrupted || (options.steps && place.step >= options.steps);
  };
  bool goesOn = place.epoch < epochs;
  while (goesOn) {
    uint64_t epoch = place.epoch;
    double begun = now(), imagesBefore = soFar.images;
    loader->begin(epoch, place.batch);
    while (Batch *batch = nextBatch()) {
      takeStep(*batch);
      double elapsed = now() - begun;
      speed = elapsed > 0 ? (soFar.images - imagesBefore) / elapsed : 0;
      Standing shown = standing(soFar);
      shown.epoch = epoch + 1;
      shown.batch = place.batch ? place.batch : perEpoch;
      double each = (now() - started) / double(place.step - firstStep);
      shown.secondsLeft = each * double(all - place.step);
      log->progress(shown);
      // The state behind an epoch's last step is saved when the epoch has been judged.
      bool within = place.batch != 0;
      for (const Json &keep : plan.value("keep", Json::array())) {
        if (keep.at("call") != "every")
          continue;
        const Json &time = keep.at("time");
        double every = time.contains("steps")
                           ? time["steps"].get<double>()
                           : time.at("epochs").get<double>() * double(perEpoch);
        if (std::floor(double(place.step) / every) >
            std::floor(double(place.step - 1) / every)) {
          saveWeights("step-" + std::to_string(place.step) + ".safetensors");
          if (within)
            saveState();
        }
      }
      // The first step finds its memory cold.
      if (options.profile && place.step == firstStep + 1)
        model.startProfile();
      if (within && ends())
        return saveState();
      if (within && now() - lastSaved > secondsBetweenStates)
        saveState();
    }
    goesOn = endEpoch(soFar, now() - begun) && place.epoch < epochs && !ends();
  }
}

} // namespace halcyon::train
