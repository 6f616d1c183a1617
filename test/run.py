#!/usr/bin/env python3
"""Runs the suites of tests one after another and sums them up.

    run.py [--slow] [SUITE ...]

Each suite is a program with its own way to say what passed; a suite that ends badly,
takes too long or says nothing counts as a failure. Its output is in build/logs/check.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
LOGS = BUILD / "logs" / "check"
PYTHON = sys.executable
LIT = pathlib.Path(PYTHON).with_name("lit")
CMAKE = pathlib.Path(PYTHON).with_name("cmake")
REFERENCE = [PYTHON, ROOT / "test" / "execute" / "run_reference.py"]
TRAINER = [PYTHON, ROOT / "test" / "train" / "run_trainer.py"]
ONNX = [PYTHON, ROOT / "test" / "onnx" / "run_onnx.py"]
WRAPPED = r"(kernels/.*|runtime/runtime|tune/tune)\.test$"  # tests that only run what is a suite of its own
CONVOLUTIONS = "direct,im2col,im2col_fip,winograd2,winograd4,winograd4_fip,winograd6"
# On devices: kernels of every kind, and every algorithm of convolutions.
DEVICE_LAYERS = "conv_same_(lower_)?k[35]|depthwise|linear|softmax|maxpool|upsample|chain|index_sum_of_sums"
VULKAN_LAYERS = ("conv_same_k3_|conv_dilated3_k3_s2|transposed_k4_s3|conv_depthwise_k3_s2|linear_(100|784|of)|"
                 "conv_softmax|index_sum_of_sums")  # vulkan-all has the rest
DEVICE_ALGORITHMS = "chosen,gpu_plain,gpu_direct,gpu_im2col,gpu_winograd2,gpu_winograd4"
BF16_NETWORKS = "resnet18,densenet121,mobilenet_v2,unet"
# Those whose convolutions are of every kind; the others are more of the same.
FORCED_NETWORKS = ("lenet,lenet5,mlp,vgg16,resnet18,resnet50,mobilenet_v2,densenet121,squeezenet,inception_v3,"
                   "efficientnet_b0,unet")
ALGORITHMS = CONVOLUTIONS + ",winograd2_fip,winograd6_fip,conv_transpose_fip,pointwise,depthwise,general"


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self):
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def summed(text):
    """From the last line 'N passed, N failed'."""
    found = re.findall(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", text, re.M)
    return Count(*(int(number or 0) for number in found[-1])) if found else Count()


def listed(text):
    """From lines 'PASS name' and 'FAIL name'."""
    return Count(len(re.findall(r"^PASS ", text, re.M)), len(re.findall(r"^FAIL ", text, re.M)))


def lit(text):
    """From lit's table."""
    table = {name: int(number) for name, number in re.findall(r"^  ([A-Z][A-Za-z ]+?) *: *(\d+) \(", text, re.M)}
    return Count(sum(table.get(name, 0) for name in ("Passed", "Passed With Retry", "Expectedly Failed")),
                 sum(table.get(name, 0) for name in ("Failed", "Unresolved", "Timed Out", "Unexpectedly Passed")),
                 sum(table.get(name, 0) for name in ("Unsupported", "Skipped")))


@dataclass
class Suite:
    name: str
    command: list
    count: object = summed
    minutes: float = 30


def under_sanitizer(name, target, filters=("",), runner=None):
    """Builds a target and runs it, or the runner on it."""
    program = f"'{BUILD}/bin/{target}'"
    commands = [f"'{CMAKE}' --build '{BUILD}' --target {target}"]
    if runner:
        commands.append(" ".join(f"'{word}'" for word in runner) + f" --program {program}")
    else:
        commands += [f"{program} {filter}" for filter in filters]
    return Suite(name, ["sh", "-ec", "; ".join(commands)], summed if runner else listed, 20)


def suites(slow):
    found = [
        Suite("lit", [LIT, "-v", "--timeout", "600", "--filter-out", WRAPPED, BUILD / "test"], lit),
        Suite("runtime", [BUILD / "bin" / "runtime-tests"], listed, 5),
        Suite("train", [BUILD / "bin" / "train-tests"], listed, 5),
        Suite("pixels", [BUILD / "bin" / "pixel-tests"], listed, 5),
        Suite("trainer", TRAINER, minutes=5),
    ]
    tests = sorted((BUILD / "bin").glob("halcyon-*-test"))
    found += [Suite(test.name.removeprefix("halcyon-").removesuffix("-test") + "-kernels", [test])
              for test in tests] or [Suite("kernels", ["false"])]
    found += [
        Suite("properties", [PYTHON, ROOT / "test" / "properties" / "run_properties.py"], minutes=10),
        Suite("layers", [*REFERENCE, "--quiet"]),
        Suite("networks", [*REFERENCE, "--networks", "all"], minutes=40),
        Suite("layers-bf16", [*REFERENCE, "--quiet", "--precision", "bf16"]),
        Suite("networks-bf16", [*REFERENCE, "--precision", "bf16", "--networks", BF16_NETWORKS], minutes=20),
        Suite("opencl", [*REFERENCE, "--quiet", "--filter", DEVICE_LAYERS, "--", "--target", "opencl"], minutes=15),
        Suite("opencl-forced", [*REFERENCE, "--quiet", "--filter", "conv_same_k[35]_", "--algorithm",
                                "gpu_direct,gpu_im2col,gpu_winograd2,gpu_winograd4", "--", "--target", "opencl"], minutes=10),
        Suite("opencl-networks", [*REFERENCE, "--networks", "lenet5,squeezenet,mobilenet_v2", "--", "--target",
                                  "opencl"], minutes=15),
        Suite("opencl-gradients", [PYTHON, ROOT / "test" / "train" / "run_gradients.py", "--target", "opencl", "conv",
                                   "maxpool", "linear"], minutes=10),
        Suite("opencl-training", [PYTHON, ROOT / "test" / "train" / "run_device.py", "opencl"], minutes=10),
        Suite("vulkan-training", [PYTHON, ROOT / "test" / "train" / "run_device.py", "vulkan"], minutes=10),
        Suite("vulkan", [*REFERENCE, "--quiet", "--filter", VULKAN_LAYERS, "--", "--target", "vulkan"], minutes=10),
        Suite("autoscheduled", [*REFERENCE, "--quiet", "--filter", "index_(two_sums|products_zero|sum_of_sums)",
                                "--algorithm", "mullapudi2016,li2018"]),
        Suite("random", [*REFERENCE, "--random", "24"], minutes=20),
        Suite("onnx", [*ONNX, "--sample", "4", "node", "pytorch-operator", "simple"], minutes=20),
        Suite("trained", [PYTHON, ROOT / "test" / "onnx" / "run_trained.py"], minutes=15),
        Suite("networks-forced", [*REFERENCE, "--networks", FORCED_NETWORKS, "--algorithm", CONVOLUTIONS],
              minutes=40),
        Suite("digits", [PYTHON, ROOT / "test" / "execute" / "digits.py"], minutes=10),
        Suite("gradients", [PYTHON, ROOT / "test" / "train" / "run_gradients.py"], minutes=15),
        Suite("turns", [PYTHON, ROOT / "test" / "train" / "run_turns.py"], minutes=10),
        Suite("curves", [PYTHON, ROOT / "test" / "train" / "run_curves.py"], minutes=10),
        Suite("training", [PYTHON, ROOT / "test" / "train" / "run_training.py"], minutes=15),
    ]
    if slow:
        if shutil.which("chromium"):
            found.append(Suite("browser", [PYTHON, ROOT / "test" / "emit" / "run_browser.py"], minutes=20))
            found.append(Suite("netron", [PYTHON, ROOT / "test" / "onnx" / "run_netron.py"], minutes=20))
        sanitized = BUILD / "sanitize"
        found += [Suite(f"{test.name.removeprefix('halcyon-').removesuffix('-test')}-kernels-all", [test, "--all"],
                        minutes=120) for test in tests]
        found += [
            Suite("layers-forced", [*REFERENCE, "--quiet", "--algorithm", ALGORITHMS], minutes=120),
            Suite("autoscheduled-all", [*REFERENCE, "--quiet", "--filter", "^index_", "--algorithm",
                                        "mullapudi2016,li2018,adams2019"], minutes=60),
            Suite("opencl-autoscheduled", [*REFERENCE, "--quiet", "--filter", "index_(two_sums|products|sum_of|chain)",
                                           "--algorithm", "gpu_li2018,gpu_anderson2021", "--", "--target", "opencl"],
                  minutes=60),
            Suite("opencl-all", [*REFERENCE, "--quiet", "--algorithm", DEVICE_ALGORITHMS, "--", "--target", "opencl"],
                  minutes=120),
            Suite("opencl-networks-all", [*REFERENCE, "--networks", FORCED_NETWORKS, "--batch", "3", "--", "--target",
                                          "opencl"], minutes=120),
            Suite("vulkan-all", [*REFERENCE, "--quiet", "--algorithm", DEVICE_ALGORITHMS, "--", "--target", "vulkan"],
                  minutes=120),
            Suite("vulkan-networks", [*REFERENCE, "--networks", "lenet5,squeezenet,resnet18,mobilenet_v2", "--batch", "3",
                                      "--", "--target", "vulkan"], minutes=60),
            Suite("opencl-gradients-all", [PYTHON, ROOT / "test" / "train" / "run_gradients.py", "--target", "opencl"],
                  minutes=60),
            Suite("vulkan-gradients", [PYTHON, ROOT / "test" / "train" / "run_gradients.py", "--target", "vulkan"],
                  minutes=60),
            Suite("opencl-training-whole", [PYTHON, ROOT / "test" / "train" / "run_device.py", "opencl", "--whole"],
                  minutes=30),
            Suite("vulkan-training-whole", [PYTHON, ROOT / "test" / "train" / "run_device.py", "vulkan", "--whole"],
                  minutes=30),
            Suite("ptxas", [PYTHON, ROOT / "test" / "execute" / "run_ptxas.py"], minutes=20),
            Suite("metal", [PYTHON, ROOT / "test" / "emit" / "run_metal.py"], minutes=20),
            Suite("hlsl", [PYTHON, ROOT / "test" / "emit" / "run_hlsl.py"], minutes=20),
            Suite("pytorch", [PYTHON, ROOT / "test" / "emit" / "run_pytorch.py"], minutes=60),
            Suite("onnx-all", ONNX, minutes=60),
            Suite("onnx-import", [PYTHON, ROOT / "test" / "onnx" / "import.py", "--networks"], minutes=60),
            Suite("training-whole", [PYTHON, ROOT / "test" / "train" / "run_training.py", "--whole"], minutes=60),
            Suite("training-examples", [PYTHON, ROOT / "test" / "train" / "run_examples.py"], minutes=60),
            Suite("networks-batch", [*REFERENCE, "--networks", FORCED_NETWORKS, "--batch", "3", "--algorithm",
                                      ALGORITHMS], minutes=240),
            under_sanitizer("runtime-threads", "runtime-tests-threads", ["session", "embed", "threads-concurrent"]),
            under_sanitizer("runtime-addresses", "runtime-tests-addresses"),
            under_sanitizer("train-addresses", "train-tests-addresses"),
            under_sanitizer("trainer-addresses", "trainer-test-program-addresses", runner=TRAINER),
            Suite("fuzz", [PYTHON, ROOT / "test" / "fuzz" / "run_fuzz.py"], minutes=90),
            Suite("sanitize", ["sh", "-ec", f"cd '{ROOT}'; '{CMAKE}' --preset sanitize; '{CMAKE}' --build '{sanitized}'; "
                               f"'{LIT}' -v --timeout 1800 '{sanitized / 'test'}'"], lit, 120),
        ]
    return found


def run(suite, environment):
    """Returns what to count, how long it took, and what is wrong with the suite itself."""
    log = LOGS / f"{suite.name}.log"
    start, trouble = time.monotonic(), ""
    with log.open("w") as out:
        try:
            process = subprocess.Popen([str(word) for word in suite.command], stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT, env=environment, start_new_session=True)
            try:
                status = process.wait(60 * suite.minutes)
            except BaseException as ended:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if not isinstance(ended, subprocess.TimeoutExpired):
                    raise
                status, trouble = None, f"took more than {suite.minutes} minutes"
        except OSError as error:
            status, trouble = None, str(error)
    text = log.read_text(errors="replace")
    count = suite.count(text)
    if status and status < 0:
        trouble = f"ended with signal {-status}"
    elif status and not count.failed:
        trouble = f"ended with status {status}"
    elif not trouble and not count.passed + count.failed:
        trouble = "ran no test"
    count.failed += bool(trouble)
    return count, time.monotonic() - start, trouble


def show(suite, count, seconds, trouble):
    print(f"{str(count):<36} {seconds:7.1f} s", flush=True)
    if not count.failed:
        return
    log = LOGS / f"{suite.name}.log"
    lines = log.read_text(errors="replace").splitlines()
    failures = [line for line in lines if re.match(r"(FAIL|UNRESOLVED|TIMEOUT|XPASS)\b", line)]
    for line in failures[:20] or lines[-20:]:
        print(f"    {line[:200]}")
    if len(failures) > 20:
        print(f"    and {len(failures) - 20} more")
    if trouble:
        print(f"    {suite.name} {trouble}")
    print(f"    the log is {log.relative_to(ROOT)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slow", action="store_true",
                        help="every algorithm over all networks, large grids, sanitizers")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="these alone")
    args = parser.parse_args()
    chosen = suites(args.slow)
    names = [suite.name for suite in chosen]
    for name in args.suites:
        if name not in names:
            parser.error(f"there is no suite {name}: {', '.join(names)}")
    LOGS.mkdir(parents=True, exist_ok=True)
    total = Count()
    start = time.monotonic()
    # Kernels are compiled anew, and nothing is left behind.
    with tempfile.TemporaryDirectory(prefix="temp-", dir=LOGS) as temp:
        environment = {**os.environ, "HALCYON_CACHE": f"{temp}/cache", "TMPDIR": temp}
        for suite in chosen:
            if args.suites and suite.name not in args.suites:
                continue
            print(f"{suite.name:<20}", end="", flush=True)
            count, seconds, trouble = run(suite, environment)
            show(suite, count, seconds, trouble)
            total.passed += count.passed
            total.failed += count.failed
            total.skipped += count.skipped
    print(f"\n{(time.monotonic() - start) / 60:.1f} minutes")
    print(total)
    return int(bool(total.failed or not total.passed))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
