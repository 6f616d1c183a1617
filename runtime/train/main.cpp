//===- main.cpp - The command line of a training program ------------------===//

#include "Check.h"
#include "Trainer.h"

#include <csignal>
#include <cstring>
#include <unistd.h>

using namespace halcyon::train;

static const char *const usage =
    "usage: %s [options]\n"
    "\n"
    "  -o FOLDER          where the run's files go (%s)\n"
    "  --resume           go on with the run in that folder\n"
    "  --weights FILE     start from these weights\n"
    "  --data PATH        train on these data\n"
    "  --validate PATH    validate on these\n"
    "  --epochs N, --batch N, --seed N (1)\n"
    "  --steps N          end after so many steps\n"
    "  --threads N        of the model; one per core, if not given\n"
    "  --data-threads N   that prepare batches (2)\n"
    "  --find-rate        try rates, and say which are worth taking\n"
    "  --find-batch       time steps of growing batches, or of --batch alone\n"
    "  --profile          time the kernels of a step; with --steps\n"
    "  --plan             how the model is trained, as JSON\n"
    "  --quiet            say nothing but what went wrong\n";

static void interrupt(int) {
  // A second signal ends at once.
  if (interrupted)
    _exit(130);
  interrupted = true;
}

namespace {
struct Arguments {
  TrainerOptions options;
  enum { Train, FindRate, FindBatch, Plan, CheckGrad } what = Train;
};
} // namespace

static Arguments parse(int count, char **values, const std::string &folder) {
  Arguments result;
  TrainerOptions &o = result.options;
  o.folder = folder;
  int at = 1;
  auto value = [&]() -> std::string {
    if (at + 1 >= count)
      throw Failure(std::string(values[at]) + " needs a value");
    return values[++at];
  };
  auto number = [&](int64_t least, int64_t most) {
    std::string name = values[at], text = value();
    char *end;
    errno = 0;
    int64_t found = strtoll(text.c_str(), &end, 10);
    if (text.empty() || *end || errno || found < least || found > most)
      throw Failure(name + " takes a number from " + std::to_string(least) + " to " +
                    std::to_string(most) + ", not '" + text + "'");
    return found;
  };
  for (; at < count; ++at) {
    std::string_view word = values[at];
    if (word == "-o")
      o.folder = value();
    else if (word == "--resume")
      o.resume = true;
    else if (word == "--weights")
      o.weights = value();
    else if (word == "--data")
      o.data = value();
    else if (word == "--validate")
      o.validate = value();
    else if (word == "--epochs")
      o.epochs = number(1, 1000000);
    else if (word == "--batch")
      o.batch = number(1, 1 << 20);
    else if (word == "--seed")
      o.seed = uint64_t(number(0, INT64_MAX));
    else if (word == "--steps")
      o.steps = uint64_t(number(1, INT64_MAX));
    else if (word == "--threads")
      o.threads = uint32_t(number(1, 4096));
    else if (word == "--data-threads")
      o.dataThreads = uint32_t(number(1, 256));
    else if (word == "--quiet")
      o.quiet = true;
    else if (word == "--profile")
      o.profile = true;
    else if (word == "--find-rate")
      result.what = Arguments::FindRate;
    else if (word == "--find-batch")
      result.what = Arguments::FindBatch;
    else if (word == "--check-grad")
      result.what = Arguments::CheckGrad;
    else if (word == "--plan")
      result.what = Arguments::Plan;
    else
      throw Failure("unknown option '" + std::string(word) + "'; see --help");
  }
  return result;
}

int main(int count, char **values) {
  keepFreedMemory();
  const halcyon_trainer &trainer = halcyon_trainer_main;
  const char *slash = strrchr(values[0], '/'), *name = slash ? slash + 1 : values[0];
  Json plan = Json::parse(trainer.plan, nullptr, false);
  std::string folder = plan.value("name", "training") + "-run";
  for (int i = 1; i < count; ++i)
    if (!strcmp(values[i], "--help") || !strcmp(values[i], "-h")) {
      printf(usage, name, folder.c_str());
      return 0;
    }
  try {
    if (trainer.version != HALCYON_TRAINER_VERSION)
      throw Failure("the training table is of another version");
    Arguments arguments = parse(count, values, folder);
    if (arguments.what == Arguments::Plan) {
      puts(Json::parse(trainer.plan).dump(1).c_str());
      return 0;
    }
    if (arguments.what == Arguments::CheckGrad) {
      CheckOptions check;
      check.batch = arguments.options.batch ? uint32_t(arguments.options.batch) : 2;
      check.threads = arguments.options.threads;
      check.seed = arguments.options.seed;
      check.weights = arguments.options.weights;
      return checkGradients(trainer, check) ? 0 : 1;
    }
    struct sigaction action = {};
    action.sa_handler = interrupt;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    Trainer made(trainer, arguments.options);
    if (arguments.what == Arguments::FindRate)
      made.findRate();
    else if (arguments.what == Arguments::FindBatch)
      made.findBatch();
    else if (!made.run())
      return 130;
    return 0;
  } catch (const std::bad_alloc &) {
    fprintf(stderr, "%s: error: out of memory\n", name);
  } catch (const std::exception &failure) {
    fprintf(stderr, "%s: error: %s\n", name, failure.what());
  }
  return 1;
}
