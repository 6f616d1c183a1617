#!/usr/bin/env python3
"""Compares the program of an ONNX model with ONNX Runtime: halcyon verify runs this.

    verify.py HALCYON MODEL [--input [name=]x.npy ...] [--shape input=1,3,224,224 ...]
              [--value input=x.npy ...] [--layers] [--tolerance 1e-3] [--with onnxruntime|reference]

Where ONNX Runtime is missing, or can't run the model, ONNX's own reference evaluator takes
its place. Where an output departs, or with --layers, every value between the nodes is
compared, in the order of the graph, and the first that departs is named.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
except ImportError as missing:
    sys.exit(f"error: verify needs the Python package {missing.name}; HALCYON_PYTHON names a Python that has it")


def ports_of(model):
    """Inputs that are not parameters: name, type of the elements, sizes."""
    known = {tensor.name for tensor in model.graph.initializer}
    for port in model.graph.input:
        tensor = port.type.tensor_type
        if port.name not in known:
            yield port.name, tensor.elem_type, [d.dim_value if d.HasField("dim_value") else 1 for d in tensor.shape.dim]


def inputs_of(model, args):
    """Numbers for every input: those given, else drawn from a seed."""
    ports = list(ports_of(model))
    given = {}
    for text in args.input + args.value:
        name, _, path = text.rpartition("=")
        if name and name not in [port[0] for port in ports]:
            raise ValueError(f"there is no input '{name}'; there is {', '.join(port[0] for port in ports)}")
        given[name or ports[0][0]] = np.load(path)
    shapes = {}
    for text in args.shape:
        name, _, sizes = text.partition("=")
        shapes[name] = [1 if size in ("N", "?") else int(size) for size in sizes.split(",")]
    random, feeds = np.random.default_rng(0), {}
    for name, kind, sizes in ports:
        if name in given:
            feeds[name] = given[name]
            continue
        shape = shapes.get(name) or sizes
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
        if np.issubdtype(dtype, np.floating):
            feeds[name] = random.normal(0, 1, shape).astype(dtype)
        elif dtype == np.uint8:
            feeds[name] = random.integers(0, 256, shape, dtype)
        elif dtype == bool or np.issubdtype(dtype, np.integer):
            feeds[name] = random.integers(0, 2, shape).astype(dtype)
        else:
            raise ValueError(f"give numbers for '{name}': --input {name}=x.npy")
    return feeds


class Runtime:
    name = "ONNX Runtime"

    def __init__(self, model):
        import onnxruntime as ort
        options = ort.SessionOptions()
        options.log_severity_level = 4
        # As it is written, without the runtime's own rewriting.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        self.session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def run(self, names, feeds):
        return self.session.run(names, feeds)


class Reference:
    name = "ONNX's reference evaluator"

    def __init__(self, model):
        from onnx.reference import ReferenceEvaluator
        self.evaluator = ReferenceEvaluator(str(model))

    def run(self, names, feeds):
        return self.evaluator.run(names, feeds)


def expect(args, model, feeds, names):
    """What the model's values are, and who says so."""
    kinds = {"onnxruntime": [Runtime], "reference": [Reference]}.get(args.by, [Runtime, Reference])
    for kind in kinds:
        try:
            return kind.name, kind(model).run(names, feeds)
        except Exception as error:  # of any kind: it is another program's
            missing = isinstance(error, ImportError)
            why = "is not installed" if missing else "can't run it: " + (str(error).splitlines() or [type(error).__name__])[0]
            if kind is kinds[-1]:
                raise ValueError(f"{kind.name} {why}") from None
            print(f"note: {kind.name} {why}; the values are those of {kinds[-1].name}", file=sys.stderr)


def compute(args, model, feeds, names, folder):
    """What the compiled program makes of the inputs."""
    program = folder / "program"
    shapes = [word for text in args.shape for word in ("--shape", text)]
    values = [word for text in args.value for word in ("--value", text)]
    subprocess.run([args.halcyon, "compile", model, *shapes, *values, "-o", program], check=True)
    command = [program]
    known = [text.partition("=")[0] for text in args.value]
    for number, (name, value) in enumerate(feeds.items()):
        if name in known:
            continue
        np.save(folder / f"in{number}.npy", value)
        command += ["--input", f"{name}={folder}/in{number}.npy"]
    for number, name in enumerate(names):
        command += ["--output", f"{name}={folder}/out{number}.npy"]
    subprocess.run(command, check=True)
    # Nothing is written of what has no elements.
    paths = [folder / f"out{number}.npy" for number in range(len(names))]
    return [np.load(path) if path.exists() else np.zeros(0) for path in paths]


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


def compare_layers(args, model, feeds, folder):
    """Value by value; whether one departs."""
    path = folder / "layers.onnx"
    # With what lies in files beside the model.
    onnx.load_external_data_for_model(model, str(args.model.parent))
    with_all_values(model, path)
    names = [port.name for port in model.graph.output]
    results = dict(zip(names, compute(args, path, feeds, names, folder)))
    expected = dict(zip(names, expect(args, path, feeds, names)[1]))
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
                return True
    return False


def verify(args, folder):
    model = onnx.load(args.model, load_external_data=False)
    feeds = inputs_of(model, args)
    names = [port.name for port in model.graph.output]
    results = compute(args, args.model, feeds, names, folder)
    who, values = expect(args, args.model, feeds, names)
    departs = False
    for name, result, expected in zip(names, results, values):
        error = departure(result, expected)
        departs |= not error <= args.tolerance
        print(f"{name}: {list(expected.shape)}, off by {error:.2g} of the largest value of {who}")
    if not departs and not args.layers:
        return 0
    if not compare_layers(args, model, feeds, folder) and departs:
        print("no value between the nodes departs by itself: it is how layers are joined, or that errors add up")
    return int(departs)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("halcyon")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--input", action="append", default=[])
    parser.add_argument("--shape", action="append", default=[])
    parser.add_argument("--value", action="append", default=[])
    parser.add_argument("--layers", action="store_true")
    parser.add_argument("--tolerance", type=float, default=1e-3)
    parser.add_argument("--with", dest="by", default="")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            return verify(args, pathlib.Path(folder))
        except subprocess.CalledProcessError:
            return 1  # it has said why
        except Exception as error:  # protobuf's, numpy's, onnx's: whatever the files hold
            print(f"error: {args.model}: {error}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
