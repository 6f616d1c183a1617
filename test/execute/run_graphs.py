#!/usr/bin/env python3
"""Runs the models of .mlir files and compares them with what numpy makes of their text.

    run_graphs.py FILE ... [--filter REGEX] [--batch 3] [-- flags of halcyon compile]

Understands what graphs of a few plain layers need: conv, maxpool, global_avgpool,
linear, flatten, concat and the maps relu, add and mul.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

from graph import write_safetensors  # noqa: E402


def windows(x, kernel, stride, pad, fill=0.0):
    """N x C x H x W x KH x KW."""
    top, left, bottom, right = pad
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    found = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(2, 3))
    return found[:, :, :: stride[0], :: stride[1]]


def conv(x, weight, bias=None, *, stride=(1, 1), pad=(0, 0, 0, 0), groups=1):
    parts = [np.einsum("nchwij,ocij->nohw", windows(part, weight.shape[2:], stride, pad), filters)
             for part, filters in zip(np.split(x, groups, 1), np.split(weight, groups))]
    y = np.concatenate(parts, 1)
    return y if bias is None else y + bias[:, None, None]


def maxpool(x, *, kernel, stride, pad=(0, 0, 0, 0)):
    return windows(x, tuple(kernel), stride, pad, -np.inf).max((4, 5))


LAYERS = {
    "conv": conv,
    "maxpool": maxpool,
    "global_avgpool": lambda x: x.mean((2, 3), keepdims=True),
    "linear": lambda x, weight, bias=0: x @ weight.T + bias,
    "flatten": lambda x: x.reshape(len(x), -1),
    "concat": lambda *xs: np.concatenate(xs, 1),
    "relu": lambda x: np.maximum(x, 0),
    "add": lambda x, y: x + y,
    "mul": lambda x, y: x * y,
}
OPERATION = re.compile(r'%(\w+) = cnn\.(\w+)(?: "([^"]*)")? ?((?:%\w+(?:, )?)*) ?(?:\{(.*?)\} )?: (.*?)(?: \{)?$')
OUTPUT = re.compile(r'cnn\.output %(\w+) "(\w+)"')


def attributes(text):
    found = {name: tuple(map(int, numbers.split(",")))
             for name, numbers in re.findall(r"(\w+) = array<i64: ([^>]*)>", text or "")}
    return found | {name: int(number) for name, number in re.findall(r"(\w+) = (\d+) : i64", text or "")}


def evaluate(text, batch, seed):
    """What goes into a model and what comes out of it: inputs, weights, outputs."""
    values, inputs, weights, outputs = {}, {}, {}, {}
    random = np.random.default_rng(seed)
    for line in map(str.strip, text.splitlines()):
        if output := OUTPUT.match(line):
            outputs[output[2]] = values[output[1]]
        if not (match := OPERATION.match(line)):
            continue
        result, kind, name, operands, attrs, types = match.groups()
        if kind in ("input", "weight"):
            shape = [int(n) for n in types[types.index("<") + 1:types.rindex("x")].replace("?", str(batch)).split("x")]
            scale = 1 if kind == "input" or len(shape) == 1 else np.prod(shape[1:]) ** -0.5
            value = (scale * random.standard_normal(shape)).astype(np.float32)
            (inputs if kind == "input" else weights)[name] = value
        else:
            layer = LAYERS[name if kind == "map" else kind]
            value = layer(*(values[operand] for operand in re.findall(r"%(\w+)", operands)), **attributes(attrs))
        values[result] = value
    return inputs, weights, outputs


def run_model(args, text, folder):
    inputs, weights, outputs = evaluate(text, args.batch, seed=1)
    write_safetensors(folder / "weights.safetensors", weights)
    model, program = folder / "model.mlir", folder / "program"
    model.write_text(text)
    subprocess.run([args.halcyon, "compile", model, "--weights", folder / "weights.safetensors", "-o", program,
                    *args.flags], check=True, timeout=args.limit)
    command = [program, "--batch", str(args.batch)]
    for port, value in inputs.items():
        np.save(folder / f"in.{port}.npy", value)
        command += ["--input", f"{port}={folder}/in.{port}.npy"]
    for port in outputs:
        command += ["--output", f"{port}={folder}/out.{port}.npy"]
    subprocess.run(command, check=True, timeout=args.limit, stdout=subprocess.DEVNULL)
    worst = {}
    for port, expected in outputs.items():
        result = np.load(folder / f"out.{port}.npy")
        if result.shape != expected.shape:
            worst[port] = f"{result.shape}, not {expected.shape}"
        elif not (error := float(abs(result - expected).max() / abs(expected).max())) < args.tolerance:
            worst[port] = f"off by {error:.2g}"
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--halcyon", default="halcyon")
    parser.add_argument("--filter", default="")
    parser.add_argument("--batch", type=int, default=3)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--limit", type=float, default=120, help="seconds for a compilation or a run")
    own, flags = (sys.argv[1:], []) if "--" not in sys.argv else (
        sys.argv[1:sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1:])
    args = parser.parse_args(own)
    args.flags = flags
    failed = passed = 0
    for file in args.files:
        for text, name in re.findall(r"^(cnn\.model @(\w+) \{\n.*?^\})", file.read_text(), re.M | re.S):
            if not re.search(args.filter, name):
                continue
            with tempfile.TemporaryDirectory() as folder:
                try:
                    worst = run_model(args, text, pathlib.Path(folder))
                except (subprocess.SubprocessError, OSError) as error:
                    worst = {"program": str(error)}
            failed += bool(worst)
            passed += not worst
            for port, what in worst.items():
                print(f"FAIL {name}: {port} {what}")
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
