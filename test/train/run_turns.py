#!/usr/bin/env python3
"""Models that are trained in turn: their losses and weights against torch's, and a run that goes on.

What torch says is in turns.npz, which make_turns.py writes.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy

from run_curves import write_weights
from run_trainer import tensors
from turn_cases import MODEL, STEPS, data

HERE = pathlib.Path(__file__).resolve().parent
HALCYON = HERE.parents[1] / "build" / "bin" / "halcyon"
LIMIT = 1e-3  # relative, of sums in f32


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stderr.strip().splitlines() or ["no message"])[-1]


def follows_torch(folder):
    wanted = numpy.load(HERE / "turns.npz")
    lines = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    for name in "dg":
        losses = [line[f"loss {name}"] for line in lines if "step" in line]
        assert len(losses) == STEPS, f"{len(losses)} steps"
        errors = abs(numpy.array(losses) / wanted[name] - 1)
        assert errors.max() < LIMIT, f"step {errors.argmax() + 1} of {name}: {losses}, not {wanted[name]}"
    state = tensors(folder / "run" / "state.safetensors")
    for name in data()[2]:
        error = abs(state[name] - wanted[name]).max() / abs(wanted[name]).max()
        assert error < LIMIT, f"{name} is off by {error:.1e}"


def keeps_models_apart(folder):
    state = tensors(folder / "run" / "state.safetensors")
    for player in "gd":
        own = tensors(folder / "run" / f"{player}-last.safetensors")
        wanted = {name[2:] for name in data()[2] if name.startswith(f"{player}.")}
        assert set(own) == wanted, set(own)
        assert all(numpy.array_equal(own[name], state[f"{player}.{name}"]) for name in own)
    run(HALCYON, "compile", folder / "gan.cnn", "--model", "generator", "--weights",
        folder / "run" / "g-last.safetensors", "-o", folder / "generator")
    numpy.save(folder / "noise-in.npy", data()[1])
    run(folder / "generator", "--input", folder / "noise-in.npy", "--output", folder / "made.npy", "--batch", 6)
    assert numpy.load(folder / "made.npy").shape == (6, 1, 8, 8)


def goes_on(folder):
    start = ["--weights", folder / "weights.safetensors"]
    run(folder / "run" / "trainer", "-o", folder / "part", *start, "--steps", 5)
    run(folder / "run" / "trainer", "-o", folder / "part", *start, "--resume", "--threads", 1)
    whole, part = (tensors(folder / name / "state.safetensors") for name in ("run", "part"))
    assert set(whole) == set(part) and all(numpy.array_equal(whole[name], part[name]) for name in whole)


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        images, noise, weights = data()
        numpy.save(folder / "images.npy", images)
        numpy.save(folder / "noise.npy", noise)
        write_weights(folder / "weights.safetensors", weights)
        (folder / "gan.cnn").write_text(MODEL)
        for test in (follows_torch, keeps_models_apart, goes_on):
            try:
                if test is follows_torch:
                    run(HALCYON, "train", folder / "gan.cnn", "--weights", folder / "weights.safetensors", "-o", folder / "run")
                test(folder)
                good, why = True, ""
            except (AssertionError, OSError, KeyError) as problem:
                good, why = False, f": {problem}"
            print("PASS" if good else "FAIL", test.__name__.replace("_", " ") + why, flush=True)
            passed, failed = passed + good, failed + (not good)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
