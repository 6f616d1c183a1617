#!/usr/bin/env python3
"""LeNet's first steps on a device beside the same on the CPU: the losses agree.

    run_device.py TARGET
"""

import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = 5
LIMIT = 1e-3  # of a loss: sums in another order, and what Adam makes of them


def losses(target, folder):
    subprocess.run([ROOT / "build" / "bin" / "halcyon", "train", ROOT / "examples" / "lenet.cnn", "--target", target,
                    "--steps", str(STEPS), "--threads", "1", "-o", folder], check=True)
    lines = [json.loads(line) for line in (pathlib.Path(folder) / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "step" in line]


with tempfile.TemporaryDirectory() as folder:
    here, there = (losses(target, f"{folder}/{target}") for target in ("host", sys.argv[1]))
good = sum(abs(a - b) <= LIMIT * abs(a) for a, b in zip(here, there))
print(here, there)
print(f"{good} passed, {STEPS - good} failed")
sys.exit(good != STEPS)
