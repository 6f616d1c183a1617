# The tests' configuration. CMake writes lit.site.cfg.py, which says where the
# tools are and then loads this file.
import glob
import os
import shutil
import sys

import lit.formats

config.name = "Halcyon"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".cnn", ".test"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.halcyon_build, "test")

# Kernels are compiled anew in every run of the tests.
cache = os.path.join(config.test_exec_root, "cache")
shutil.rmtree(cache, ignore_errors=True)
config.environment["HALCYON_CACHE"] = cache

config.environment["PATH"] = os.pathsep.join(
    [os.path.join(config.halcyon_build, "bin"), config.llvm_tools]
    + [os.environ.get("PATH", "")]
)
for name in ("HOME", "LD_LIBRARY_PATH"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

config.substitutions += [
    ("%python", sys.executable),
    ("%cmake", os.path.join(os.path.dirname(sys.executable), "cmake")),
    ("%source", config.halcyon_source),
    ("%build", config.halcyon_build),
    ("%examples", os.path.join(config.halcyon_source, "examples")),
]
for tool in ("halcyon", "halcyon-opt", "halcyon-bench-kernels"):
    if os.path.exists(os.path.join(config.halcyon_build, "bin", tool)):
        config.available_features.add(tool)
# Sanitizers reserve more of the address space than a limit on it leaves.
if config.sanitizers in ("", "OFF"):
    config.available_features.add("bounded-memory")
# Languages in which examples are run where they are installed.
if shutil.which("cargo"):
    config.available_features.add("cargo")
if shutil.which("node") and os.path.exists("/usr/include/node/node_api.h"):
    config.available_features.add("node")
if shutil.which("node"):
    config.available_features.add("javascript")
# A driver of OpenCL, where programs for it run.
if glob.glob("/etc/OpenCL/vendors/*.icd"):
    config.available_features.add("opencl")
# What this machine's CPU has, for programs of lesser or other targets.
if os.path.exists("/proc/cpuinfo"):
    with open("/proc/cpuinfo") as cpuinfo:
        flags = next((line.split() for line in cpuinfo if line.startswith("flags")), [])
    if "avx512vl" in flags and "avx512dq" in flags:
        config.available_features.add("avx512")
