"""Runs @NAME@.onnx once in ONNX Runtime, on .npy files (one an input) or on zeros.

    python example.py [input.npy ...]
"""

import pathlib
import sys

import numpy
import onnxruntime

here = pathlib.Path(__file__).parent
options = onnxruntime.SessionOptions()
options.register_custom_ops_library(str(here / "lib@NAME@_onnxruntime.so"))
session = onnxruntime.InferenceSession(here / "@NAME@.onnx", options, providers=["CPUExecutionProvider"])
TYPES = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64", "tensor(int32)": "int32"}
feeds = {}
for index, port in enumerate(session.get_inputs()):
    shape = [size if isinstance(size, int) else 1 for size in port.shape]
    given = len(sys.argv) > index + 1
    feeds[port.name] = numpy.load(sys.argv[index + 1]) if given else numpy.zeros(shape, TYPES[port.type])
for port, output in zip(session.get_outputs(), session.run(None, feeds)):
    print(port.name, output.dtype, list(output.shape), *(f"{value:.9g}" for value in output.ravel()[:10]))
