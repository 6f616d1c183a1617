//===- KernelCompiler.cpp - Kernels to object code ------------------------===//

#include "compiler/codegen/KernelCompiler.h"
#include "compiler/codegen/Cache.h"
#include "compiler/codegen/LowerKernel.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace mlir;

namespace halcyon {

namespace {

/// A running child and the pipe on which it says what went wrong.
struct Child {
  size_t job;
  int pipe;
  std::string message;
};

} // namespace

static unsigned coreCount() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0)
    return 1;
  return std::max(1, CPU_COUNT(&set));
}

/// Starts a job in a child process; returns its pid.
static pid_t start(const ForkedJob &job, const KernelCompilerOptions &options,
                   int &readEnd) {
  int ends[2];
  if (pipe(ends) != 0)
    return -1;
  pid_t pid = fork();
  if (pid != 0) {
    close(ends[1]);
    readEnd = ends[0];
    return pid;
  }
  close(ends[0]);
  signal(SIGINT, options.stop ? SIG_IGN : SIG_DFL);
  alarm(options.seconds);
  std::string message = job.run();
  const char *at = message.data();
  size_t left = message.size();
  while (left) {
    ssize_t written = write(ends[1], at, left);
    if (written <= 0)
      break;
    at += written;
    left -= written;
  }
  // Without destructors or buffers: the parent's are not ours to flush.
  _exit(message.empty() ? 0 : 1);
}

/// Runs all jobs, `width` at a time, until `ended`, which is told of each what
/// went wrong, returns false.
static bool runJobs(const std::vector<ForkedJob> &jobs,
                    const KernelCompilerOptions &options,
                    function_ref<bool(size_t, const std::string &)> ended) {
  const unsigned width = options.jobs ? options.jobs : coreCount();
  std::map<pid_t, Child> running;
  size_t next = 0;
  bool good = true;
  while (next < jobs.size() || !running.empty()) {
    while (next < jobs.size() && running.size() < width && good) {
      int readEnd = -1;
      pid_t pid = start(jobs[next], options, readEnd);
      if (pid < 0) {
        ended(next, std::string("can't start a process: ") + strerror(errno));
        good = false;
        break;
      }
      running[pid] = {next++, readEnd, ""};
    }
    if (running.empty())
      break;
    // Drain pipes so that a long message never blocks a child.
    std::vector<pollfd> polls;
    for (auto &[pid, child] : running)
      polls.push_back({child.pipe, POLLIN, 0});
    poll(polls.data(), polls.size(), 200);
    // What has begun ends: killed, it would leave half a file.
    good &= !options.stop || !options.stop();
    for (auto it = running.begin(); it != running.end();) {
      auto &[pid, child] = *it;
      char buffer[4096];
      pollfd ready = {child.pipe, POLLIN, 0};
      bool closed = false;
      while (poll(&ready, 1, 0) > 0) {
        ssize_t count = read(child.pipe, buffer, sizeof buffer);
        if (count <= 0) {
          closed = true;
          break;
        }
        child.message.append(buffer, count);
      }
      if (!closed) {
        ++it;
        continue;
      }
      int status = 0;
      waitpid(pid, &status, 0);
      close(child.pipe);
      std::string error;
      if (WIFSIGNALED(status))
        error = WTERMSIG(status) == SIGALRM ? "took too long and was stopped"
                                            : strsignal(WTERMSIG(status));
      else if (WEXITSTATUS(status) != 0)
        error = !child.message.empty()
                    ? child.message
                    : "ended with status " + std::to_string(WEXITSTATUS(status));
      good &= ended(child.job, error);
      it = running.erase(it);
    }
  }
  return good;
}

static void report(raw_ostream &errors, const ForkedJob &job,
                   const std::string &error) {
  errors << "error: " << job.what << ": " << error << "\n";
}

ForkedJob fileJob(std::string what, std::string path,
                  std::function<std::string(const std::string &path)> make) {
  return {std::move(what), [path = std::move(path), make = std::move(make)]() -> std::string {
            std::string temporary = path + ".tmp" + std::to_string(getpid());
            std::string error = make(temporary);
            if (error.empty() && rename(temporary.c_str(), path.c_str()) != 0)
              error = "can't write " + path + ": " + strerror(errno);
            if (!error.empty())
              unlink(temporary.c_str());
            return error;
          }};
}

bool runForked(const std::vector<ForkedJob> &jobs,
               const KernelCompilerOptions &options, raw_ostream &errors) {
  return runJobs(jobs, options, [&](size_t job, const std::string &error) {
    if (!error.empty())
      report(errors, jobs[job], error);
    return error.empty();
  });
}

static StringRef extensionOf(KernelOutput output) {
  switch (output) {
  case KernelOutput::Object:
    return "o";
  case KernelOutput::Statement:
    return "stmt";
  case KernelOutput::LlvmAssembly:
    return "ll";
  case KernelOutput::Assembly:
    return "s";
  case KernelOutput::Device:
    return "device";
  case KernelOutput::C:
    return "c";
  case KernelOutput::SharedC:
    return "shared.c";
  }
  return "";
}

FailureOr<std::vector<CompiledKernel>>
compileKernels(exec::ProgramOp program, const Target &target,
               const KernelCompilerOptions &options,
               std::vector<ForkedJob> others, raw_ostream &errors) {
  // The first layer that a kernel computes, for messages.
  llvm::StringMap<Location> layers;
  program.walk([&](exec::CallOp call) {
    layers.try_emplace(call.getKernel(), call.getLoc());
  });

  std::vector<CompiledKernel> result;
  std::vector<ForkedJob> jobs = std::move(others);
  const size_t firstKernel = jobs.size();
  std::vector<size_t> compiled; // which result a job behind the others makes
  for (auto kernel : program.getBody().front().getOps<exec::KernelOp>()) {
    std::string text;
    llvm::raw_string_ostream os(text);
    kernel->print(os, OpPrintingFlags().useLocalScope());
    os << target.halide << (target.device ? target.device->halide : "")
       << (options.asserts ? "asserts" : "");
    std::string path = cachePath(text, extensionOf(options.output));
    bool cached = options.useCache && llvm::sys::fs::exists(path);
    result.push_back({kernel, path, cached, ""});
    if (cached)
      continue;
    compiled.push_back(result.size() - 1);
    jobs.push_back({kernel.getSymName().str(),
                    [kernel, path, &target, &options] {
                      return lowerKernel(kernel, target, options, path);
                    }});
  }
  bool show = options.progress && isatty(STDERR_FILENO);
  size_t finished = 0;
  bool good = runJobs(jobs, options, [&](size_t job, const std::string &error) {
    ++finished;
    if (show)
      fprintf(stderr, "\rcompiling kernels: %zu of %zu", finished, jobs.size());
    if (error.empty())
      return true;
    if (options.keepGoing && job >= firstKernel) {
      result[compiled[job - firstKernel]].error = error;
      return true;
    }
    if (job < firstKernel) {
      report(errors, jobs[job], error);
      return false;
    }
    exec::KernelOp kernel = result[compiled[job - firstKernel]].kernel;
    auto layer = layers.find(kernel.getSymName());
    Location at = layer == layers.end() ? kernel.getLoc() : layer->second;
    StringRef what = StringRef(error).trim();
    what.consume_front("Error: ");
    emitError(at) << "no kernel for '" << cnn::layerLocation(at).path << "': " << what;
    return false;
  });
  if (show && !jobs.empty())
    fprintf(stderr, "\r\033[K");
  if (!good)
    return failure();
  return result;
}

} // namespace halcyon
