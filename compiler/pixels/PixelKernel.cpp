//===- PixelKernel.cpp - Kernels for pictures to object code --------------===//

#include "compiler/pixels/PixelKernel.h"
#include "compiler/pixels/PixelKernels.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>

namespace halcyon {

std::vector<const PixelKernel *> &PixelKernel::all() {
  static std::vector<const PixelKernel *> kernels;
  return kernels;
}

void PixelKernel::compile(const Halide::Target &target, const std::string &path) const {
  Pixels pixels = build(target.natural_vector_size<float>());
  std::vector<Halide::Type> types;
  for (const Halide::Argument &argument : pixels.arguments)
    types.push_back(argument.is_buffer() ? Halide::Type() : argument.type);
  types.resize(types.size() + pixels.outputs.size());
  if (types != parameters)
    throw std::runtime_error("its parameters are not those of Pixels.h");
  Halide::Pipeline(pixels.outputs)
      .compile_to_module(pixels.arguments, symbol, target,
                         Halide::LinkageType::External)
      .compile({{Halide::OutputFileType::object, path}});
  std::stringstream object;
  object << std::ifstream(path, std::ios::binary).rdbuf();
  if (object.str().find("halide_malloc") != std::string::npos)
    throw std::runtime_error("it allocates memory");
}

std::vector<std::string> pixelKernels() {
  std::vector<std::string> symbols;
  for (const PixelKernel *kernel : PixelKernel::all())
    symbols.push_back(kernel->symbol);
  std::sort(symbols.begin(), symbols.end());
  return symbols;
}

std::string compilePixelKernel(const std::string &symbol, const std::string &target,
                               bool asserts, const std::string &path) {
  try {
    Halide::Target machine =
        Halide::Target(target).with_feature(Halide::Target::NoRuntime);
    if (!asserts)
      machine = machine.with_feature(Halide::Target::NoAsserts)
                    .with_feature(Halide::Target::NoBoundsQuery);
    for (const PixelKernel *kernel : PixelKernel::all())
      if (kernel->symbol == symbol) {
        kernel->compile(machine, path);
        return "";
      }
    return "there is no such kernel";
  } catch (const std::exception &error) {
    return error.what();
  }
}

} // namespace halcyon
