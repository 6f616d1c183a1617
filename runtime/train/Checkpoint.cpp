//===- Checkpoint.cpp - Weights and where training stands, in files -------===//
//
// `state.safetensors` holds all that a run needs to go on as if it had never
// stopped: weights, slots, averages, and the place as a note. The other files
// are weights alone, as `compile` takes them: of models that are trained in turn
// one for each.
//
//===----------------------------------------------------------------------===//

#include "Trainer.h"

namespace halcyon::train {

void Trainer::saveWeights(const std::string &name) {
  State *averaged = averagedWeights();
  std::map<std::string, std::map<std::string, const Tensor *>> files;
  for (auto &[weight, tensor] : (averaged ? *averaged : model.weights).get()) {
    std::string into = name, own = weight;
    for (const std::string player : plan.value("models", Json::array()))
      if (weight.starts_with(player + ".")) {
        into = player + "-" + name;
        own = weight.substr(player.size() + 1);
      }
    files[into][own] = &tensor;
  }
  for (auto &[path, tensors] : files)
    writeSafetensors(file(path), tensors);
}

/// Where saveWeights writes, for people.
std::string Trainer::weightFiles(const std::string &name) const {
  std::string text;
  for (const std::string player : plan.value("models", Json::array()))
    text += (text.empty() ? "" : ", ") + file(player + "-" + name);
  return text.empty() ? file(name) : text;
}

void Trainer::saveState() {
  std::map<std::string, const Tensor *> tensors;
  for (auto &[name, tensor] : model.weights.get())
    tensors[name] = &tensor;
  for (auto &[name, tensor] : model.slots.get())
    tensors["slot:" + name] = &tensor;
  for (auto &[name, tensor] : averages.get())
    tensors["average:" + name] = &tensor;
  Json note = {{"epoch", place.epoch},       {"batch", place.batch},
               {"step", place.step},         {"best", place.best},
               {"anyBest", place.anyBest},   {"kept", place.kept},
               {"anyKept", place.anyKept},   {"waited", place.waited},
               {"averaged", place.averaged}, {"seconds", place.seconds + now() - started},
               {"seed", options.seed},       {"images", batchSize},
               {"epochs", epochs},           {"rate", rate->state()},
               {"sums", {soFar.loss, soFar.images, soFar.turns, soFar.squares}}};
  for (auto &metric : metrics)
    note["metrics"].push_back(metric->state());
  writeSafetensors(file("state.safetensors"), tensors, {{"training", note.dump()}});
  lastSaved = now();
}

void Trainer::loadState() {
  std::string path = file("state.safetensors");
  TensorFile state = readSafetensors(path);
  Json note = Json::parse(state.notes["training"], nullptr, false);
  if (!note.is_object() || !note.contains("sums"))
    throw Failure(path + ": it is no training's state");
  auto take = [&](State &into, const std::string &prefix) {
    for (auto &[name, tensor] : into.change()) {
      auto found = state.tensors.find(prefix + name);
      if (found == state.tensors.end() || found->second.shape != tensor.shape ||
          found->second.element != tensor.element)
        throw Failure(path + ": it is of another model: there is no '" + prefix + name +
                      "' of this shape");
      std::copy_n(found->second.data(), tensor.bytes(), tensor.data());
    }
  };
  take(model.weights, "");
  take(model.slots, "slot:");
  take(averages, "average:");
  place.epoch = note.at("epoch");
  place.batch = note.at("batch");
  place.step = note.at("step");
  place.best = note.at("best");
  place.anyBest = note.at("anyBest");
  place.kept = note.at("kept");
  place.anyKept = note.at("anyKept");
  place.waited = note.at("waited");
  place.averaged = note.at("averaged");
  place.seconds = note.at("seconds");
  rate->restore(note.at("rate"));
  // What the epoch came to before counts with what follows.
  const Json &sums = note.at("sums");
  soFar = {numberOf(sums.at(0)), numberOf(sums.at(1)), sums.at(2), {}};
  for (auto &[name, sum] : sums.at(3).items())
    soFar.squares[name] = numberOf(sum);
  for (size_t i = 0; i < metrics.size(); ++i)
    metrics[i]->restore(note.at("metrics").at(i));
  auto same = [&](const char *name, uint64_t ours) {
    if (note.at(name) != ours)
      throw Failure(path + ": that run had " + std::string(name) + " " +
                    note.at(name).dump() + ", this one has " + std::to_string(ours));
  };
  same("seed", options.seed);
  same("images", batchSize);
}

} // namespace halcyon::train
