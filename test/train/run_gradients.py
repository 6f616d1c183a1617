#!/usr/bin/env python3
"""Gradients of layers against torch's, in f32 with the kernels that training runs.

    run_gradients.py [--target opencl] [CASE ...]

What torch says is in gradients.npz, which make_gradients.py writes.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy

from gradient_cases import CASES, model

HERE = pathlib.Path(__file__).resolve().parent
BIN = HERE.parents[1] / "build" / "bin"
PASSES = ("builtin.module(cnn-split-training{{check=true}},"
          "cnn.model(cnn-normalize-padding,cnn-differentiate{{derived={derived}}}))")
LIMIT = 2e-5  # of the largest value: sums in f32


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stderr.strip().splitlines() or ["no message"])[-1]


def compile_step(name, folder, derived, target):
    """The program of the case's step, and the names of its inputs and outputs."""
    source, graph, step, program = (folder / f"{name}{end}" for end in (".cnn", ".mlir", ".step.mlir", ""))
    source.write_text(model(name))
    run(BIN / "halcyon", "compile", source, "--emit=cnn", "-o", graph)
    run(BIN / "halcyon-opt", f"--pass-pipeline={PASSES.format(derived=str(derived).lower())}", graph, "-o", step)
    text = step.read_text()
    text = text[:text.index("cnn.model @eval")].rstrip() + "\n}\n"
    step.write_text(text)
    run(BIN / "halcyon", "compile", step, "--weights", "seed:1", "--target", target, "-o", program)
    return program, re.findall(r'cnn\.input "([^"]+)"', text), re.findall(r'cnn\.output \S+ "([^"]+)"', text)


def check(name, folder, data, derived, target):
    program, inputs, outputs = compile_step(name, folder, derived, target)
    command = [program]
    for port in inputs:
        file = folder / f"{name}.{port.replace(':', '_')}.npy"
        numpy.save(file, data[f"{name}/{port.removeprefix('param:')}"])
        command += ["--input", f"{port}={file}"]
    files = {port: folder / f"{name}.out.{port.replace(':', '_')}.npy" for port in outputs}
    for port, file in files.items():
        command += ["--output", f"{port}={file}"]
    run(*command)
    wanted = [key.removeprefix(f"{name}/") for key in data.files if key.startswith(f"{name}/grad:")]
    assert wanted, "there is nothing to compare with"
    for port in [*wanted, "loss"]:
        right = data[f"{name}/{port}"]
        assert port in files, f"{port} is missing"
        ours = numpy.load(files[port]).reshape(right.shape)
        error = abs(ours - right).max() / max(abs(right).max(), 1e-6)
        assert error < LIMIT, f"{port} is off by {error:.1e}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--target", default="host")
    args = parser.parse_args()
    names = args.cases or list(CASES)
    data = numpy.load(HERE / "gradients.npz")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            for derived in (False, True):
                label = f"{name}{' derived' if derived else ''}"
                try:
                    check(name, pathlib.Path(folder), data, derived, args.target)
                    print(f"PASS {label}", flush=True)
                except AssertionError as problem:
                    failed += 1
                    print(f"FAIL {label}: {problem}", flush=True)
    print(f"{2 * len(names) - failed} passed, {failed} failed")
    return failed > 0


sys.exit(main())
