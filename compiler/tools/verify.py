#!/usr/bin/env python3
"""Compares the program of an ONNX model with ONNX Runtime: halcyon verify runs this.

    verify.py HALCYON MODEL [--input [name=]x.npy ...] [--shape input=1,3,224,224 ...]
              [--layers] [--tolerance 1e-3]

Where an output departs, or with --layers, every value between the nodes is compared, in the
order of the graph, and the first that departs is named.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort


def inputs_of(session, args):
    """Numbers for every input: those given, else drawn from a seed."""
    given = {}
    for text in args.input:
        name, _, path = text.rpartition("=")
        given[name or session.get_inputs()[0].name] = np.load(path)
    shapes = {}
    for text in args.shape:
        name, _, sizes = text.partition("=")
        shapes[name] = [1 if size in ("N", "?") else int(size) for size in sizes.split(",")]
    random, feeds = np.random.default_rng(0), {}
    for port in session.get_inputs():
        if port.name in given:
            feeds[port.name] = given[port.name]
            continue
        shape = shapes.get(port.name) or [size if isinstance(size, int) else 1 for size in port.shape]
        kind = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}.get(port.type)
        if kind is None:
            sys.exit(f"error: give numbers for '{port.name}' ({port.type}): --input {port.name}=x.npy")
        feeds[port.name] = random.normal(0, 1, shape).astype(kind)
    return feeds


def session_of(model):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # As it is written, without the runtime's own rewriting.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def compute(args, model, feeds, names, folder):
    """What the compiled program makes of the inputs."""
    program = folder / "program"
    shapes = [word for text in args.shape for word in ("--shape", text)]
    subprocess.run([args.halcyon, "compile", model, *shapes, "-o", program], check=True)
    command = [program]
    for number, (name, value) in enumerate(feeds.items()):
        np.save(folder / f"in{number}.npy", value)
        command += ["--input", f"{name}={folder}/in{number}.npy"]
    for number, name in enumerate(names):
        command += ["--output", f"{name}={folder}/out{number}.npy"]
    subprocess.run(command, check=True)
    return [np.load(folder / f"out{number}.npy") for number in range(len(names))]


def departure(result, expected):
    """The largest difference over the largest value."""
    if result.size != expected.size:
        return float("inf")
    a, b = result.reshape(expected.shape).astype(np.float64), expected.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return 0.0
    scale = np.abs(b[np.isfinite(b)]).max(initial=0) or 1
    worst = np.abs(np.where(same, 0, a - b)).max() / scale
    return worst if np.isfinite(worst) else float("inf")


def with_all_values(model, path):
    """The model with every tensor of numbers between its nodes as an output."""
    inferred = onnx.shape_inference.infer_shapes(model)
    ports = {port.name: port for port in inferred.graph.value_info}
    outputs = {port.name for port in model.graph.output}
    for node in model.graph.node:
        for name in node.output if node.op_type != "Constant" else []:
            if name in ports and name not in outputs and ports[name].type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
                model.graph.output.append(ports[name])
    onnx.save(model, path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("halcyon")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--input", action="append", default=[])
    parser.add_argument("--shape", action="append", default=[])
    parser.add_argument("--layers", action="store_true")
    parser.add_argument("--tolerance", type=float, default=1e-3)
    args = parser.parse_args()
    try:
        session = session_of(args.model)
        feeds = inputs_of(session, args)
        names = [port.name for port in session.get_outputs()]
        with tempfile.TemporaryDirectory() as folder:
            folder, departs = pathlib.Path(folder), False
            for name, result, expected in zip(names, compute(args, args.model, feeds, names, folder),
                                              session.run(names, feeds)):
                error = departure(result, expected)
                departs |= not error <= args.tolerance
                print(f"{name}: {list(expected.shape)}, off by {error:.2g} of the largest value")
            if not departs and not args.layers:
                return 0
            model = onnx.load(args.model)
            # Beside the model, where its external data are found.
            path = args.model.parent / f".{args.model.stem}.verify.onnx"
            try:
                with_all_values(model, path)
                session = session_of(path)
                names = [port.name for port in session.get_outputs()]
                results = dict(zip(names, compute(args, path, feeds, names, folder)))
                expected = dict(zip(names, session.run(names, feeds)))
            finally:
                path.unlink(missing_ok=True)
            for number, node in enumerate(model.graph.node, 1):
                for name in node.output:
                    if name not in results:
                        continue
                    error = departure(results[name], expected[name])
                    if args.layers:
                        print(f"{number:5}  {node.op_type:24} {node.name or name:40} {error:.2g}")
                    if not error <= args.tolerance:
                        print(f"the first that departs is node {number}, '{node.name or name}' ({node.op_type}): "
                              f"off by {error:.2g}")
                        return 1
            if departs:
                print("no value between the nodes departs by itself: it is how layers are joined, or that errors add up")
            return int(departs)
    except (subprocess.CalledProcessError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
