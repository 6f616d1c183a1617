#!/usr/bin/env python3
"""Models written as ONNX give ONNX Runtime the values that they have here, and read back
they become the same program.

    round-trip.py FOLDER MODEL.cnn [option ...]
"""

import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort


def run(*words):
    subprocess.run([str(word) for word in words], check=True)


def main():
    folder, model, *options = pathlib.Path(sys.argv[1]), sys.argv[2], *sys.argv[3:]
    folder.mkdir(parents=True, exist_ok=True)
    once, twice = folder / "once.onnx", folder / "twice.onnx"
    run("halcyon", "emit", model, *options, "--for=onnx", "-o", once)
    run("halcyon", "emit", once, "--for=onnx", "-o", twice)
    onnx.checker.check_model(str(once), full_check=True)
    session = ort.InferenceSession(str(once), providers=["CPUExecutionProvider"])
    port = session.get_inputs()[0]
    shape = [2 if isinstance(size, str) else size for size in port.shape]
    value = np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)
    np.save(folder / "x.npy", value)
    names = [output.name for output in session.get_outputs()]
    expected = dict(zip(names, session.run(names, {port.name: value})))
    for source, extra in ((model, options), (once, []), (twice, [])):
        run("halcyon", "compile", source, *extra, "-o", folder / "program")
        outputs = [word for name in names for word in ("--output", f"{name}={folder / name}.npy")]
        run(folder / "program", "--input", folder / "x.npy", *outputs)
        for name, wanted in expected.items():
            result = np.load(folder / f"{name}.npy")
            error = abs(result - wanted).max() / abs(wanted).max() if result.shape == wanted.shape else np.inf
            if not error < 1e-4:
                sys.exit(f"{source}: {name}: {result.shape}, {wanted.shape}, off by {error:.2g}")
    weights = [{t.name: t.raw_data for t in onnx.load(path).graph.initializer} for path in (once, twice)]
    for name, data in weights[0].items():
        if not name.startswith("constant") and weights[1].get(name) != data:
            sys.exit(f"the weight {name} is not the same")
    print("same")


main()
