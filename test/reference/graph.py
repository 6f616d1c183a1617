"""ONNX graphs built by hand, each node evaluated by ONNX Runtime as it is added.

Evaluating while building gives every shape and lets batch statistics be drawn around
what a norm really sees, so that random networks keep their values in scale.
"""

import json
import math
import pathlib
import struct

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
IR_VERSION = 9


def session(model):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    data = model if isinstance(model, str) else model.SerializeToString()
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def write_safetensors(path, tensors):
    """`tensors`: name to array, of f32 or of whole numbers, which become i32."""
    whole = {name: value.dtype.kind == "i" for name, value in tensors.items()}
    header, at = {}, 0
    for name, value in tensors.items():
        header[name] = {"dtype": "I32" if whole[name] else "F32", "shape": list(value.shape), "data_offsets": [at, at + 4 * value.size]}
        at += 4 * value.size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, value in tensors.items():
            file.write(np.ascontiguousarray(value, dtype="<i4" if whole[name] else "<f4").tobytes())


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            tensors[name] = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
    return tensors


def pair(value):
    return list(value) if isinstance(value, (list, tuple)) else [value, value]


def four(pad):
    """One number, (height, width) or (top, left, bottom, right) as the latter."""
    pad = pair(pad)
    return pad if len(pad) == 4 else pad + pad


def rounded(array):
    """The nearest values that bf16 holds, the even one of two."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return ((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000).astype(np.uint32).view(np.float32)


class Value:
    """A tensor of the graph, with what it holds for the sample input."""

    def __init__(self, graph, name, array):
        self.graph, self.name, self.array = graph, name, array

    @property
    def channels(self):
        return self.array.shape[1]

    @property
    def size(self):
        return self.array.shape[2:]

    def __add__(self, other):
        return self.graph.node("Add", [self, other])

    def __mul__(self, other):
        return self.graph.node("Mul", [self, other])


class Graph:
    """Layers take the path of their weights, as a state dict spells it.

    With `bf16`, inputs and filters are values that bf16 holds."""

    def __init__(self, name, seed=1, bf16=False):
        self.name, self.bf16 = name, bf16
        self.random = np.random.default_rng(seed)
        self.weights = {}    # name -> array: the state dict
        self.constants = {}  # name -> array: shapes, pads and the like
        self.nodes, self.inputs, self.outputs = [], [], []
        self.parameters = 0  # trained numbers: all weights but the statistics

    # Graph

    def input(self, name, array):
        value = Value(self, name, self.stored(array))
        self.inputs.append(value)
        return value

    def whole(self, array):
        """An input of whole numbers, which no node reads."""
        return Value(self, "", np.ascontiguousarray(array, np.int32))

    def output(self, value, name):
        value = self.node("Identity", [value], name=name)
        self.outputs.append(value)
        return value

    def weight(self, name, array, trained=True):
        if name in self.weights:
            raise ValueError(f"two weights are named {name}")
        self.weights[name] = self.stored(array)
        self.parameters += self.weights[name].size if trained else 0
        return Value(self, name, self.weights[name])

    def stored(self, array):
        array = np.ascontiguousarray(array, np.float32)
        return rounded(array) if self.bf16 and array.ndim > 1 else array

    def constant(self, array):
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.asarray(array)
        return Value(self, name, self.constants[name])

    def node(self, op, operands, name=None, **attributes):
        name = name or f"value_{len(self.nodes)}"
        operands = [operand for operand in operands]
        node = helper.make_node(op, [operand.name if operand else "" for operand in operands], [name], **attributes)
        self.nodes.append(node)
        return Value(self, name, self.evaluate(node, [operand for operand in operands if operand]))

    def evaluate(self, node, operands):
        feeds = {operand.name: operand.array for operand in operands}
        # Shape-like operands must be constants; the rest are fed.
        constants = {name: feeds.pop(name) for name in list(feeds) if name in self.constants}
        graph = helper.make_graph(
            [node], node.op_type,
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape) for name, array in feeds.items()],
            [helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None)],
            [numpy_helper.from_array(array, name) for name, array in constants.items()])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        return session(model).run(None, feeds)[0]

    def model(self):
        """The graph as an ONNX model with a free batch size."""
        def port(value):
            return helper.make_tensor_value_info(value.name, TensorProto.FLOAT, ["N", *value.array.shape[1:]])

        tensors = [numpy_helper.from_array(array, name)
                   for name, array in {**self.weights, **self.constants}.items()]
        graph = helper.make_graph(self.nodes, self.name, [port(value) for value in self.inputs],
                                  [port(value) for value in self.outputs], tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model

    # Layers with weights

    def conv(self, x, path, channels, kernel, stride=1, pad=0, dilation=1, groups=1, bias=False, auto_pad=None):
        kernel = pair(kernel)
        fan_in = x.channels // groups * math.prod(kernel)
        operands = [x, self.weight(f"{path}.weight", self.random.normal(
            0, math.sqrt(2 / fan_in), (channels, x.channels // groups, *kernel)))]
        if bias:
            operands.append(self.weight(f"{path}.bias", self.random.normal(0, 0.1, channels)))
        padding = {"auto_pad": auto_pad} if auto_pad else {"pads": four(pad)}
        return self.node("Conv", operands, kernel_shape=kernel, strides=pair(stride),
                         dilations=pair(dilation), group=groups, **padding)

    def conv_transpose(self, x, path, channels, kernel, stride=1, pad=0, output_pad=0, dilation=1, groups=1,
                       bias=True):
        kernel, step = pair(kernel), pair(stride)
        fan_in = x.channels // groups * math.prod(kernel) / math.prod(step)
        operands = [x, self.weight(f"{path}.weight", self.random.normal(
            0, math.sqrt(2 / fan_in), (x.channels, channels // groups, *kernel)))]
        if bias:
            operands.append(self.weight(f"{path}.bias", self.random.normal(0, 0.1, channels)))
        return self.node("ConvTranspose", operands, kernel_shape=kernel, strides=step, pads=four(pad),
                         output_padding=pair(output_pad), dilations=pair(dilation), group=groups)

    def linear(self, x, path, features, bias=True):
        count = x.array.shape[1]
        operands = [x, self.weight(f"{path}.weight", self.random.normal(
            0, math.sqrt(2 / count), (features, count)))]
        if bias:
            operands.append(self.weight(f"{path}.bias", self.random.normal(0, 0.1, features)))
        return self.node("Gemm", operands, transB=1)

    def batchnorm(self, x, path, eps=1e-5):
        """Statistics are drawn around those of the sample.

        The biases lie around a half, as rectifiers that cut at the mean would multiply
        rounding errors by about 1.2 per layer: a hundredfold in a deep network.
        """
        axes = (0, *range(2, x.array.ndim))
        mean, variance = x.array.mean(axes), x.array.var(axes)
        variance = variance + 1e-2 * variance.mean() + 1e-3
        count, draw = x.channels, self.random
        return self.node("BatchNormalization", [
            x,
            self.weight(f"{path}.weight", draw.uniform(0.7, 1.3, count)),
            self.weight(f"{path}.bias", draw.normal(0.5, 0.2, count)),
            self.weight(f"{path}.running_mean", mean + 0.1 * np.sqrt(variance) * draw.normal(0, 1, count),
                        trained=False),
            self.weight(f"{path}.running_var", variance * draw.uniform(0.5, 1.5, count), trained=False),
        ], epsilon=eps)

    # Layers without

    def relu(self, x):
        return self.node("Relu", [x])

    def relu6(self, x):
        return self.node("Clip", [x, self.constant(np.float32(0)), self.constant(np.float32(6))])

    def sigmoid(self, x):
        return self.node("Sigmoid", [x])

    def silu(self, x):
        return x * self.sigmoid(x)

    def maxpool(self, x, kernel, stride=None, pad=0, dilation=1, ceil=False):
        return self.node("MaxPool", [x], kernel_shape=pair(kernel), strides=pair(stride or kernel), pads=four(pad),
                         dilations=pair(dilation), ceil_mode=int(ceil))

    def avgpool(self, x, kernel, stride=None, pad=0, ceil=False, count_pad=True):
        return self.node("AveragePool", [x], kernel_shape=pair(kernel), strides=pair(stride or kernel),
                         pads=four(pad), ceil_mode=int(ceil), count_include_pad=int(count_pad))

    def global_avgpool(self, x):
        return self.node("GlobalAveragePool", [x])

    def flatten(self, x):
        return self.node("Flatten", [x], axis=1)

    def concat(self, *values):
        return self.node("Concat", values, axis=1)
