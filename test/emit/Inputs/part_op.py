"""A model of which some layers are an operator, beside the same model in ONNX's own.

    part_op.py PART.onnx PART.so WHOLE.onnx
"""

import sys

import numpy
import onnx
import onnxruntime

part, library, whole = sys.argv[1:]
graph = onnx.load(part).graph
own = [node for node in graph.node if node.domain.startswith("halcyon.")]
print(*(f"{node.op_type}: {len(node.input)} to {len(node.output)}" for node in own), "among", len(graph.node) - len(own))
onnx.checker.check_model(onnx.load(part))
options = onnxruntime.SessionOptions()
options.register_custom_ops_library(library)
session = onnxruntime.InferenceSession(part, options, providers=["CPUExecutionProvider"])
random = numpy.random.default_rng(5)
feeds = {}
for port in session.get_inputs():
    shape = [size if isinstance(size, int) else 2 for size in port.shape]
    feeds[port.name] = (random.standard_normal(shape).astype(numpy.float32) if port.type == "tensor(float)"
                        else random.integers(0, 5, shape).astype(numpy.int32))
expected = onnxruntime.InferenceSession(whole, providers=["CPUExecutionProvider"]).run(None, feeds)
for port, value, other in zip(session.get_outputs(), session.run(None, feeds), expected):
    assert value.shape == other.shape and abs(value - other).max() <= 1e-5 * abs(other).max(), port.name
print(len(expected), "outputs equal")
