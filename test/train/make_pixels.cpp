//===- make_pixels.cpp - The kernels for pictures, for the tests ----------===//
//
// make-pixels FOLDER: compiles them for this machine, with Halide's checks of their
// buffers, each in a process of its own.
//
//===----------------------------------------------------------------------===//

#include "compiler/pixels/PixelKernels.h"

#include <cstdio>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 2)
    return 2;
  for (const std::string &symbol : halcyon::pixelKernels()) {
    pid_t child = fork();
    if (child == 0) {
      std::string error = halcyon::compilePixelKernel(
          symbol, "host", /*asserts=*/true, std::string(argv[1]) + "/" + symbol + ".o");
      if (!error.empty())
        fprintf(stderr, "%s: %s\n", symbol.c_str(), error.c_str());
      _exit(!error.empty());
    }
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
      return 1;
  }
}
