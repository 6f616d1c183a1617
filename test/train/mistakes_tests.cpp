//===- mistakes_tests.cpp - What a report shows of a model's mistakes -----===//

#include "check.h"
#include "train/Mistakes.h"

using namespace halcyon::train;

namespace {

/// Pictures of which only the names count.
struct Names : Dataset {
  explicit Names(size_t count) : count(count) { classes = {"ground", "cat", "dog"}; }
  size_t size() const override { return count; }
  Raw read(size_t) const override { return {}; }
  std::string name(size_t index) const override { return std::to_string(index); }
  size_t count;
};

Tensor tensorOf(std::vector<int64_t> shape, std::vector<double> values) {
  Tensor tensor(Element::F32, std::move(shape));
  for (size_t i = 0; i < values.size(); ++i)
    tensor.set(i, values[i]);
  return tensor;
}

/// The judge of a metric that has heard of a batch; `look` gets it, and how an image
/// of the batch is shown.
template <typename Look>
void judged(const Json &entry, const Tensors &outputs, Batch &batch, Look look) {
  batch.images = uint32_t(batch.indices.size());
  std::vector<std::unique_ptr<Metric>> metrics;
  metrics.push_back(makeMetric(entry));
  std::unique_ptr<Judge> judge = makeJudge(metrics, outputs, batch);
  CHECK(judge != nullptr);
  if (!judge)
    return;
  Names data(batch.images);
  for (uint32_t n = 0; n < batch.images; ++n)
    judge->hear({outputs, batch, n, data});
  judge->finish();
  look(*judge, [&](uint32_t n) {
    Json shown;
    judge->show({outputs, batch, n, data}, shown);
    return shown;
  });
}

} // namespace

void worstClassesComeFirst() {
  Tensors outputs;
  outputs["scores"] = tensorOf({3, 2}, {2, 1, /**/ 3, 1, /**/ 0, 5});
  outputs["loss"] = tensorOf({3}, {0.3, 2.5, 4.5});
  Batch batch;
  batch.indices = {0, 1, 2};
  batch.inputs["label"] = tensorOf({3}, {0, 1, 0});
  Json entry = {{"call", "accuracy"}, {"k", 1},          {"name", "m"},
                {"value", "scores"},  {"right", "label"}};
  judged(entry, outputs, batch, [](Judge &judge, auto show) {
    CHECK(judge.worst(5) == std::vector<uint32_t>{2, 1});
    CHECK(judge.worst(1) == std::vector<uint32_t>{2});
    CHECK(show(2)["label"] == "ground" && show(2)["guess"] == "cat");
    Json about;
    judge.describe(Names(3), about);
    CHECK(about["confusion"] == Json({{1, 1}, {1, 0}}));
  });
}

void worstMasksComeFirst() {
  // Two pictures of 1 x 4 pixels: one pixel is wrong, all are.
  Tensors outputs;
  outputs["scores"] = tensorOf({2, 2, 1, 4}, {1, 1, 0, 0, /**/ 0, 0, 1, 1,
                                              1, 1, 1, 1, /**/ 0, 0, 0, 0});
  Batch batch;
  batch.indices = {0, 1};
  batch.inputs["mask"] = tensorOf({2, 1, 4}, {0, 1, 1, -1, 1, 1, 1, 1});
  Json entry = {{"call", "iou"}, {"name", "m"}, {"value", "scores"}, {"right", "mask"}};
  judged(entry, outputs, batch, [](Judge &judge, auto show) {
    CHECK(judge.worst(5) == std::vector<uint32_t>{1, 0});
    CHECK(show(1)["iou"] == 0);
    // One of two of each class, and one pixel that does not count.
    CHECK(show(0)["iou"] == 0.5);
    CHECK(show(0)["wanted"] != "" && show(0)["wanted"] != show(0)["given"]);
    Json about;
    judge.describe(Names(2), about);
    CHECK(about["confusion"] == Json({{1, 0}, {5, 1}}));
    CHECK(about["legend"].size() == 2 && about["legend"][1][0] == "cat");
  });
}

void worstBoxesComeFirst() {
  Tensors outputs;
  // The second picture's guess is elsewhere; a weak one of the first does not count.
  outputs["b"] = tensorOf({2, 2, 4}, {0, 0, 10, 10, /**/ 30, 30, 40, 40,
                                      50, 50, 60, 60, /**/ 0, 0, 1, 1});
  outputs["s"] = tensorOf({2, 2}, {0.9, 0.1, 0.8, 0.1});
  outputs["c"] = tensorOf({2, 2}, {1, 1, 2, -1});
  Batch batch;
  batch.indices = {0, 1};
  batch.inputs["boxes"] = tensorOf({2, 2, 5}, {0, 0, 10, 9, 1, /**/ 0, 0, 0, 0, -1,
                                               0, 0, 9, 9, 2, /**/ 0, 0, 0, 0, -1});
  Json entry = {{"call", "average_precision"}, {"rule", "coco50"}, {"name", "m"},
                {"value", "b"}, {"more", {"s", "c"}}, {"right", "boxes"}};
  judged(entry, outputs, batch, [](Judge &judge, auto show) {
    // The best threshold is that of the one hit, 0.9: the other picture misses its dog.
    CHECK(judge.worst(5) == std::vector<uint32_t>{1});
    CHECK(show(0)["right"] == 1 && show(0)["wrong"] == 0 && show(0)["boxes"].size() == 2);
    CHECK(show(1)["objects"] == 1 && show(1)["boxes"][0]["how"] == "missed");
    CHECK(show(1)["boxes"][0]["what"] == "dog");
  });
}

void picturesAreAsTheyWere() {
  Tensors outputs;
  Batch batch;
  batch.images = 1;
  batch.indices = {0};
  batch.inputs["image"] = tensorOf({1, 1, 1, 2}, {-1, 1});
  Names data(1);
  DataInput input{"image", Element::F32, {1, 1, 2}, nullptr};
  Json chain = Json::parse(
      R"([{"call": "normalize", "by": {"mean": [0.5], "std": [0.5]}}])");
  Raw raw = pictureOf({outputs, batch, 0, data}, {input}, chain);
  CHECK(raw.width == 2 && raw.bytes == std::vector<uint8_t>{0, 255});
}
