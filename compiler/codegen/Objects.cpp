//===- Objects.cpp - A program's object files -----------------------------===//

#include "compiler/codegen/Objects.h"
#include "compiler/codegen/Cache.h"
#include "compiler/codegen/DeviceRuntime.h"
#include "compiler/codegen/ProgramTable.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/xxhash.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>

using namespace llvm;

namespace halcyon {

ProgramObjects::~ProgramObjects() {
  for (const std::string &path : temporaries)
    unlink(path.c_str());
}

uint64_t weightsIdOf(exec::ProgramOp program, const WeightSource &weights) {
  std::string prepared;
  raw_string_ostream os(prepared);
  for (auto function : program.getBody().front().getOps<exec::FunctionOp>())
    if (function.getSymName() == "prepare")
      function->print(os);
  return xxh3_64bits(prepared) ^ weights.id();
}

bool makeObjects(exec::ProgramOp program, const WeightSource &weights,
                 const Target &target, const ProgramOptions &how,
                 WeightsObject weightsObject, ProgramObjects &objects,
                 raw_ostream &errors) {
  auto fail = [&](const std::string &message) {
    errors << "error: " << message << "\n";
    return false;
  };
  if (std::string why = refuseDevice(target); !why.empty())
    return fail(why);
  auto temporary = [&](StringRef name) {
    objects.paths.push_back(how.output + "." + name.str() + ".tmp" +
                            std::to_string(getpid()) + ".o");
    objects.temporaries.push_back(objects.paths.back());
    return objects.paths.back();
  };
  ProgramTableOptions table;
  table.symbol = how.symbol;
  table.embedWeights = how.weightsIn.empty();
  table.weightsId = weightsIdOf(program, weights);

  // Weights are prepared while kernels compile.
  std::vector<ForkedJob> jobs;
  if (table.embedWeights) {
    std::string path = temporary("weights");
    jobs.push_back({"weights", [=, &weights, &target] {
                      return writeWeightsObject(program, weights, target,
                                                weightsObject, path);
                    }});
  } else {
    jobs.push_back({"weights", [=, &weights] {
                      return writeWeightsFile(program, weights, table.weightsId,
                                              how.weightsIn);
                    }});
  }
  if (target.device)
    objects.paths.push_back(deviceRuntime(target, jobs));
  std::string tablePath = temporary("table");
  auto kernels = compileKernels(program, target, how.kernels, jobs, errors);
  if (mlir::failed(kernels))
    return false;
  for (const CompiledKernel &kernel : *kernels)
    objects.paths.push_back(kernel.path);
  std::string error;
  auto host = buildProgramTable(program, target, table);
  std::string bytes = compileHostModule(*host, target, error);
  if (bytes.empty())
    return fail(error);
  return writeWhole(tablePath, bytes) ||
         fail("can't write " + tablePath + ": " + strerror(errno));
}

bool makeObjects(ArrayRef<NamedProgram> programs, const Target &target,
                 const ProgramOptions &how, std::vector<ForkedJob> others,
                 ProgramObjects &objects, raw_ostream &errors) {
  auto fail = [&](const std::string &message) {
    errors << "error: " << message << "\n";
    return false;
  };
  StringSet<> linked;
  if (target.device)
    objects.paths.push_back(deviceRuntime(target, others));
  for (auto [index, named] : enumerate(programs)) {
    ProgramTableOptions table;
    table.symbol = named.symbol;
    table.embedWeights = false;
    auto kernels =
        compileKernels(named.program, target, how.kernels, std::exchange(others, {}), errors);
    if (mlir::failed(kernels))
      return false;
    for (const CompiledKernel &kernel : *kernels)
      if (linked.insert(kernel.path).second)
        objects.paths.push_back(kernel.path);
    std::string error, bytes = compileHostModule(
                           *buildProgramTable(named.program, target, table), target, error);
    if (bytes.empty())
      return fail(error);
    std::string path = how.output + "." + std::to_string(index) + ".tmp" +
                       std::to_string(getpid()) + ".o";
    objects.paths.push_back(path);
    objects.temporaries.push_back(path);
    if (!writeWhole(path, bytes))
      return fail("can't write " + path + ": " + strerror(errno));
  }
  return true;
}

} // namespace halcyon
