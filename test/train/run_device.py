#!/usr/bin/env python3
"""Training on a device: what it computes, and what it leaves there.

    run_device.py TARGET [--whole]

A small model, in single and in double precision, and its gradients; with --whole LeNet's first
losses beside the CPU's, gradients of more layers, and candidates of a convolution, measured.
"""

import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
HALCYON = ROOT / "build" / "bin" / "halcyon"
BATCH, CLASSES = 8, 3
SMALL = """model small {
  input image: f32[N, 1, 8, 8]
  x = image -> conv(4, 3, bias=false) -> batchnorm -> relu -> maxpool(2)
  logits = x -> flatten -> linear(%d)
  output logits
}
train small {
  data      npy("x.npy", "y.npy")
  validate  npy("x.npy", "y.npy")
  batch     %d
  epochs    20
  loss      cross_entropy(logits, label)
  metrics   top1 = accuracy(logits, label)
  optimizer adam
  rate      0.01
  MORE
}
""" % (CLASSES, BATCH)
CONVOLUTION = """model one {
  input x: f32[N, 16, 14, 14]
  output x -> conv(32, 5) -> relu
}
"""
CLOSE = 1e-3  # of a loss: sums in another order, and what Adam makes of them
CLOSE_DOUBLES = 1e-12


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=1200, **more)
    assert done.returncode == 0, (done.stderr.strip().splitlines() or ["no message"])[-1]
    return done.stdout


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def losses(folder):
    """Of the steps and, behind them, of validations."""
    lines = log_of(folder)
    return [line["loss"] for line in lines if "step" in line] + [line["val loss"] for line in lines if "epoch" in line]


def agree(here, there, limit):
    assert len(here) == len(there) > 4, (here, there)
    worst = max(abs(a - b) / abs(a) for a, b in zip(here, there))
    assert worst <= limit, f"losses are {worst:.1e} apart: {here} {there}"


def elements(path):
    """How many a file of tensors has."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    return sum(int(numpy.prod(entry["shape"])) for name, entry in header.items() if name != "__metadata__")


class Place:
    """A folder with the small model's data, and programs that train it."""

    def __init__(self, folder, target):
        self.folder, self.target = pathlib.Path(folder), target
        random = numpy.random.default_rng(1)
        numpy.save(self.folder / "x.npy", random.standard_normal((32, 1, 8, 8)).astype("f"))
        numpy.save(self.folder / "y.npy", random.integers(0, CLASSES, 32).astype("i"))

    def model(self, name, more=""):
        path = self.folder / f"{name}.cnn"
        path.write_text(SMALL.replace("MORE", more))
        return path

    def program(self, name, target, *options, more=""):
        run(HALCYON, "compile", "--train", self.model(name, more), "--target", target, *options, "-o",
            self.folder / f"{name}-{target}")
        return self.folder / f"{name}-{target}"

    def train(self, program, into, *options):
        said = run(program, "-o", self.folder / into, "--threads", 1, "--quiet", *options, cwd=self.folder)
        return self.folder / into, said


def learns_the_same(place):
    runs = [place.train(place.program("plain", target), target, "--steps", 5)[0] for target in ("host", place.target)]
    agree(*map(losses, runs), CLOSE)


def learns_the_same_in_double_precision(place):
    runs = [place.train(place.program("double", target, "--precision", "f64"), f"f64-{target}", "--steps", 5)[0]
            for target in ("host", place.target)]
    agree(*map(losses, runs), CLOSE_DOUBLES)


def leaves_weights_there(place):
    folder, said = place.train(place.program("plain", place.target), "traffic", "--steps", 7, "--profile")
    step_in, step_out, state_in, state_out = map(int, re.search(
        r"^a step copies (\d+) bytes to the device and (\d+) back; weights and slots took (\d+) there, (\d+) back$",
        said, re.M).groups())
    # Images and labels, the rate and the step's number; losses, logits and the gradients' norms of two filters.
    assert step_in == 4 * (BATCH * (8 * 8 + 1) + 2), step_in
    assert step_out == 4 * (BATCH * (1 + CLASSES) + 2), step_out
    # Back when an epoch ends, and at the end.
    state = 4 * elements(folder / "state.safetensors")
    assert (state_in, state_out) == (state, 2 * state), (state_in, state_out, state)


def goes_on(place):
    """Averages are measured, weights are written, and a run goes on wherever it ended."""
    program = place.program("averaged", place.target, more="average ema(0.9)\n  keep every(2 steps)")
    whole, _ = place.train(program, "whole")
    place.train(program, "part", "--steps", 6)
    part, _ = place.train(program, "part", "--resume")
    with subprocess.Popen([program, "-o", place.folder / "killed", "--threads", "1", "--quiet"], cwd=place.folder) as process:
        while not (place.folder / "killed" / "step-8.safetensors").exists():
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
        process.kill()
    assert not (place.folder / "killed" / "last.safetensors").exists(), "it was not killed in time"
    killed, _ = place.train(program, "killed", "--resume")
    for other in (part, killed):
        for name in ("last", "step-20", "state"):
            # What is before the tensors also says how long it took.
            a, b = ((folder / f"{name}.safetensors").read_bytes()[-4 * elements(whole / f"{name}.safetensors"):]
                    for folder in (whole, other))
            assert a == b, f"{other.name}: {name} is another"
    host, _ = place.train(place.program("averaged", "host", more="average ema(0.9)\n  keep every(2 steps)"), "host-whole",
                          "--steps", 8)
    here, there = ([line["val loss"] for line in log_of(folder) if "epoch" in line][:2] for folder in (host, whole))
    assert numpy.allclose(here, there, rtol=CLOSE), (here, there)


def has_gradients(place):
    """Against central differences, in double precision."""
    said = run(HALCYON, "check-grad", place.model("gradients"), "--target", place.target)
    assert re.search(r"^6 gradients, 0 wrong", said, re.M), said


def learns_digits(place):
    # The batch of the model's own takes lavapipe minutes.
    def first(target):
        run(HALCYON, "train", ROOT / "examples" / "lenet.cnn", "--target", target, "--steps", 5, "--batch", 8, "--threads",
            1, "-o", place.folder / f"lenet-{target}")
        return losses(place.folder / f"lenet-{target}")

    agree(first("host"), first(place.target), CLOSE)


def has_gradients_of_layers(place):
    tests = ROOT / "test" / "tools"
    for options in (["net"], ["net", "--derived"], ["plain", "--seed", 3, "--batch", 3], ["pools"]):
        said = run(HALCYON, "check-grad", tests / "check-grad.cnn", "--target", place.target, "--model", *options)
        assert ", 0 wrong" in said, said


def is_measured(place):
    """Candidates of a convolution that ran on the device and gave the right values."""
    model = place.folder / "one.cnn"
    model.write_text(CONVOLUTION)
    said = run(HALCYON, "tune", model, "--weights", "seed:1", "--target", place.target, "--budget", "90s", "--store",
               place.folder / "tune.db", "-o", place.folder / "one.sched")
    count, failed = re.search(r"^(\d+) candidates .* measured(?:; failed: (\d+))?", said, re.M).groups()
    assert int(count) > int(failed or 0), said


SHORT = [learns_the_same, leaves_weights_there, learns_the_same_in_double_precision, has_gradients, goes_on]
WHOLE = [learns_digits, has_gradients_of_layers, is_measured]


def main():
    whole = "--whole" in sys.argv
    failed = 0
    tests = WHOLE if whole else SHORT
    with tempfile.TemporaryDirectory() as folder:
        place = Place(folder, sys.argv[1])
        for test in tests:
            start, why = time.monotonic(), ""
            try:
                test(place)
            except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
                why = f": {error}"
                failed += 1
            print("FAIL" if why else "PASS", f"{test.__name__.replace('_', ' ')} ({time.monotonic() - start:.1f} s){why}",
                  flush=True)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
