// Prints which digit a picture (PGM, 8 bits) shows, on this program's own threads.

#include "lenet.h"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

/// What a session's parallel loops run on.
void runOnThreads(void *, uint32_t count, void (*job)(void *, uint32_t), void *data) {
  std::vector<std::thread> threads;
  for (uint32_t i = 1; i < count; ++i)
    threads.emplace_back(job, data, i);
  job(data, 0);
  for (std::thread &thread : threads)
    thread.join();
}

class Lenet {
public:
  Lenet() : session(nullptr, lenet_session_destroy) {
    halcyon_options options = {};
    options.abi_version = HALCYON_ABI_VERSION;
    options.threads = 2;
    options.thread_pool = {nullptr, runOnThreads};
    options.logger = {nullptr, [](void *, halcyon_log_level, const char *text) {
                        std::clog << text << "\n";
                      }};
    halcyon_error error;
    halcyon_session *made;
    if (lenet_session_create(&lenet_program, &options, &made, &error))
      throw std::runtime_error(error.text);
    session.reset(made);
  }

  int classify(const halcyon_picture &picture) {
    std::vector<float> image(28 * 28);
    check(lenet_session_prepare_image(session.get(), 0, &picture, image.data()));
    check(lenet_session_set_input(session.get(), "image", image.data(),
                                  image.size() * sizeof(float)));
    check(lenet_session_run(session.get()));
    auto *logits = static_cast<const float *>(
        lenet_session_output(session.get(), "logits", nullptr));
    return int(std::max_element(logits, logits + 10) - logits);
  }

private:
  void check(halcyon_status status) {
    if (status)
      throw std::runtime_error(lenet_session_error(session.get()));
  }
  std::unique_ptr<halcyon_session, void (*)(halcyon_session *)> session;
};

} // namespace

int main(int count, char **arguments) try {
  std::ifstream file(count > 1 ? arguments[1] : "", std::ios::binary);
  std::string kind;
  halcyon_picture picture = {nullptr, 0, 0, 1, 0};
  unsigned most = 0;
  if (!(file >> kind >> picture.width >> picture.height >> most) || kind != "P5" || most != 255)
    throw std::runtime_error("give a picture as .pgm");
  file.get();
  std::vector<uint8_t> pixels(size_t(picture.width) * picture.height);
  if (!file.read(reinterpret_cast<char *>(pixels.data()), std::streamsize(pixels.size())))
    throw std::runtime_error("the picture is cut short");
  picture.pixels = pixels.data();
  std::cout << Lenet().classify(picture) << "\n";
} catch (const std::exception &error) {
  std::cerr << "error: " << error.what() << "\n";
  return 1;
}
