#!/usr/bin/env python3
"""Training and tuning on a device: LeNet's first losses agree with the CPU's, and
candidates of a convolution are measured.

    run_device.py TARGET
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HALCYON = ROOT / "build" / "bin" / "halcyon"
STEPS = 5
MODEL = """model one {
  input x: f32[N, 16, 14, 14]
  output x -> conv(32, 5) -> relu
}
"""
LIMIT = 1e-3  # of a loss: sums in another order, and what Adam makes of them


def losses(target, folder):
    subprocess.run([HALCYON, "train", ROOT / "examples" / "lenet.cnn", "--target", target,
                    "--steps", str(STEPS), "--threads", "1", "-o", folder], check=True)
    lines = [json.loads(line) for line in (pathlib.Path(folder) / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "step" in line]


def measured(target, folder):
    """Candidates that ran on the device and gave the right values."""
    model = pathlib.Path(folder) / "one.cnn"
    model.write_text(MODEL)
    said = subprocess.run([HALCYON, "tune", model, "--weights", "seed:1", "--target", target, "--budget", "90s",
                           "--store", f"{folder}/tune.db", "-o", f"{folder}/one.sched"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    print(said)
    count, failed = re.search(r"^(\d+) candidates .* measured(?:; failed: (\d+))?", said, re.M).groups()
    return int(count) - int(failed or 0)


with tempfile.TemporaryDirectory() as folder:
    here, there = (losses(target, f"{folder}/{target}") for target in ("host", sys.argv[1]))
    found = measured(sys.argv[1], folder)
good = sum(abs(a - b) <= LIMIT * abs(a) for a, b in zip(here, there)) + (found > 0)
print(here, there, found)
print(f"{good} passed, {STEPS + 1 - good} failed")
sys.exit(good != STEPS + 1)
