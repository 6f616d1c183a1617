"""Layers one by one and in short chains, over a grid of shapes and attributes.

`cases()` yields every case: its model text, seeded weights, inputs, and what ONNX
Runtime computes for them from graphs that are spelled out here a second time.
"""

import math
import zlib
from dataclasses import dataclass, field

import numpy as np

import indexed
from graph import Graph, four, pair

BATCH = 3


@dataclass
class Case:
    """`source` is a block named like the case, from `inputs` to `expected`, in order."""

    name: str
    source: str
    inputs: list
    weights: dict
    expected: list
    prelude: list = field(default_factory=list)  # declarations shared between cases


class Grid:
    def __init__(self):
        self.names, self.found = {}, []

    def add(self, name, body, shapes, reference, scale=1.0, shift=0.0, prelude=()):
        """`body` follows `x ->`, or is whole statements; `reference(g, *inputs)` builds the graph."""
        count = self.names[name] = self.names.get(name, 0) + 1
        if count > 1:
            name = f"{name}_{count}"
        self.found.append((name, body, shapes, reference, scale, shift, list(prelude)))

    def cases(self, match=lambda name: True, bf16=False):
        for name, body, shapes, reference, scale, shift, prelude in self.found:
            if not match(name):
                continue
            seed = zlib.crc32(name.encode())
            draw = np.random.default_rng(seed)
            shapes = [shapes] if isinstance(shapes, tuple) else shapes
            graph = Graph(name, seed, bf16)
            inputs = [graph.whole(draw.integers(0, shape.most, (BATCH, *shape.shape)))
                      if isinstance(shape, indexed.Whole)
                      else graph.input(parameter, scale * draw.normal(0, 1, (BATCH, *shape)) + shift)
                      for parameter, shape in zip("xyz", shapes)]
            outputs = reference(graph, *inputs)
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            if "return" not in body:
                body = f"return x -> {body}"
            lines = "".join(f"  {line.strip()}\n" for line in body.strip().splitlines())
            source = f"block {name}({', '.join('xyz'[:len(shapes)])}) {{\n{lines}}}\n"
            yield Case(name, source, [value.array for value in inputs], graph.weights,
                       [value.array for value in outputs], prelude)


def word(value):
    """A value as part of a name: (1, 7) is 1x7."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


# Maps of every kind of width against vectors of 16 and tiles; channels rarely whole blocks.
SIZES = [(13, 13), (7, 7), (17, 31), (14, 14), (31, 17), (28, 20)]
CHANNELS = [(3, 8), (5, 17), (16, 16), (24, 5), (1, 24), (17, 32), (32, 48)]


def cycle(values, at):
    return values[at % len(values)]


def convolutions(grid):
    step = 0

    def conv(label, kernel, stride=1, pad="same", dilation=1, groups=1, bias=True, mode="zero", maps=None, size=None):
        nonlocal step
        step += 1
        inside, outside = maps or cycle(CHANNELS, step)
        size = size or cycle(SIZES, step // 2)
        arguments = [str(outside), str(kernel)]
        for key, value, usual in (("stride", stride, 1), ("pad", pad, "same"), ("dilation", dilation, 1),
                                  ("groups", groups, 1), ("bias", str(bias).lower(), "true"),
                                  ("pad_mode", mode, "zero")):
            if value != usual:
                arguments.append(f"{key}={value}")

        def reference(g, x):
            auto, pads = None, pad
            if pad == "same":
                reach = [d * (k - 1) // 2 for d, k in zip(pair(dilation), pair(kernel))]
                pads = reach + reach
            elif pad == "valid":
                pads = 0
            elif isinstance(pad, str):
                auto, pads = pad.upper(), 0
            if mode != "zero":
                top, left, bottom, right = four(pads)
                amounts = g.constant(np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
                names = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
                x, pads = g.node("Pad", [x, amounts], mode=names[mode]), 0
            return g.conv(x, "conv_1", outside, kernel, stride, pads, dilation, groups, bias, auto)

        name = f"conv_{label}_k{word(kernel)}_s{word(stride)}_{inside}to{outside}"
        grid.add(name, f"conv({', '.join(arguments)})", (inside, *size), reference)

    for kernel in (1, 3, 5, 7, (1, 7), (7, 1), (3, 5)):
        for stride in (1, 2):
            conv("same", kernel, stride)
            conv("same", kernel, stride, bias=False)
    for kernel in (1, 2, 3, 4, 5, 7, (2, 3)):
        conv("valid", kernel, pad="valid")
        conv("valid", kernel, 2, pad="valid", bias=False)
    for stride in (3, 4, (2, 1), (1, 2)):
        conv("strides", 3, stride)
        conv("strides", 1, stride, bias=False)
    conv("wide_steps", 11, 4, pad=2, size=(63, 63), maps=(3, 24))
    for word_ in ("same_upper", "same_lower"):
        for kernel in (2, 3, 4, 5):
            conv(word_, kernel, pad=word_)
            conv(word_, kernel, 2, pad=word_, size=(14, 13))
        conv(word_, (2, 5), 3, pad=word_, size=(17, 20))
    for pad in (0, 1, 2, 4, (1, 2), (0, 1, 0, 1), (1, 0, 2, 3), (2, 0, 0, 0)):
        label = "pad" + word(pad).replace("x", "")
        conv(label, 3, pad=pad)
        conv(label, 5, 2, pad=pad, bias=False)
    conv("pad2", 1, pad=2)
    for dilation in (2, 3, (1, 2)):
        conv(f"dilated{word(dilation)}", 3, dilation=dilation)
        conv(f"dilated{word(dilation)}", 3, 2, dilation=dilation, bias=False)
        conv(f"dilated{word(dilation)}_valid", (3, 2), pad="valid", dilation=dilation)
    conv("dilated2", 5, dilation=2, size=(31, 17))
    for groups, maps in ((2, (6, 10)), (3, (9, 3)), (4, (16, 64)), (2, (32, 32)), (8, (128, 128)), (5, (5, 10))):
        conv(f"groups{groups}", 3, groups=groups, maps=maps, size=(13, 17))
        conv(f"groups{groups}", 1, 2, groups=groups, maps=maps, bias=False, size=(14, 14))
    for channels in (3, 16, 17, 24, 40):
        conv("depthwise", 3, groups=channels, maps=(channels, channels))
        conv("depthwise", 3, 2, groups=channels, maps=(channels, channels), bias=False)
    conv("depthwise", 5, groups=24, maps=(24, 24))
    conv("depthwise", 5, 2, groups=17, maps=(17, 17))
    conv("depthwise", 7, groups=32, maps=(32, 32))
    conv("depthwise_dilated", 3, dilation=2, groups=16, maps=(16, 16))
    conv("depthwise_valid", (1, 5), pad="valid", groups=5, maps=(5, 5))
    conv("depthwise_twice", 3, groups=12, maps=(12, 24))
    conv("depthwise_reflect", 3, groups=17, maps=(17, 17), mode="reflect")
    for mode in ("reflect", "replicate", "circular"):
        conv(mode, 3, mode=mode)
        conv(mode, 5, 2, mode=mode)
        conv(mode, 3, pad=(1, 0, 2, 3), mode=mode, bias=False)
        conv(mode, 3, dilation=2, mode=mode, maps=(16, 16))
        conv(mode, 1, pad=1, mode=mode)
    for size in ((4, 4), (7, 7), (14, 14), (28, 28), (13, 31), (56, 56), (6, 5)):
        conv(f"square{size[0]}x{size[1]}", 3, maps=(32, 32), size=size)
    for maps in ((16, 16), (48, 64), (64, 17), (17, 64), (128, 96), (3, 1)):
        conv("square", 3, maps=maps, size=(14, 14))
        conv("square", 3, pad="valid", maps=maps, size=(13, 13), bias=False)
        conv("pointwise", 1, maps=maps, size=(14, 13))
    conv("whole", 7, pad="valid", maps=(24, 40), size=(7, 7))
    conv("whole", (5, 9), pad="valid", maps=(5, 3), size=(5, 9))
    conv("single", 1, maps=(64, 100), size=(1, 1))
    conv("single", 3, maps=(17, 8), size=(1, 1))
    conv("row", 3, maps=(8, 8), size=(1, 29))
    conv("column", 3, maps=(8, 8), size=(29, 1))
    conv("pixel", 3, 2, maps=(1, 1), size=(2, 2))


def transposed(grid):
    def conv(kernel, stride=1, pad=0, output_pad=0, dilation=1, groups=1, bias=True, maps=(5, 17), size=(7, 9)):
        inside, outside = maps
        arguments = [str(outside), str(kernel)]
        for key, value, usual in (("stride", stride, 1), ("pad", pad, 0), ("output_pad", output_pad, 0),
                                  ("dilation", dilation, 1), ("groups", groups, 1),
                                  ("bias", str(bias).lower(), "true")):
            if value != usual:
                arguments.append(f"{key}={value}")

        def reference(g, x):
            pads, more = pad, pair(output_pad)
            if pad == "same":
                pads, more = [], []
                for k, s, d in zip(pair(kernel), pair(stride), pair(dilation)):
                    reach = d * (k - 1)
                    # An odd kernel undoes a convolution with `same`; an even one is cut evenly.
                    pads.append(reach // 2 if reach % 2 == 0 else (reach + 1 - s) // 2)
                    more.append(s - 1 if reach % 2 == 0 else 0)
            return g.conv_transpose(x, "conv_transpose_1", outside, kernel, stride, 0 if pad == "valid" else pads,
                                    more, dilation, groups, bias)

        name = f"transposed_k{word(kernel)}_s{word(stride)}_{inside}to{outside}"
        grid.add(name, f"conv_transpose({', '.join(arguments)})", (inside, *size), reference)

    for kernel in (1, 2, 3, 4, 5):
        for stride in (1, 2, 3):
            conv(kernel, stride)
    conv(2, 2, maps=(64, 32), size=(8, 8))
    conv(2, 2, maps=(24, 16), size=(13, 7), bias=False)
    conv(4, 2, pad=1, maps=(32, 16), size=(8, 8))
    conv(3, 2, pad=1, output_pad=1, maps=(16, 24))
    conv(3, 2, pad=1, maps=(17, 3))
    conv(5, 3, pad=2, output_pad=(1, 2))
    conv(3, 2, pad=(0, 1, 1, 0), maps=(3, 16))
    conv((2, 3), (2, 1), pad=(0, 1))
    conv(3, 1, pad=1, dilation=2)
    conv(3, 2, dilation=2, maps=(8, 8))
    conv(3, 2, groups=2, maps=(6, 10))
    conv(2, 2, groups=4, maps=(64, 32), bias=False)
    conv(4, 2, pad=1, groups=16, maps=(16, 16))
    for kernel, stride in ((3, 1), (3, 2), (5, 2), (4, 2), (2, 2), (3, 3), (1, 2)):
        conv(kernel, stride, pad="same", maps=(16, 8))
    conv(3, 2, pad="valid", maps=(1, 1), size=(1, 1))


def pools(grid):
    def pool(kind, kernel, stride=None, pad=0, ceil=False, dilation=1, count=True, channels=17, size=(13, 17),
             shift=0.0):
        arguments = [str(kernel)]
        for key, value, usual in (("stride", stride, None), ("pad", pad, 0), ("dilation", dilation, 1),
                                  ("ceil", str(ceil).lower(), "false"), ("count_pad", str(count).lower(), "true")):
            if value != usual:
                arguments.append(f"{key}={value}")
        step = stride or kernel

        def reference(g, x):
            pads, attributes = 0 if pad == "valid" else pad, {}
            if pad == "same":
                pads = [(k - 1) // 2 for k in pair(kernel)]
            elif isinstance(pad, str) and pad != "valid":
                attributes = {"auto_pad": pad.upper()}
            if not attributes:
                attributes = {"pads": four(pads)}
            attributes |= {"kernel_shape": pair(kernel), "strides": pair(step), "ceil_mode": int(ceil)}
            if kind == "max":
                return g.node("MaxPool", [x], dilations=pair(dilation), **attributes)
            return g.node("AveragePool", [x], count_include_pad=int(count), **attributes)

        name = f"{kind}pool_k{word(kernel)}_s{word(step)}"
        grid.add(name, f"{kind}pool({', '.join(arguments)})", (channels, *size), reference, shift=shift)

    for kind in ("max", "avg"):
        pool(kind, 2)
        pool(kind, 2, size=(14, 14), channels=16)
        pool(kind, 2, ceil=True)
        pool(kind, 3)
        pool(kind, 3, 1, pad=1, channels=24)
        pool(kind, 3, 1, pad="same", channels=3)
        pool(kind, 3, 2, pad=1, channels=64, size=(28, 28))
        pool(kind, 3, 2, ceil=True)
        pool(kind, 3, 2, ceil=True, size=(14, 14))
        pool(kind, 3, 2, pad=1, ceil=True, size=(14, 20))
        pool(kind, (2, 3), channels=1)
        pool(kind, (3, 2), (1, 2), pad=(1, 0), channels=5)
        pool(kind, 3, 2, pad=(0, 0, 1, 1), size=(14, 14))
        pool(kind, 5, 1, pad=2, channels=8)
        pool(kind, 1, 2, channels=8)
        pool(kind, 2, 3)
        pool(kind, 7, size=(7, 7), channels=32)
        pool(kind, 2, 2, pad="same_upper", size=(13, 13))
        pool(kind, 3, 2, pad="same_lower", size=(14, 14))
        pool(kind, 3, 2, pad="valid")
    pool("max", 3, 1, dilation=2)
    pool("max", 2, 2, pad=1, dilation=2, channels=5)
    pool("max", 3, 2, pad=1, shift=-9.0)       # padding must not win
    pool("max", 2, 2, ceil=True, shift=-9.0)
    for pad, ceil in ((1, False), (1, True), ((0, 1, 1, 0), False)):
        pool("avg", 3, 2, pad=pad, ceil=ceil, count=False)
    pool("avg", 3, 1, pad=1, count=False, channels=32)

    for channels, size in ((3, (7, 7)), (16, (13, 5)), (17, (1, 1)), (100, (7, 7)), (64, (31, 33))):
        grid.add(f"global_avgpool_{channels}", "global_avgpool", (channels, *size),
                 lambda g, x: g.global_avgpool(x), shift=0.5)
        grid.add(f"global_maxpool_{channels}", "global_maxpool", (channels, *size),
                 lambda g, x: g.node("GlobalMaxPool", [x]), shift=-5.0)

    def adaptive(size, channels, maps):
        def reference(g, x):
            # One matrix averages rows, one averages columns.
            rows, columns = (np.zeros((n, cells), np.float32) for n, cells in zip(maps, pair(size)))
            for matrix in (rows, columns):
                n, cells = matrix.shape
                for cell in range(cells):
                    begin, end = cell * n // cells, -(-(cell + 1) * n // cells)
                    matrix[begin:end, cell] = 1 / (end - begin)
            return g.node("MatMul", [g.constant(rows.T.copy()), g.node("MatMul", [x, g.constant(columns)])])

        grid.add(f"adaptive_{word(size)}_of_{word(maps)}", f"adaptive_avgpool({size})", (channels, *maps), reference)

    for size, channels, maps in ((1, 17, (7, 9)), (7, 16, (7, 7)), (6, 5, (13, 13)), ((2, 3), 24, (7, 7)),
                                 (4, 3, (16, 8)), (7, 8, (5, 5)), (3, 32, (17, 31))):
        adaptive(size, channels, maps)


ACTIVATIONS = {
    "relu": lambda g, x: g.node("Relu", [x]),
    "leaky_relu": lambda g, x: g.node("LeakyRelu", [x], alpha=0.01),
    "leaky_relu(0.2)": lambda g, x: g.node("LeakyRelu", [x], alpha=0.2),
    "relu6": lambda g, x: g.relu6(x),
    "sigmoid": lambda g, x: g.node("Sigmoid", [x]),
    "tanh": lambda g, x: g.node("Tanh", [x]),
    "silu": lambda g, x: g.silu(x),
    "hardswish": lambda g, x: g.node("HardSwish", [x]),
    "gelu": lambda g, x: g.node("Gelu", [x]),
    "softmax": lambda g, x: g.node("Softmax", [x], axis=1),
}

MISH = "op mish(x) = x * tanh(log(1 + exp(x)))"
BUMP = "op bump(x, width = 2) = exp(-x * x / width) + sqrt(abs(x))"


def elementwise(grid):
    for call, reference in ACTIVATIONS.items():
        name = call.split("(")[0] + ("_slope" if "(" in call else "")
        grid.add(f"{name}_maps", call, (17, 7, 9), reference, scale=3)
        grid.add(f"{name}_features", f"flatten -> {call}", (10, 1, 1),
                 lambda g, x, reference=reference: reference(g, g.flatten(x)), scale=3)
        grid.add(f"{name}_extreme", call, (5, 13, 13), reference, scale=60)
        grid.add(f"conv_{name}", f"conv(24, 3) -> {call}", (5, 13, 9),
                 lambda g, x, reference=reference: reference(g, g.conv(x, "conv_1", 24, 3, pad=1, bias=True)))

    def scalar(value):
        return lambda g: g.constant(np.float32(value))

    maps = (17, 7, 9)
    for name, expression, build in (
            ("plus_number", "x + 1.5", lambda g, x: g.node("Add", [x, scalar(1.5)(g)])),
            ("number_minus", "1 - x", lambda g, x: g.node("Sub", [scalar(1)(g), x])),
            ("times_number", "2 * x", lambda g, x: g.node("Mul", [scalar(2)(g), x])),
            ("over_number", "x / 4", lambda g, x: g.node("Div", [x, scalar(4)(g)])),
            ("negative", "-x", lambda g, x: g.node("Neg", [x])),
            ("square", "x ** 2", lambda g, x: x * x),
            ("polynomial", "x * x * x - 2 * x + 1", lambda g, x: g.node("Add", [
                g.node("Sub", [x * x * x, g.node("Mul", [scalar(2)(g), x])]), scalar(1)(g)])),
            ("times_mean", "x * global_avgpool(x)", lambda g, x: x * g.global_avgpool(x)),
            ("minus_mean", "x - global_avgpool(x)", lambda g, x: g.node("Sub", [x, g.global_avgpool(x)])),
            ("gate", "sigmoid(x) * tanh(x)", lambda g, x: g.sigmoid(x) * g.node("Tanh", [x]))):
        grid.add(name, f"return {expression}", maps, build)
    for name, expression, op in (("sum", "x + y", "Add"), ("difference", "x - y", "Sub"), ("product", "x * y", "Mul"),
                                 ("sum_call", "add(x, y)", "Add"), ("product_call", "mul(x, y)", "Mul")):
        grid.add(f"{name}_of_two", f"return {expression}", [maps, maps],
                 lambda g, x, y, op=op: g.node(op, [x, y]))
    grid.add("product_per_channel", "return x * y", [maps, (17, 1, 1)], lambda g, x, y: x * y)
    grid.add("product_of_one_map", "return x * y", [maps, (1, 7, 9)], lambda g, x, y: x * y)
    grid.add("sum_of_row", "return y + x", [maps, (17, 1, 9)], lambda g, x, y: x + y)
    grid.add("quotient_of_two", "return x / (1 + y * y)", [maps, maps], lambda g, x, y: g.node(
        "Div", [x, g.node("Add", [scalar(1)(g), y * y])]))

    def mish(g, x):
        softplus = g.node("Log", [g.node("Add", [scalar(1)(g), g.node("Exp", [x])])])
        return x * g.node("Tanh", [softplus])

    def bump(width):
        return lambda g, x: g.node("Add", [
            g.node("Exp", [g.node("Div", [g.node("Neg", [x * x]), scalar(width)(g)])]),
            g.node("Sqrt", [g.node("Abs", [x])])])

    grid.add("op_mish", "mish", maps, mish, prelude=[MISH])
    grid.add("op_mish_conv", "conv(16, 3) -> mish -> conv(5, 1)", (3, 13, 13), lambda g, x: g.conv(
        mish(g, g.conv(x, "conv_1", 16, 3, pad=1, bias=True)), "conv_2", 5, 1, bias=True), prelude=[MISH])
    grid.add("op_bump", "bump", maps, bump(2), prelude=[BUMP])
    grid.add("op_bump_width", "bump(width=0.5)", maps, bump(0.5), prelude=[BUMP])


def dense(grid):
    for inside, outside in ((10, 1), (64, 10), (100, 17), (17, 100), (256, 1000), (1, 5), (784, 32), (33, 3)):
        for bias in (True, False):
            grid.add(f"linear_{inside}to{outside}_{'bias' if bias else 'plain'}",
                     f"flatten -> linear({outside}{'' if bias else ', bias=false'})", (inside, 1, 1),
                     lambda g, x, outside=outside, bias=bias: g.linear(g.flatten(x), "linear_1", outside, bias))
    for channels, size in ((16, (4, 4)), (17, (3, 5)), (5, (7, 7)), (32, (2, 2))):
        grid.add(f"linear_of_maps_{channels}", "conv(%d, 3) -> relu -> flatten -> linear(24) -> relu" % channels,
                 (3, *size), lambda g, x, channels=channels: g.relu(g.linear(g.flatten(g.relu(
                     g.conv(x, "conv_1", channels, 3, pad=1, bias=True))), "linear_1", 24)))
    grid.add("linear_chain", "flatten -> linear(40) -> relu -> linear(30) -> tanh -> linear(7) -> softmax", (3, 5, 5),
             lambda g, x: g.node("Softmax", [g.linear(g.node("Tanh", [g.linear(g.relu(g.linear(
                 g.flatten(x), "linear_1", 40)), "linear_2", 30)]), "linear_3", 7)], axis=1))
    grid.add("linear_norm", "flatten -> linear(20, bias=false) -> batchnorm -> relu -> linear(3)", (12, 2, 1),
             lambda g, x: g.linear(g.relu(g.batchnorm(g.linear(g.flatten(x), "linear_1", 20, False),
                                                      "batchnorm_1")), "linear_2", 3))
    grid.add("linear_sum", "a = x -> flatten -> linear(12)\nreturn relu(a + (y -> flatten -> linear(12)))",
             [(5, 3, 3), (7, 1, 1)], lambda g, x, y: g.relu(
                 g.linear(g.flatten(x), "linear_1", 12) + g.linear(g.flatten(y), "linear_2", 12)))
    grid.add("flatten_only", "flatten", (17, 3, 5), lambda g, x: g.flatten(x))
    grid.add("head", "global_avgpool -> flatten -> linear(10)", (40, 7, 7),
             lambda g, x: g.linear(g.flatten(g.global_avgpool(x)), "linear_1", 10))


def resampling(grid):
    def upsample(scale, mode, corners, channels, maps):
        arguments = str(scale) + (f", mode={mode}" if mode != "nearest" else "") + (
            ", align_corners=true" if corners else "")

        def reference(g, x):
            scales = g.constant(np.array([1, 1, *pair(scale)], np.float32))
            if mode == "nearest":
                return g.node("Resize", [x, None, scales], mode="nearest", nearest_mode="floor",
                              coordinate_transformation_mode="asymmetric")
            return g.node("Resize", [x, None, scales], mode="linear",
                          coordinate_transformation_mode="align_corners" if corners else "half_pixel")

        label = "corners" if corners else mode
        grid.add(f"upsample_{label}_{word(scale)}_{channels}", f"upsample({arguments})", (channels, *maps), reference)

    for mode, corners in (("nearest", False), ("bilinear", False), ("bilinear", True)):
        for scale, channels, maps in ((2, 16, (7, 9)), (3, 5, (4, 5)), ((2, 4), 17, (5, 3)), (2, 3, (1, 6)),
                                      (1, 4, (5, 5))):
            upsample(scale, mode, corners, channels, maps)
    grid.add("upsample_conv", "conv(24, 3) -> relu -> upsample(2) -> conv(5, 3)", (3, 7, 9), lambda g, x: g.conv(
        g.node("Resize", [g.relu(g.conv(x, "conv_1", 24, 3, pad=1, bias=True)), None,
                          g.constant(np.array([1, 1, 2, 2], np.float32))], mode="nearest", nearest_mode="floor",
               coordinate_transformation_mode="asymmetric"), "conv_2", 5, 3, pad=1, bias=True))


def chains(grid):
    def conv(g, x, at, channels, kernel=3, stride=1, groups=1, bias=True):
        return g.conv(x, f"conv_{at}", channels, kernel, stride, (kernel - 1) // 2, groups=groups, bias=bias)

    def norm(g, x, at=1, eps=1e-5):
        return g.batchnorm(x, f"batchnorm_{at}", eps)

    shapes = [(17, 13, 13), (16, 14, 14), (3, 7, 9)]
    for at, shape in enumerate(shapes):
        label = shape[0]
        grid.add(f"norm_alone_{label}", "batchnorm", shape, lambda g, x: norm(g, x))
        grid.add(f"norm_eps_{label}", "batchnorm(eps=1e-3)", shape, lambda g, x: norm(g, x, eps=1e-3), scale=0.1)
        grid.add(f"norm_relu_conv_{label}", "batchnorm -> relu -> conv(24, 3, bias=false)", shape,
                 lambda g, x: conv(g, g.relu(norm(g, x)), 1, 24, bias=False))
        grid.add(f"norm_conv_{label}", "batchnorm -> conv(24, 3)", shape, lambda g, x: conv(g, norm(g, x), 1, 24))
        grid.add(f"norm_conv_pointwise_{label}", "batchnorm -> conv(24, 1)", shape,
                 lambda g, x: conv(g, norm(g, x), 1, 24, 1))
        grid.add(f"conv_norm_relu_{label}", "conv(24, 3, bias=false) -> batchnorm -> relu", shape,
                 lambda g, x: g.relu(norm(g, conv(g, x, 1, 24, bias=False))))
        grid.add(f"conv_bias_norm_{label}", "conv(10, 3, stride=2) -> batchnorm", shape,
                 lambda g, x: norm(g, conv(g, x, 1, 10, stride=2)))
        grid.add(f"conv_relu_norm_{label}", "conv(10, 3) -> relu -> batchnorm -> relu6", shape,
                 lambda g, x: g.relu6(norm(g, g.relu(conv(g, x, 1, 10)))))
        grid.add(f"depthwise_norm_{label}", "conv(x.channels, 3, groups=x.channels, bias=false) -> batchnorm -> relu6",
                 shape, lambda g, x: g.relu6(norm(g, conv(g, x, 1, x.channels, groups=x.channels, bias=False))))
        grid.add(f"residual_{label}", """
            body = x -> conv(x.channels, 3, bias=false) -> batchnorm -> relu
                     -> conv(x.channels, 3, bias=false) -> batchnorm
            return relu(body + x)""", shape,
                 lambda g, x: g.relu(norm(g, conv(g, g.relu(norm(g, conv(g, x, 1, x.channels, bias=False))), 2,
                                                  x.channels, bias=False), 2) + x))
        grid.add(f"residual_down_{label}", """
            body = x -> conv(20, 3, 2, bias=false) -> batchnorm -> relu -> conv(20, 3, bias=false) -> batchnorm
            skip = x -> conv(20, 1, 2, bias=false) -> batchnorm
            return relu(body + skip)""", shape,
                 lambda g, x: g.relu(
                     norm(g, conv(g, g.relu(norm(g, conv(g, x, 1, 20, 3, 2, bias=False))), 2, 20, bias=False), 2)
                     + norm(g, conv(g, x, 3, 20, 1, 2, bias=False), 3)))
        grid.add(f"residual_plain_{label}", "return x + (x -> conv(x.channels, 1) -> relu)", shape,
                 lambda g, x: x + g.relu(conv(g, x, 1, x.channels, 1)))
        grid.add(f"squeeze_excite_{label}", "squeeze_excite(4)", shape, lambda g, x: x * g.sigmoid(
            g.conv(g.relu(g.conv(g.global_avgpool(x), "squeeze_excite_1.fc1", 4, 1, bias=True)),
                   "squeeze_excite_1.fc2", x.channels, 1, bias=True)))
        grid.add(f"inverted_residual_{label}", """
            wide = x -> conv(36, 1, bias=false) -> batchnorm -> relu6
                     -> conv(36, 3, groups=36, bias=false) -> batchnorm -> relu6
            return x + (wide -> conv(x.channels, 1, bias=false) -> batchnorm)""", shape,
                 lambda g, x: x + norm(g, conv(g, g.relu6(norm(g, conv(g, g.relu6(norm(
                     g, conv(g, x, 1, 36, 1, bias=False))), 2, 36, groups=36, bias=False), 2)), 3, x.channels, 1,
                     bias=False), 3))
        grid.add(f"conv_pool_{label}", "conv(24, 3) -> relu -> maxpool(2)", shape,
                 lambda g, x: g.maxpool(g.relu(conv(g, x, 1, 24)), 2))
        grid.add(f"pool_conv_{label}", "maxpool(3, stride=2, pad=1) -> conv(24, 1) -> avgpool(2)", shape,
                 lambda g, x: g.avgpool(conv(g, g.maxpool(x, 3, 2, 1), 1, 24, 1), 2))
        grid.add(f"conv_mean_{label}", "conv(40, 3) -> relu -> global_avgpool -> flatten", shape,
                 lambda g, x: g.flatten(g.global_avgpool(g.relu(conv(g, x, 1, 40)))))

    grid.add("excite_silu", "squeeze_excite(6, act=silu)", (24, 9, 7), lambda g, x: x * g.sigmoid(
        g.conv(g.silu(g.conv(g.global_avgpool(x), "squeeze_excite_1.fc1", 6, 1, bias=True)),
               "squeeze_excite_1.fc2", 24, 1, bias=True)))
    grid.add("concat_ragged", "return concat(x, y, z)", [(3, 7, 9), (17, 7, 9), (5, 7, 9)],
             lambda g, x, y, z: g.concat(x, y, z))
    grid.add("concat_blocks", "return concat(x -> conv(16, 1), x -> conv(32, 3), x -> conv(16, 5))", (5, 13, 13),
             lambda g, x: g.concat(conv(g, x, 1, 16, 1), conv(g, x, 2, 32), conv(g, x, 3, 16, 5)))
    grid.add("concat_convs", "return concat(x -> conv(5, 1) -> relu, x -> conv(17, 3), maxpool(x, 3, stride=1, pad=1))",
             (7, 13, 9), lambda g, x: g.concat(g.relu(conv(g, x, 1, 5, 1)), conv(g, x, 2, 17), g.maxpool(x, 3, 1, 1)))
    grid.add("concat_then_conv", "return concat(x, x -> conv(12, 3)) -> relu -> conv(9, 3)", (6, 14, 14),
             lambda g, x: conv(g, g.relu(g.concat(x, conv(g, x, 1, 12))), 2, 9))
    grid.add("concat_twice_same", "y = x -> conv(8, 3)\nreturn concat(y, y)", (3, 7, 7),
             lambda g, x: (lambda y: g.concat(y, y))(conv(g, x, 1, 8)))
    grid.add("concat_features", "return concat(x -> flatten, y -> flatten) -> linear(4)", [(3, 2, 2), (5, 1, 1)],
             lambda g, x, y: g.linear(g.concat(g.flatten(x), g.flatten(y)), "linear_1", 4))
    grid.add("concat_of_concat", "a = concat(x -> conv(16, 3), x)\nb = concat(a, a -> conv(16, 1))\nreturn relu(b)",
             (16, 7, 7), lambda g, x: (lambda a: g.relu(g.concat(a, conv(g, a, 2, 16, 1))))(
                 g.concat(conv(g, x, 1, 16), x)))

    def dense_block(g, x):
        for at in (1, 3, 5):
            y = conv(g, g.relu(norm(g, x, at)), at, 32, 1, bias=False)
            x = g.concat(x, conv(g, g.relu(norm(g, y, at + 1)), at + 1, 8, bias=False))
        return norm(g, x, 7)

    grid.add("dense_block", """
        for _ in 1..3 {
        x = concat(x, x -> batchnorm -> relu -> conv(32, 1, bias=false) -> batchnorm -> relu -> conv(8, 3, bias=false))
        }
        return x -> batchnorm""", (16, 13, 13), dense_block)
    grid.add("u_step", "d = x -> maxpool(2) -> conv(24, 3) -> relu\nreturn concat(x, d -> conv_transpose(12, 2, 2))"
                       " -> conv(7, 3)", (12, 14, 18),
             lambda g, x: conv(g, g.concat(x, g.conv_transpose(g.relu(conv(g, g.maxpool(x, 2), 1, 24)),
                                                               "conv_transpose_1", 12, 2, 2)), 2, 7))
    grid.add("two_uses", "y = x -> conv(20, 3)\nreturn relu(y) + y", (5, 13, 9),
             lambda g, x: (lambda y: g.relu(y) + y)(conv(g, x, 1, 20)))
    grid.add("norm_two_uses", "y = x -> conv(20, 3) -> batchnorm\nreturn (y -> relu -> conv(6, 1)) + (y -> conv(6, 3))",
             (5, 13, 9), lambda g, x: (lambda y: conv(g, g.relu(y), 2, 6, 1) + conv(g, y, 3, 6))(
                 norm(g, conv(g, x, 1, 20))))
    grid.add("conv_two_norms", "y = x -> conv(20, 3)\nreturn (y -> batchnorm) * (y -> batchnorm)", (5, 7, 9),
             lambda g, x: (lambda y: norm(g, y, 1) * norm(g, y, 2))(conv(g, x, 1, 20)))
    grid.add("two_results", "y = x -> conv(8, 3)\nreturn y, relu(y) -> maxpool(2)", (3, 14, 14),
             lambda g, x: (lambda y: (y, g.maxpool(g.relu(y), 2)))(conv(g, x, 1, 8)))
    grid.add("norm_before_and_after", "y = x -> batchnorm\nreturn (y -> conv(5, 3)) + y", (5, 7, 9),
             lambda g, x: (lambda y: conv(g, y, 1, 5) + y)(norm(g, x)))
    grid.add("sigmoid_conv_relu", "sigmoid -> conv(17, 3) -> relu", (17, 7, 9),
             lambda g, x: g.relu(conv(g, g.sigmoid(x), 1, 17)))
    grid.add("norm_pointwise_before_and_after", "y = x -> batchnorm -> relu\nreturn (y -> conv(5, 1) -> relu) * y",
             (5, 7, 9), lambda g, x: (lambda y: g.relu(conv(g, y, 1, 5, 1)) * y)(g.relu(norm(g, x))))
    grid.add("concat_result_padded", "y = x -> upsample((1, 2))\nreturn concat(relu(y), y), y -> conv(48, 5)",
             (3, 20, 14), lambda g, x: (lambda y: (g.concat(g.relu(y), y), conv(g, y, 1, 48, 5)))(
                 g.node("Resize", [x, None, g.constant(np.array([1, 1, 1, 2], np.float32))], mode="nearest",
                        nearest_mode="floor", coordinate_transformation_mode="asymmetric")))
    grid.add("softmax_column", "softmax", (5, 3, 1), lambda g, x: g.node("Softmax", [x], axis=1))
    grid.add("same_results", "return x -> flatten, x -> flatten, x, x", (5, 3, 2), lambda g, x: (
        g.flatten(x), g.flatten(x), g.node("Identity", [x]), g.node("Identity", [x])))
    grid.add("identity", "dropout(0.5)", (5, 7, 7), lambda g, x: g.node("Identity", [x]))
    grid.add("conv_three", "conv(32, 3) -> relu -> conv(17, 3, stride=2) -> relu -> conv(3, 5)", (3, 28, 28),
             lambda g, x: conv(g, g.relu(conv(g, g.relu(conv(g, x, 1, 32)), 2, 17, stride=2)), 3, 3, 5))
    grid.add("separable", "conv(24, 3, groups=24, bias=false) -> batchnorm -> relu -> conv(40, 1, bias=false)"
                          " -> batchnorm -> relu", (24, 14, 14),
             lambda g, x: g.relu(norm(g, conv(g, g.relu(norm(g, conv(g, x, 1, 24, groups=24, bias=False))), 2, 40, 1,
                                              bias=False), 2)))
    grid.add("conv_add_two", "return relu((x -> conv(16, 3)) + (y -> conv(16, 1)))", [(16, 13, 13), (5, 13, 13)],
             lambda g, x, y: g.relu(conv(g, x, 1, 16) + conv(g, y, 2, 16, 1)))
    grid.add("conv_scaled", "return 0.5 * (x -> conv(16, 3)) + x", (16, 13, 13), lambda g, x: g.node(
        "Mul", [g.constant(np.float32(0.5)), conv(g, x, 1, 16)]) + x)
    grid.add("bottleneck", """
        y = x -> conv(16, 1, bias=false) -> batchnorm -> relu -> conv(16, 3, bias=false) -> batchnorm -> relu
              -> conv(64, 1, bias=false) -> batchnorm
        return relu(y + x)""", (64, 14, 14),
             lambda g, x: g.relu(norm(g, conv(g, g.relu(norm(g, conv(g, g.relu(norm(g, conv(
                 g, x, 1, 16, 1, bias=False))), 2, 16, bias=False), 2)), 3, 64, 1, bias=False), 3) + x))


def cases(match=lambda name: True, bf16=False):
    grid = Grid()
    for group in (convolutions, transposed, pools, elementwise, dense, resampling, chains,
                  indexed.operations, indexed.losses, indexed.library,
                  indexed.detection):
        group(grid)
    yield from grid.cases(match, bf16)


if __name__ == "__main__":
    for case in cases():
        shapes = " ".join("x".join(map(str, value.shape[1:])) for value in case.inputs)
        results = " ".join("x".join(map(str, value.shape[1:])) for value in case.expected)
        finite = all(np.isfinite(value).all() for value in case.expected)
        print(f"{case.name:40s} {shapes} -> {results}{'' if finite else '  NOT FINITE'}")
