//===- Loader.cpp - Batches, made ahead of the step -----------------------===//

#include "Loader.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace halcyon::train {

size_t DataInput::size() const {
  size_t count = 1;
  for (int64_t size : shape)
    count *= size_t(size);
  return count;
}

/// A session of the evaluating program, for its pictures' sake.
class Loader::Preparer {
public:
  Preparer(const halcyon_program *program, int32_t input) : input(uint32_t(input)) {
    halcyon_options options = {};
    options.threads = 1;
    options.flags = HALCYON_NO_PINNING;
    halcyon_error error;
    if (halcyon_session_create(program, &options, &session, &error))
      throw Failure(error.text);
  }
  ~Preparer() { halcyon_session_destroy(session); }

  void run(const Raw &raw, void *out) {
    halcyon_picture picture = {raw.bytes.data(), uint32_t(raw.width),
                               uint32_t(raw.height), uint32_t(raw.channels), 0};
    if (halcyon_session_prepare_image(session, input, &picture, out))
      throw Failure(halcyon_session_error(session));
  }

private:
  halcyon_session *session = nullptr;
  uint32_t input;
};

Loader::Loader(std::shared_ptr<const Dataset> dataset, Pipeline steps,
               std::vector<DataInput> filled, LoaderOptions how)
    : data(std::move(dataset)), pipeline(std::move(steps)), inputs(std::move(filled)),
      options(how) {
  if (options.training && data->size() < options.batch)
    throw Failure("the data have " + std::to_string(data->size()) +
                  " images, which is less than a batch of " +
                  std::to_string(options.batch));
  if (!options.balanced)
    return;
  for (size_t i = 0; i < data->size(); ++i) {
    int32_t label = data->label(i);
    if (label < 0)
      throw Failure("balanced=true needs data with classes");
    byClass.resize(std::max(byClass.size(), size_t(label) + 1));
    byClass[size_t(label)].push_back(uint32_t(i));
  }
  std::erase_if(byClass, [](const auto &members) { return members.empty(); });
}

Loader::~Loader() { stop(); }

uint64_t Loader::batches() const {
  uint64_t images = data->size();
  return options.training ? images / options.batch
                          : (images + options.batch - 1) / options.batch;
}

void Loader::stop() {
  {
    std::lock_guard lock(mutex);
    stopping = true;
  }
  taken.notify_all();
  for (std::thread &thread : threads)
    thread.join();
  threads.clear();
}

/// The samples of an epoch in their order.
void Loader::choose() {
  if (!options.training) {
    order.resize(data->size());
    for (size_t i = 0; i < order.size(); ++i)
      order[i] = uint32_t(i);
    return;
  }
  order = permutation(data->size(), Random(options.seed, Random::Shuffle, epoch));
  if (byClass.empty())
    return;
  // Class after class, in an order of each round's own; of a class any sample.
  for (size_t i = 0; i < order.size(); i += byClass.size()) {
    Random random(options.seed, Random::Shuffle, epoch, 1 + i);
    std::vector<uint32_t> round = permutation(byClass.size(), random);
    for (size_t k = 0; k < round.size() && i + k < order.size(); ++k) {
      const std::vector<uint32_t> &members = byClass[round[k]];
      Random draw(options.seed, Random::Shuffle, epoch, ~uint64_t(i + k));
      order[i + k] = members[draw.below(members.size())];
    }
  }
}

void Loader::begin(uint64_t which, uint64_t firstBatch) {
  stop();
  epoch = which;
  choose();
  stopping = holding = false;
  nextToMake = nextToTake = firstBatch;
  slots.clear();
  slots.resize(options.threads + 2);
  for (unsigned i = 0; i < options.threads; ++i)
    threads.emplace_back([this] { work(); });
}

void Loader::work() {
  std::unique_ptr<Preparer> preparer;
  std::string broken;
  try {
    for (const DataInput &input : inputs) {
      int32_t index = options.preparer
                          ? halcyon_program_find_input(options.preparer, input.name.c_str())
                          : -1;
      if (index >= 0 && options.preparer->inputs[index].image_function >= 0 &&
          !options.training && pipeline.steps.empty())
        preparer = std::make_unique<Preparer>(options.preparer, index);
    }
  } catch (const std::exception &failure) {
    broken = failure.what();
  }
  std::unique_lock lock(mutex);
  while (true) {
    taken.wait(lock, [&] {
      return stopping || nextToMake >= batches() ||
             nextToMake < nextToTake + slots.size();
    });
    if (stopping || nextToMake >= batches())
      return;
    uint64_t number = nextToMake++;
    Slot &slot = slots[number % slots.size()];
    slot.number = number;
    slot.ready = false;
    lock.unlock();
    slot.batch.failure = broken;
    try {
      if (broken.empty())
        make(slot.batch, number, preparer.get());
    } catch (const std::exception &failure) {
      slot.batch.failure = failure.what();
    }
    lock.lock();
    slot.ready = true;
    made.notify_all();
  }
}

Batch *Loader::next() {
  std::unique_lock lock(mutex);
  if (holding) {
    holding = false;
    ++nextToTake;
    taken.notify_all();
  }
  if (nextToTake >= batches())
    return nullptr;
  Slot &slot = slots[nextToTake % slots.size()];
  made.wait(lock, [&] { return slot.ready && slot.number == nextToTake; });
  slot.ready = false;
  holding = true;
  if (!slot.batch.failure.empty())
    throw Failure(slot.batch.failure);
  return &slot.batch;
}

//===----------------------------------------------------------------------===//
// One batch
//===----------------------------------------------------------------------===//

void Loader::make(Batch &batch, uint64_t number, Preparer *preparer) const {
  uint64_t first = number * options.batch;
  batch.images = uint32_t(std::min<uint64_t>(options.batch, order.size() - first));
  batch.indices.assign(order.begin() + long(first),
                       order.begin() + long(first + batch.images));
  if (batch.inputs.empty())
    for (const DataInput &input : inputs) {
      std::vector<int64_t> shape = {int64_t(options.batch)};
      shape.insert(shape.end(), input.shape.begin(), input.shape.end());
      batch.inputs[input.name] = Tensor(input.element, shape);
    }
  for (uint32_t place = 0; place < batch.images; ++place)
    fill(batch, place, batch.indices[place], preparer);
  if (options.training && pipeline.mixing.kind != Mixing::None)
    mix(batch, number);
}

/// How a picture becomes the input where no augmentation said so.
static void normalize(Picture &picture, const Json &image) {
  double scale = image.at("scale").get<double>() * 255;
  std::vector<float> mean, deviation;
  // (scale v - mean) / deviation.
  for (double value : image.at("mean"))
    mean.push_back(float(value / scale));
  for (double value : image.at("std"))
    deviation.push_back(float(value / scale));
  normalize(picture, mean, deviation);
}

/// Scales and cuts a picture to the input's size, as the input's `image` says.
static void fit(Sample &sample, const DataInput &input) {
  if (input.shape.size() != 3)
    return;
  int height = int(input.shape[1]), width = int(input.shape[2]);
  Picture &picture = sample.picture;
  if (picture.height == height && picture.width == width)
    return;
  double h = picture.height, w = picture.width;
  if (!input.image.is_object() || !input.image.contains("resize"))
    return resample(sample, {0, 0, h, w}, height, width);
  double factor = input.image["resize"].get<double>() / std::min(h, w);
  resample(sample, {0, 0, h, w}, int(std::lround(h * factor)),
           int(std::lround(w * factor)));
  cut(sample, (picture.height - height) / 2, (picture.width - width) / 2, height, width);
}

void Loader::fill(Batch &batch, uint32_t place, uint32_t index,
                  Preparer *preparer) const {
  Raw raw = data->read(index);
  try {
    Sample sample;
    sample.label = raw.label;
    sample.mask = raw.mask;
    sample.boxes = raw.boxes;
    if (preparer && !raw.bytes.empty() && raw.mask.empty() && raw.boxes.empty()) {
      for (const DataInput &input : inputs)
        if (input.image.is_object()) {
          Tensor &tensor = batch.inputs.at(input.name);
          preparer->run(raw, tensor.data() + place * input.size() *
                                                 bytesOf(input.element));
        }
    } else {
      if (raw.bytes.empty()) {
        sample.picture = Picture(raw.channels, raw.height, raw.width);
        sample.picture.values = raw.numbers;
      } else {
        sample.picture =
            decoded(raw.bytes.data(), raw.channels, raw.height, raw.width);
      }
      if (options.training || !pipeline.steps.empty()) {
        Random random(options.seed, Random::Augment, epoch, index);
        pipeline.apply(sample, random);
      }
    }
    put(sample, raw, batch, place);
    for (const DataInput &input : inputs)
      if (input.name == "noise") {
        Random random(options.seed, Random::Noise, epoch, index);
        Tensor &tensor = batch.inputs.at(input.name);
        for (size_t i = 0, at = place * input.size(); i < input.size(); ++i)
          tensor.set(at + i, random.normal());
      }
  } catch (const Failure &failure) {
    throw Failure(data->name(index) + ": " + failure.what());
  }
}

void Loader::put(const Sample &made, const Raw &raw, Batch &batch,
                 uint32_t place) const {
  Sample sample = made;
  // The picture input first: it decides the mask's size.
  for (const DataInput &input : inputs)
    if (input.image.is_object() && !sample.picture.values.empty()) {
      fit(sample, input);
      if (!sample.normalized && !raw.bytes.empty())
        normalize(sample.picture, input.image);
    }
  for (const DataInput &input : inputs) {
    Tensor &tensor = batch.inputs.at(input.name);
    size_t count = input.size(), at = place * count;
    auto copy = [&](const auto &values, const char *what) {
      if (values.size() != count)
        throw Failure("input '" + input.name + "' takes " + std::to_string(count) +
                      " numbers, and the " + what + " has " +
                      std::to_string(values.size()));
      if (tensor.element == Element::F32)
        std::copy_n(values.data(), count, tensor.as<float>() + at);
      else
        for (size_t i = 0; i < count; ++i)
          tensor.set(at + i, double(values[i]));
    };
    // Not mixed, until it is.
    if (input.name == "label.share") {
      tensor.set(at, 1);
      continue;
    }
    if (input.name == "noise")
      continue;
    if (input.name == "boxes" && input.shape.size() == 2 && raw.target.empty()) {
      for (size_t i = 0; i < count; ++i)
        tensor.set(at + i, i % 5 == 4 ? -1 : 0);
      for (const Marked &box : sample.boxes) {
        for (double value : {box.left, box.top, box.right, box.bottom, double(box.kind)})
          tensor.set(at++, value);
      }
      continue;
    }
    bool isLabel = input.name == "label" || input.name == "label.mixed";
    if (isLabel && count == 1 && raw.target.size() <= 1)
      tensor.set(at, raw.target.empty() ? sample.label : raw.target[0]);
    else if (input.name == "mask")
      copy(sample.mask, "mask");
    else if (isLabel || input.name == "target")
      copy(raw.target, "label");
    else if (!sample.picture.values.empty())
      copy(sample.picture.values, "picture");
  }
}

/// Zhang et al., 2018, and Yun et al., 2019. The other label and the part of the
/// first one are inputs, so that any loss is mixed like the images.
void Loader::mix(Batch &batch, uint64_t number) const {
  Random random(options.seed, Random::Mix, epoch, number);
  std::vector<uint32_t> partner = permutation(batch.images, random);
  double part = random.beta(pipeline.mixing.alpha);
  for (const DataInput &input : inputs) {
    if (!input.image.is_object() || input.shape.size() != 3)
      continue;
    int64_t c = input.shape[0], h = input.shape[1], w = input.shape[2];
    int64_t y0 = 0, y1 = h, x0 = 0, x1 = w;
    bool cutmix = pipeline.mixing.kind == Mixing::Cutmix;
    if (cutmix) {
      double edge = std::sqrt(1 - part);
      int64_t cy = int64_t(random.below(uint64_t(h))), cx = int64_t(random.below(uint64_t(w)));
      y0 = std::max<int64_t>(0, cy - int64_t(edge * double(h) / 2));
      y1 = std::min<int64_t>(h, cy + int64_t(edge * double(h) / 2));
      x0 = std::max<int64_t>(0, cx - int64_t(edge * double(w) / 2));
      x1 = std::min<int64_t>(w, cx + int64_t(edge * double(w) / 2));
      part = 1 - double((y1 - y0) * (x1 - x0)) / double(h * w);
    }
    Tensor &tensor = batch.inputs.at(input.name);
    size_t size = input.size();
    std::vector<float> before(batch.images * size);
    for (size_t i = 0; i < before.size(); ++i)
      before[i] = float(tensor.at(i));
    std::vector<float> after = before;
    for (uint32_t n = 0; n < batch.images; ++n)
      mixPictures(before.data() + n * size, before.data() + partner[n] * size,
                  after.data() + n * size, int(c), int(h), int(w),
                  cutmix ? 0 : float(part),
                  {int(y0), int(x0), int(y1 - y0), int(x1 - x0)});
    for (size_t i = 0; i < after.size(); ++i)
      tensor.set(i, double(after[i]));
  }
  auto label = batch.inputs.find("label"), other = batch.inputs.find("label.mixed"),
       share = batch.inputs.find("label.share");
  if (label == batch.inputs.end() || other == batch.inputs.end() ||
      share == batch.inputs.end())
    return;
  for (uint32_t n = 0; n < batch.images; ++n) {
    other->second.set(n, label->second.at(partner[n]));
    share->second.set(n, part);
  }
}

} // namespace halcyon::train
