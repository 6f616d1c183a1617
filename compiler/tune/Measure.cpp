//===- Measure.cpp - Candidates in a process of their own -----------------===//

#include "compiler/tune/Measure.h"
#include "compiler/codegen/Cache.h"
#include "compiler/codegen/DeviceRuntime.h"
#include "compiler/codegen/EmbedWeights.h"
#include "compiler/codegen/KernelCompiler.h"
#include "compiler/codegen/Link.h"
#include "compiler/codegen/ProgramTable.h"
#include "compiler/tune/Trials.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <set>
#include <sys/wait.h>
#include <unistd.h>

using namespace mlir;

namespace halcyon {

static double now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

//===----------------------------------------------------------------------===//
// The folder
//===----------------------------------------------------------------------===//

WorkFolder::WorkFolder(std::string &error) {
  const std::string prefix = "tune-";
  std::error_code code;
  for (llvm::sys::fs::directory_iterator it(cacheFolder(), code), end;
       it != end && !code; it.increment(code)) {
    StringRef name = llvm::sys::path::filename(it->path());
    pid_t owner;
    if (name.consume_front(prefix) && !name.getAsInteger(10, owner) &&
        kill(owner, 0) != 0 && errno == ESRCH)
      llvm::sys::fs::remove_directories(it->path());
  }
  path = cacheFolder() + "/" + prefix + std::to_string(getpid());
  if (auto failed = llvm::sys::fs::create_directories(path))
    error = "can't make the folder " + path + ": " + failed.message();
}

WorkFolder::~WorkFolder() { llvm::sys::fs::remove_directories(path); }

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

Measurer::Measurer(exec::ProgramOp program, const WeightSource &weights,
                   const MeasureOptions &options)
    : program(program), weights(weights), options(options) {
  for (auto function : program.getBody().front().getOps<exec::FunctionOp>())
    if (function.getSymName() != "prepare")
      notCompiled.emplace_back();
  checkSeconds.resize(notCompiled.size());
}

Measurer::~Measurer() {
  end();
  for (const std::string &path : temporaries)
    unlink(path.c_str());
}

bool Measurer::build(std::string &error) {
  static int counter = 0;
  std::string base = options.folder + "/" + std::to_string(counter++);
  auto temporary = [&](StringRef extension) {
    temporaries.push_back(base + extension.str());
    return temporaries.back();
  };
  weightsFile = temporary(".weights");
  executable = temporary("");
  ProgramTableOptions table;
  table.embedWeights = false;
  table.weightsId = 1;
  KernelCompilerOptions how;
  how.keepGoing = true;
  how.seconds = options.compileSeconds;
  how.stop = options.stop;
  std::vector<ForkedJob> jobs;
  if (program.getWeights())
    jobs.push_back({"weights", [&] {
                      return writeWeightsFile(program, weights, table.weightsId,
                                              weightsFile);
                    }});
  std::vector<std::string> objects;
  if (options.target.device)
    objects.push_back(deviceRuntime(options.target, jobs));
  llvm::raw_string_ostream errors(error);
  auto kernels = compileKernels(program, options.target, how, jobs, errors);
  if (failed(kernels)) {
    if (error.empty())
      error = "stopped";
    return false;
  }
  llvm::StringMap<std::string> broken;
  for (CompiledKernel &kernel : *kernels)
    if (kernel.error.empty())
      objects.push_back(kernel.path);
    else
      broken[kernel.kernel.getSymName()] = kernel.error;

  // What can't be compiled must not be called.
  unsigned number = 0;
  for (auto function : program.getBody().front().getOps<exec::FunctionOp>()) {
    if (function.getSymName() == "prepare")
      continue;
    function.walk([&](exec::CallOp call) {
      if (auto found = broken.find(call.getKernel()); found != broken.end())
        notCompiled[number] = found->second;
    });
    ++number;
  }
  if (!notCompiled[0].empty()) {
    error = "the reference can't be compiled: " + notCompiled[0];
    return false;
  }
  for (unsigned i = notCompiled.size(); i-- > 0;)
    if (!notCompiled[i].empty())
      removeFunction(program, i);

  auto host = buildProgramTable(program, options.target, table);
  std::string bytes = compileHostModule(*host, options.target, error);
  if (bytes.empty())
    return false;
  objects.push_back(temporary(".o"));
  if (!writeWhole(objects.back(), bytes)) {
    error = "can't write " + objects.back() + ": " + strerror(errno);
    return false;
  }
  error = linkExecutable(objects, options.target, executable, MainProgram::Measure);
  return error.empty() && start(error);
}

long Measurer::numberOf(unsigned function) const {
  long number = 0;
  for (unsigned i = 0; i < function; ++i)
    number += notCompiled[i].empty();
  return number;
}

//===----------------------------------------------------------------------===//
// The process
//===----------------------------------------------------------------------===//

/// What the process said: numbers behind "ok", or why there are none.
struct Measurer::Answer {
  enum { Ok, Refused, Ended, Late } kind = Ended;
  std::string text;
  std::vector<double> numbers;
  double seconds = 0; ///< that it took
};

bool Measurer::start(std::string &error) {
  end();
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0)
    return error = std::string("no pipe: ") + strerror(errno), false;
  if (pipe2(out, O_CLOEXEC) != 0) {
    error = std::string("no pipe: ") + strerror(errno);
    close(in[0]);
    close(in[1]);
    return false;
  }
  std::string threads = std::to_string(options.threads),
              cold = std::to_string(options.coldBytes),
              images = std::to_string(options.images);
  pid = fork();
  if (pid == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    execl(executable.c_str(), executable.c_str(), weightsFile.c_str(),
          threads.c_str(), cold.c_str(), images.c_str(), nullptr);
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  toChild = in[1];
  fromChild = out[0];
  buffered.clear();
  if (pid < 0) {
    error = std::string("can't start a process: ") + strerror(errno);
    end();
    return false;
  }
  Answer answer = ask("", 60);
  if (answer.kind == Answer::Ok)
    return true;
  error = answer.kind == Answer::Refused ? answer.text
                                         : "the measuring process did not start";
  end();
  return false;
}

void Measurer::end() {
  if (toChild >= 0)
    close(toChild);
  if (fromChild >= 0)
    close(fromChild);
  if (pid > 0) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  pid = toChild = fromChild = -1;
}

Measurer::Answer Measurer::ask(const std::string &command, double seconds) {
  Answer answer;
  double begin = now(), until = begin + seconds;
  if (pid <= 0)
    return answer;
  std::string line = command + "\n";
  // The child may have died: then there is no reader, and reading says so.
  if (!command.empty() &&
      write(toChild, line.data(), line.size()) != (ssize_t)line.size())
    return answer;
  size_t newline;
  while ((newline = buffered.find('\n')) == std::string::npos) {
    pollfd ready = {fromChild, POLLIN, 0};
    int got = poll(&ready, 1, 50);
    if (stopped() || now() > until) {
      answer.kind = Answer::Late;
      end();
      return answer;
    }
    if (got <= 0)
      continue;
    char bytes[4096];
    ssize_t count = read(fromChild, bytes, sizeof bytes);
    if (count > 0) {
      buffered.append(bytes, count);
      continue;
    }
    int status = 0;
    waitpid(pid, &status, 0);
    pid = -1;
    end();
    answer.text = WIFSIGNALED(status)
                      ? strsignal(WTERMSIG(status))
                      : "ended with status " +
                            std::to_string(WEXITSTATUS(status));
    return answer;
  }
  answer.seconds = now() - begin;
  std::string text = buffered.substr(0, newline);
  buffered.erase(0, newline + 1);
  SmallVector<StringRef> words;
  StringRef(text).split(words, ' ', -1, false);
  if (words.empty() || words[0] != "ok") {
    answer.kind = Answer::Refused;
    answer.text = StringRef(text).drop_front(StringRef(text).find(' ') + 1).str();
    return answer;
  }
  answer.kind = Answer::Ok;
  for (StringRef word : llvm::drop_begin(words)) {
    double number = 0;
    word.getAsDouble(number);
    answer.numbers.push_back(number);
  }
  return answer;
}

std::optional<Failure> Measurer::failureOf(const Answer &answer) {
  switch (answer.kind) {
  case Answer::Ok:
    return std::nullopt;
  case Answer::Late:
    return Failure{Outcome::TimedOut, "did not end in time"};
  case Answer::Refused:
  case Answer::Ended:
    return Failure{Outcome::Crashed, answer.text};
  }
  return std::nullopt;
}

/// Starts the process again after a crash; function 0 has to be run first.
std::optional<Failure> Measurer::ready() {
  if (pid > 0)
    return std::nullopt;
  std::string error;
  if (!start(error))
    return Failure{Outcome::Crashed, error};
  return failureOf(ask(command("check", {0}), 120));
}

std::string Measurer::command(StringRef name, ArrayRef<long> numbers) const {
  std::string text = name.str();
  for (long number : numbers)
    text += " " + std::to_string(number);
  return text;
}

//===----------------------------------------------------------------------===//
// Questions
//===----------------------------------------------------------------------===//

std::optional<Failure> Measurer::check(unsigned function, double tolerance) {
  if (!notCompiled[function].empty())
    return Failure{Outcome::NotCompiled, notCompiled[function]};
  if (auto failure = ready())
    return failure;
  double limit = function == 0 ? 120
                               : options.hangSeconds + 50 * checkSeconds[0];
  Answer answer = ask(command("check", {numberOf(function)}), limit);
  if (auto failure = failureOf(answer))
    return failure;
  checkSeconds[function] = std::max(answer.seconds, 1e-7);
  double difference = answer.numbers[0], largest = answer.numbers[1];
  if (difference <= tolerance * largest || difference == 0)
    return std::nullopt;
  return Failure{Outcome::WrongValues,
                 llvm::formatv("differs by {0:E2}, largest value {1:E2}",
                               difference, largest)};
}

std::optional<Failure> Measurer::compare(Timed first, Timed second,
                                         const CompareLimits &limits,
                                         Comparison &result) {
  if (auto failure = ready())
    return failure;
  long repeats = 1;
  std::optional<Failure> failure;
  auto measure = [&](int count, std::vector<TimePair> &pairs) {
    double limit =
        options.hangSeconds + 50 * count * repeats *
                                  (checkSeconds[first.function] +
                                   checkSeconds[second.function]);
    Answer answer =
        ask(command("pairs", {numberOf(first.function), first.call,
                              numberOf(second.function), second.call, count,
                              repeats}),
            limit);
    failure = failureOf(answer);
    if (failure)
      return false;
    for (size_t i = 0; i + 2 < answer.numbers.size(); i += 3)
      pairs.push_back({answer.numbers[i] * 1e-9, answer.numbers[i + 1] * 1e-9,
                       answer.numbers[i + 2] != 0});
    return true;
  };
  // The first runs fault in pages and fill caches; they tell how often a short
  // call must be repeated to stand above the clock's own noise.
  std::vector<TimePair> warm;
  if (!measure(3, warm))
    return failure;
  double shortest = 1;
  for (const TimePair &pair : warm)
    shortest = std::min({shortest, pair.first, pair.second});
  repeats = std::clamp<long>(20e-6 / std::max(shortest, 1e-8), 1, 200);
  result = compareUntilSure(limits, measure);
  return failure;
}

std::optional<Failure> Measurer::timeCalls(unsigned function, int runs,
                                           std::vector<double> &seconds) {
  if (auto failure = ready())
    return failure;
  Answer answer = ask(command("calls", {numberOf(function), runs}),
                      options.hangSeconds + 50 * runs * checkSeconds[function]);
  if (auto failure = failureOf(answer))
    return failure;
  for (double ns : answer.numbers)
    seconds.push_back(ns * 1e-9);
  return std::nullopt;
}

} // namespace halcyon
