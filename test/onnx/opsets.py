#!/usr/bin/env python3
"""The same network written at every opset from 7 to the newest: what became an input or an
attribute, and what changed its meaning, gives what ONNX Runtime gives.

    opsets.py FOLDER [OPSET ...]
"""

import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

NEWEST = onnx.defs.onnx_opset_version()


class Network:
    """Nodes on one input, each of which is an output."""

    def __init__(self, opset):
        self.opset, self.nodes, self.weights, self.outputs = opset, [], [], []

    def number(self, value, dtype=np.int64):
        self.weights.append(numpy_helper.from_array(np.array(value, dtype), f"number{len(self.weights)}"))
        return self.weights[-1].name

    def add(self, op, *inputs, kind=TensorProto.FLOAT, outputs=1, rank=None, **attributes):
        names = [f"{op}{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, ["x", *inputs] if op != "Gather" else inputs, names, **attributes))
        self.outputs += [helper.make_tensor_value_info(name, kind, None) for name in names]

    def since(self, opset, op, attribute, value, dtype=np.int64, more=(), **others):
        """An attribute that became an input."""
        if self.opset < opset:
            self.add(op, **{attribute: value}, **others)
        else:
            self.add(op, *more, self.number(value, dtype), **others)

    def model(self):
        graph = helper.make_graph(self.nodes, "opsets",
                                  [helper.make_tensor_value_info("x", TensorProto.FLOAT, (2, 4, 6, 7))], self.outputs,
                                  self.weights)
        found = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        found.ir_version = min(found.ir_version, 10)
        return found


def network(opset):
    n, rng = Network(opset), np.random.default_rng(opset)

    def weight(*shape):
        return n.number(rng.normal(0, 0.3, shape), np.float32)

    n.add("Conv", weight(5, 4, 3, 3), weight(5), pads=[1, 1, 1, 1])
    n.add("BatchNormalization", weight(4), weight(4), weight(4), n.number([1, 2, 0.5, 3], np.float32))
    n.add("MaxPool", kernel_shape=[3, 2], strides=[2, 2], **({"ceil_mode": 1} if opset >= 10 else {}))
    n.add("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2], count_include_pad=1,
          **({"ceil_mode": 1} if opset >= 10 else {}), **({"dilations": [2, 1]} if opset >= 19 else {}))
    if opset < 11:
        n.add("Clip", min=-0.5, max=0.7)
        n.add("Pad", pads=[0, 0, 1, 2, 0, 0, 0, 1], mode="reflect")
    else:
        n.add("Clip", n.number(-0.5, np.float32), n.number(0.7, np.float32))
        n.add("Pad", n.number([0, 0, 1, 2, 0, 0, 0, 1]), mode="reflect")
    if opset >= 18:
        n.add("Pad", n.number([1, 2]), "", n.number([-1]), mode="wrap" if opset >= 19 else "edge")
    if opset < 10:
        n.add("Slice", starts=[1, -4], ends=[3, 2 ** 31 - 1], axes=[1, 3])
    else:
        n.add("Slice", n.number([1, -1]), n.number([3, -(2 ** 31)]), n.number([1, 3]), n.number([1, -2]))
    scales = [1.0, 1.0, 2.0, 1.5]
    for mode in ("nearest", "linear"):
        if opset < 9:
            n.add("Upsample", scales=scales, mode=mode)
        elif opset == 9:
            n.add("Upsample", n.number(scales, np.float32), mode=mode)
        elif opset == 10:
            n.add("Resize", n.number(scales, np.float32), mode=mode)
        else:
            n.add("Resize", n.number([], np.float32), n.number(scales, np.float32), mode=mode)
            n.add("Resize", n.number([], np.float32) if opset < 13 else "", n.number([], np.float32) if opset < 13
                  else "", n.number([2, 4, 3, 9]), mode=mode, coordinate_transformation_mode="align_corners")
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        n.add(op)
        n.add(op, axis=2)
    n.since(13, "Unsqueeze", "axes", [0, 3])
    n.since(13, "ReduceSum", "axes", [1, 3], keepdims=0)
    n.since(18, "ReduceMean", "axes", [2])
    n.since(18, "ReduceMax", "axes", [3], keepdims=0)
    n.since(18, "ReduceL2", "axes", [1, 2])
    n.since(13, "Split", "split", [1, 3], axis=1, outputs=2)
    if opset >= 18:
        n.add("Split", axis=3, num_outputs=3, outputs=3)
    if opset < 12:
        n.add("Dropout", ratio=0.4)
    else:
        n.add("Dropout", n.number(0.4, np.float32))
    if opset < 10:
        n.nodes.append(helper.make_node("TopK", ["x"], ["top", "top_index"], k=3, axis=2))
    else:
        n.nodes.append(helper.make_node("TopK", ["x", n.number([3])], ["top", "top_index"], axis=2))
    n.outputs += [helper.make_tensor_value_info("top", TensorProto.FLOAT, None),
                  helper.make_tensor_value_info("top_index", TensorProto.INT64, None)]
    n.add("ArgMax", axis=1, kind=TensorProto.INT64)
    n.add("Gather", "x", n.number([3, 0]), axis=1)
    n.add("PRelu", weight(4, 1, 1))
    n.add("Cast", to=TensorProto.INT32, kind=TensorProto.INT32)
    n.add("Flatten", axis=2)
    n.add("Sum", "x", "x")
    n.add("Mul", weight(7))
    n.add("Elu", alpha=0.7)
    n.add("GlobalAveragePool")
    n.add("InstanceNormalization", weight(4), weight(4))
    n.add("LRN", size=3)
    n.add("ConvTranspose", weight(4, 3, 3, 3), strides=[2, 2], output_padding=[1, 1])
    n.add("DepthToSpace", blocksize=2, **({"mode": "CRD"} if opset >= 11 else {}))
    n.add("Tile", n.number([1, 2, 1, 3]))
    n.add("Expand", n.number([3, 1, 1, 1, 1])) if opset >= 8 else None
    if opset >= 11:
        n.add("CumSum", n.number(3))
        n.add("GatherElements", n.number(rng.integers(0, 4, (2, 2, 6, 7))), axis=1)
    if opset >= 16:
        n.add("GridSample", n.number(rng.uniform(-1.2, 1.2, (2, 5, 5, 2)), np.float32),
              mode="bilinear" if opset < 20 else "linear")
    if opset >= 17:
        n.add("LayerNormalization", weight(7), weight(7))
    return n.model()


def reference(model, value):
    try:
        options = ort.SessionOptions()
        options.log_severity_level = 4
        return ort.InferenceSession(model.SerializeToString(), options,
                                    providers=["CPUExecutionProvider"]).run(None, {"x": value})
    except Exception:  # newer than ONNX Runtime is
        return ReferenceEvaluator(model).run(None, {"x": value})


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    value = np.random.default_rng(7).normal(0, 1, (2, 4, 6, 7)).astype(np.float32)
    np.save(folder / "x.npy", value)
    for opset in map(int, sys.argv[2:]) if sys.argv[2:] else range(7, NEWEST + 1):
        model = network(opset)
        onnx.save(model, folder / "model.onnx")
        done = subprocess.run(["halcyon", "compile", folder / "model.onnx", "-o", folder / "program"], text=True,
                              capture_output=True)
        if done.returncode:
            sys.exit(f"opset {opset}: {done.stderr}")
        names = [port.name for port in model.graph.output]
        words = [word for name in names for word in ("--output", f"{name}={folder / name}.npy")]
        subprocess.run([folder / "program", "--input", folder / "x.npy", *words], check=True)
        for name, expected in zip(names, reference(model, value)):
            result = np.load(folder / f"{name}.npy")
            if result.shape != expected.shape or not np.allclose(result, expected, rtol=1e-3, atol=1e-4):
                difference = abs(result - expected).max() if result.shape == expected.shape else result.shape
                sys.exit(f"opset {opset}: {name} differs: {expected.shape}, {difference}")
        print(f"opset {opset}: {len(names)} outputs")


main()
