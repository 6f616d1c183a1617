#!/usr/bin/env python3
"""A detector whose outputs are as many as there are objects: its program gives what ONNX
Runtime gives, whether there are many, few or none.

    detect.py FOLDER
"""

import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper


def detector(path):
    rng, weights = np.random.default_rng(3), []

    def number(value, dtype=np.int64):
        weights.append(numpy_helper.from_array(np.array(value, dtype), f"w{len(weights)}"))
        return weights[-1].name

    def node(op, inputs, output, **attributes):
        return helper.make_node(op, inputs, [output], output, **attributes)

    nodes = [
        node("Conv", ["image", number(rng.normal(0, 0.4, (7, 3, 4, 4)), np.float32),
                      number(rng.normal(0, 0.4, 7), np.float32)], "grid", strides=[4, 4]),
        node("Reshape", ["grid", number([0, 7, -1])], "rows"),
        node("Sigmoid", ["rows"], "near"),
        node("Split", ["near", number([4, 3])], "parts", axis=1),
        node("Transpose", ["corners"], "boxes", perm=[0, 2, 1]),
        node("NonMaxSuppression", ["boxes", "scores", number([6]), number([0.3], np.float32), "least"], "selected"),
        # Box and score of each that is selected.
        node("Gather", ["selected", number(2)], "which", axis=1),
        node("Squeeze", ["boxes", number([0])], "all"),
        node("Gather", ["all", "which"], "found", axis=0),
        node("Mul", ["found", number(32, np.float32)], "scaled"),
        node("GatherND", ["scores", "selected"], "score"),
        node("Unsqueeze", ["score", number([1])], "column"),
        node("Concat", ["scaled", "column"], "objects", axis=1),
        # Where scores are large, as masks become indices.
        node("Greater", ["scores", "least"], "large"),
        node("NonZero", ["large"], "places"),
        node("Transpose", ["places"], "rows_of_places"),
        node("GatherND", ["scores", "rows_of_places"], "large_scores"),
        node("Cast", ["large_scores"], "as_double", to=TensorProto.DOUBLE),
    ]
    nodes[3].output[:] = ["corners", "scores"]

    def port(name, kind, shape):
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        nodes, "detector", [port("image", TensorProto.FLOAT, (1, 3, 28, 36)), port("least", TensorProto.FLOAT, (1,))],
        [port("objects", TensorProto.FLOAT, (None, 5)), port("selected", TensorProto.INT64, (None, 3)),
         port("places", TensorProto.INT64, (3, None)), port("as_double", TensorProto.DOUBLE, (None,)),
         port("grid", TensorProto.FLOAT, (1, 7, 7, 9))], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return model


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    model = detector(folder / "detector.onnx")
    names = [port.name for port in model.graph.output]
    session = ort.InferenceSession(str(folder / "detector.onnx"), providers=["CPUExecutionProvider"])
    subprocess.run(["halcyon", "compile", folder / "detector.onnx", "-o", folder / "detector"], check=True)
    image = np.random.default_rng(5).normal(0, 0.5, (1, 3, 28, 36)).astype(np.float32)
    np.save(folder / "image.npy", image)
    for least in (0.2, 0.6, 0.99):
        value = np.array([least], np.float32)
        np.save(folder / "least.npy", value)
        words = [word for name in names for word in ("--output", f"{name}={folder / name}.npy")]
        subprocess.run([folder / "detector", "--input", f"image={folder / 'image.npy'}", "--input",
                        f"least={folder / 'least.npy'}", *words], check=True)
        for name, expected in zip(names, session.run(names, {"image": image, "least": value})):
            result = np.load(folder / f"{name}.npy")
            if result.shape != expected.shape or result.dtype != expected.dtype or not np.allclose(
                    result, expected, atol=1e-4):
                sys.exit(f"{name} differs: {result.dtype} {result.shape}, {expected.dtype} {expected.shape}")
        print(f"same above {least}: {len(np.load(folder / 'objects.npy'))} objects")


main()
