"""Random networks: every layer with every attribute, in graphs that no example has.

`generate(seed)` draws one. A network is a list of statements, each `name = expression`
over earlier names, beside what ONNX Runtime computes for every name. As each value is
known, any statement can be taken out and its value fed as an input instead, which is how
`shrink` finds the smallest network that still fails.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from graph import Graph, Value, four, pair

LARGEST = 500_000  # elements of one value of one image
WORK = 150_000_000  # multiply-adds of one layer and image
ALL_WORK = 600_000_000


@dataclass
class Statement:
    name: str
    text: str
    reads: list
    value: Value


@dataclass
class Network:
    name: str
    statements: list
    weights: dict
    inputs: dict    # name -> array
    outputs: list   # names
    prelude: tuple = ()
    values: dict = field(default_factory=dict)  # name -> array, of inputs too

    @property
    def text(self):
        lines = [*self.prelude, "model random {"]
        lines += [f"  input {name}: f32[N, {', '.join(map(str, value.shape[1:]))}]"
                  for name, value in self.inputs.items()]
        lines += [f"  {statement.name} = {statement.text}" for statement in self.statements]
        lines += [f"  output {', '.join(self.outputs)}", "}"]
        return "\n".join(lines) + "\n"

    def without(self, removed):
        """The network less some statements; what they gave is an input where it is read."""
        kept = [statement for statement in self.statements if statement.name not in removed]
        given = {statement.name for statement in kept}
        read = {name for statement in kept for name in statement.reads}
        inputs = {name: value for name, value in self.values.items() if name in read - given}
        outputs = [name for name in self.outputs if name in given]
        outputs += [statement.name for statement in kept if statement.name not in read | set(outputs)]
        weights = {name: value for name, value in self.weights.items() if name.split(".")[0] in given}
        return Network(self.name, kept, weights, inputs, outputs, self.prelude, self.values)


def shrink(network, fails):
    """Takes out statements, many at a time, while `fails(network)` holds."""
    size = max(1, len(network.statements) // 2)
    while True:
        at, progress = 0, False
        while at < len(network.statements) and len(network.statements) > 1:
            removed = {statement.name for statement in network.statements[at:at + size]}
            smaller = network.without(removed)
            if smaller.statements and fails(smaller):
                network, progress = smaller, True
            else:
                at += size
        if size == 1 and not progress:
            break
        size = max(1, size // 2)
    for name in list(network.outputs):
        if len(network.outputs) > 1:
            fewer = Network(network.name, network.statements, network.weights, network.inputs,
                            [other for other in network.outputs if other != name], network.prelude, network.values)
            if fails(fewer):
                network = fewer
    return network


PRELUDE = (
    "op shrunk(x, limit = 0.5) = if x > limit { x - limit } else if x < -limit { x + limit } else { 0 }",
    "op gate(a, b) = sigmoid(a) * tanh(b)",
    "op blend(a, b, c, share = 0.3) = a * share + (b - c) * (1 - share)",
)


def scalar(g, value):
    return g.constant(np.float32(value))


def clip(g, x, low, high):
    return g.node("Clip", [x, scalar(g, low), scalar(g, high)])


ACTIVATIONS = {
    "relu": lambda g, x: g.relu(x),
    "leaky_relu": lambda g, x: g.node("LeakyRelu", [x], alpha=0.01),
    "leaky_relu(slope=0.2)": lambda g, x: g.node("LeakyRelu", [x], alpha=0.2),
    "relu6": lambda g, x: g.relu6(x),
    "sigmoid": lambda g, x: g.sigmoid(x),
    "tanh": lambda g, x: g.node("Tanh", [x]),
    "silu": lambda g, x: g.silu(x),
    "hardswish": lambda g, x: g.node("HardSwish", [x]),
    "hardsigmoid": lambda g, x: g.node("HardSigmoid", [x], alpha=1 / 6, beta=0.5),
    "hardtanh(low=-0.5, high=2)": lambda g, x: clip(g, x, -0.5, 2),
    "gelu": lambda g, x: g.node("Gelu", [x]),
    'gelu(approximate="tanh")': lambda g, x: g.node("Gelu", [x], approximate="tanh"),
    "elu(alpha=0.7)": lambda g, x: g.node("Elu", [x], alpha=0.7),
    "softplus": lambda g, x: g.node("Softplus", [x]),
    "softsign": lambda g, x: g.node("Softsign", [x]),
    "mish": lambda g, x: g.node("Mish", [x]),
    "abs": lambda g, x: g.node("Abs", [x]),
    "shrunk(0.25)": lambda g, x: g.node("Shrink", [x], lambd=0.25, bias=0.25),
    "clamp(-1, 1.5)": lambda g, x: clip(g, x, -1, 1.5),
    "identity": lambda g, x: g.node("Identity", [x]),
}

TWO = {
    "{} + {}": lambda g, a, b: a + b,
    "{} - {}": lambda g, a, b: g.node("Sub", [a, b]),
    "{} * {}": lambda g, a, b: a * b,
    "max({}, {})": lambda g, a, b: g.node("Max", [a, b]),
    "gate({}, {})": lambda g, a, b: g.sigmoid(a) * g.node("Tanh", [b]),
    "relu({} + {})": lambda g, a, b: g.relu(a + b),
    "silu({} - 0.5 * {})": lambda g, a, b: g.silu(g.node("Sub", [a, scalar(g, 0.5) * b])),
}


class Generator:
    def __init__(self, seed):
        self.draw = draw = np.random.default_rng(seed)
        self.graph = Graph(f"random_{seed}", seed)
        self.statements, self.inputs, self.named, self.work = [], {}, {}, 0
        self.batch = int(draw.integers(1, 6))
        self.blocked = draw.random() < 0.4    # most channels are whole vectors
        self.wide = draw.random() < 0.1

    # Choices

    def chance(self, share):
        return self.draw.random() < share

    def pick(self, options):
        return options[int(self.draw.integers(len(options)))]

    def between(self, low, high):
        return int(self.draw.integers(low, high + 1))

    def channels(self):
        if self.blocked and self.chance(0.8):
            return 16 * self.between(1, 6)
        return self.pick([self.between(1, 20), self.between(1, 40), self.between(1, 130)])

    def source(self, test=lambda value: True):
        """A value, more often a late one; None where the test fits none."""
        fitting = [name for name, value in self.named.items() if test(value)]
        if not fitting:
            return None
        return fitting[-1] if self.chance(0.5) else self.pick(fitting[-6:] if self.chance(0.6) else fitting)

    def add(self, text, reads, value):
        name = f"v{len(self.statements) + 1}"
        if not np.isfinite(value.array).all() or value.array.size == 0:
            raise ValueError("not a usable value")
        self.statements.append(Statement(name, text, reads, value))
        self.named[name] = value
        spread = float(abs(value.array).max())
        if spread > 30:  # keep what grows in scale
            factor = float(f"{4 / spread:.3g}")
            text, value = f"{name} * {factor:g}", value * scalar(self.graph, factor)
            return self.add(text, [name], value)
        return name

    @property
    def path(self):
        return f"v{len(self.statements) + 1}"

    def new_input(self, shape):
        name = f"in{len(self.inputs) + 1}"
        array = self.draw.normal(0, 1, (self.batch, *shape)) + self.pick([0, 0.5])
        self.named[name] = self.graph.input(name, array)
        self.inputs[name] = self.named[name].array
        return name

    # Layers; each returns the new name, or None where it does not fit.

    def pads(self, kernel, reach, stride, size, limit):
        """Text of `pad` and its numbers, top to right; `limit` is the most that a side takes."""
        def most(axis):
            return max(0, min(limit[axis], reach[axis]))
        kind = self.between(0, 6)
        if kind == 0 or min(limit) < 0:
            return "valid", [0] * 4
        if kind in (1, 2) and all(k % 2 for k in pair(kernel)) and all(r // 2 <= l for r, l in zip(reach, limit)):
            return "same", [r // 2 for r in reach] * 2
        if kind == 3:
            amount = self.between(0, min(most(0), most(1)))
            return str(amount), [amount] * 4
        if kind == 4:
            rows, columns = self.between(0, most(0)), self.between(0, most(1))
            return f"({rows}, {columns})", [rows, columns] * 2
        if kind == 5 and all(r <= l for r, l in zip(reach, limit)):
            word = self.pick(["same_upper", "same_lower"])
            total = [max(0, (-(-n // step) - 1) * step + r + 1 - n) for n, step, r in zip(size, stride, reach)]
            less, more = [t // 2 for t in total], [t - t // 2 for t in total]
            return word, less + more if word == "same_upper" else more + less
        amounts = [self.between(0, most(axis % 2)) for axis in range(4)]
        return f"({', '.join(map(str, amounts))})", amounts

    def kernel(self):
        return self.pick([1, 1, 3, 3, 3, 3, 2, 5, 7, 4, (1, 7), (7, 1), (3, 5), (2, 3), (1, 3), (5, 1), (6, 3)])

    def conv(self, source=None, channels=None, kernel=None, stride=None):
        name = source or self.source(lambda value: value.array.ndim == 4)
        if not name:
            return None
        x = self.named[name]
        keep = channels is not None
        kernel = kernel or self.kernel()
        plain = stride is not None
        stride = stride or self.pick([1, 1, 1, 1, 2, 2, 3, (1, 2), (2, 1)])
        dilation = 1 if plain else self.pick([1] * 8 + [2, 3, (2, 1), (1, 2)])
        groups, channels = 1, channels or self.channels()
        style = self.between(0, 9)
        if not keep and style == 0:
            groups, channels = x.channels, x.channels * self.pick([1, 1, 1, 2])
        elif not keep and style == 1:
            groups = self.pick([d for d in range(1, x.channels + 1) if x.channels % d == 0])
            channels = groups * max(1, min(self.between(1, 40), 160 // groups))
        reach = [d * (k - 1) for d, k in zip(pair(dilation), pair(kernel))]
        mode = "zero" if plain or self.chance(0.85) else self.pick(["reflect", "replicate", "circular"])
        limit = [{"reflect": size - 1, "circular": size}.get(mode, 99) for size in x.size]
        if plain and all(k % 2 for k in pair(kernel)):
            pad, numbers = "same", [r // 2 for r in reach] * 2
        else:
            pad, numbers = self.pads(kernel, reach, pair(stride), x.size, limit)
        if any(size + numbers[axis] + numbers[axis + 2] <= reach[axis] for axis, size in enumerate(x.size)):
            return None
        rows, columns = ((size + sum(numbers[axis::2]) - reach[axis]) // step + 1
                         for axis, (size, step) in enumerate(zip(x.size, pair(stride))))
        work = rows * columns * channels * (x.channels // groups) * math.prod(pair(kernel))
        if work > WORK or self.work + work > ALL_WORK or rows * columns * channels > LARGEST:
            return None
        self.work += work
        bias = self.chance(0.5)
        arguments = [str(channels), str(kernel)]
        arguments += [f"{key}={value}" for key, value, usual in (
            ("stride", stride, 1), ("pad", pad, "same"), ("dilation", dilation, 1), ("groups", groups, 1),
            ("bias", str(bias).lower(), "true"), ("pad_mode", mode, "zero")) if value != usual]
        g, padded, path = self.graph, x, self.path
        if mode != "zero":
            top, left, bottom, right = numbers
            amounts = g.constant(np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
            padded = g.node("Pad", [x, amounts], mode={"reflect": "reflect", "replicate": "edge",
                                                       "circular": "wrap"}[mode])
            numbers = 0
        value = g.conv(padded, path, channels, kernel, stride, numbers, dilation, groups, bias)
        return self.add(f'{name} -> conv({", ".join(arguments)}) as "{path}"', [name], value)

    def conv_transpose(self):
        name = self.source(lambda value: value.array.ndim == 4 and value.array[0].size < LARGEST // 16)
        if not name:
            return None
        x = self.named[name]
        kernel = self.pick([1, 2, 2, 3, 3, 4, 5, (2, 3), (3, 1)])
        stride = self.pick([1, 2, 2, 2, 3, (2, 1), (1, 3)])
        dilation = self.pick([1, 1, 1, 1, 2])
        channels, groups = self.channels(), 1
        if self.chance(0.25):
            groups = self.pick([d for d in range(1, x.channels + 1) if x.channels % d == 0])
            channels = groups * self.between(1, max(1, 48 // groups))
        reach = [d * (k - 1) for d, k in zip(pair(dilation), pair(kernel))]
        pad = self.pick([0, 0, 1, (0, 1), (1, 0, 0, 1)])
        more = self.pick([0, 0, 0, tuple(self.between(0, step - 1) for step in pair(stride))])
        pads, extra = four(pad), pair(more)
        sizes = [(size - 1) * step - pads[axis] - pads[axis + 2] + reach[axis] + 1 + extra[axis]
                 for axis, (size, step) in enumerate(zip(x.size, pair(stride)))]
        work = math.prod(x.size) * x.channels // groups * channels * math.prod(pair(kernel))
        if min(sizes) < 1 or math.prod(sizes) * channels > LARGEST or self.work + work > ALL_WORK or work > WORK:
            return None
        self.work += work
        bias = self.chance(0.5)
        arguments = [str(channels), str(kernel)]
        arguments += [f"{key}={value}" for key, value, usual in (
            ("stride", stride, 1), ("pad", pad, 0), ("output_pad", more, 0), ("dilation", dilation, 1),
            ("groups", groups, 1), ("bias", str(bias).lower(), "true")) if value != usual]
        path = self.path
        value = self.graph.conv_transpose(x, path, channels, kernel, stride, pad, more, dilation, groups, bias)
        return self.add(f'{name} -> conv_transpose({", ".join(arguments)}) as "{path}"', [name], value)

    def batchnorm(self, source=None):
        name, path = source or self.source(), self.path
        array = self.named[name].array
        axes = (0, *range(2, array.ndim))
        if (array.var(axes) < 0.02 * array.mean(axes) ** 2 + 1e-3).any():
            return name  # a norm of near constants shows rounding errors alone
        eps = self.pick([1e-5, 1e-5, 1e-3])
        text = f'batchnorm{"(eps=1e-3)" if eps == 1e-3 else ""} as "{path}"'
        return self.add(f"{name} -> {text}", [name], self.graph.batchnorm(self.named[name], path, eps))

    def activation(self, source=None):
        name = source or self.source()
        call = "relu" if self.chance(0.4) else self.pick(list(ACTIVATIONS))
        return self.add(f"{name} -> {call}", [name], ACTIVATIONS[call](self.graph, self.named[name]))

    def arithmetic(self):
        name = self.source()
        g, x = self.graph, self.named[name]
        text, value = self.pick([
            ("{} * 0.5 + 0.25", lambda: g.node("Add", [x * scalar(g, 0.5), scalar(g, 0.25)])),
            ("1 - {}", lambda: g.node("Sub", [scalar(g, 1), x])),
            ("-{}", lambda: g.node("Neg", [x])),
            ("{0} * {0}", lambda: x * x),
            ("{} / 3", lambda: g.node("Div", [x, scalar(g, 3)])),
            ("{} -> dropout(0.2)", lambda: g.node("Identity", [x])),
        ])
        return self.add(text.format(name), [name], value())

    def combine(self, left=None, right=None):
        """Two values of one shape, or one that goes with the other by sizes of one."""
        left = left or self.source()
        shape = self.named[left].array.shape

        def fits(value):
            other = value.array.shape
            return len(other) == len(shape) and all(a == b or (b == 1 and at > 0)
                                                    for at, (a, b) in enumerate(zip(shape, other)))
        right = right or self.source(fits)
        if self.chance(0.5):
            left, right = right, left
        text = "{} + {}" if self.chance(0.4) else self.pick(list(TWO))
        return self.add(text.format(left, right), [left, right],
                        TWO[text](self.graph, self.named[left], self.named[right]))

    def blend(self):
        names = [self.source()]
        shape = self.named[names[0]].array.shape
        names += [self.source(lambda value: value.array.shape == shape) for _ in "bc"]
        g, (a, b, c) = self.graph, (self.named[name] for name in names)
        value = a * scalar(g, 0.3) + g.node("Sub", [b, c]) * scalar(g, 0.7)
        return self.add(f"blend({', '.join(names)})", names, value)

    def squeeze_excite(self):
        name = self.source(lambda value: value.array.ndim == 4 and value.channels > 1)
        if not name:
            return None
        g, x, path, middle = self.graph, self.named[name], self.path, self.between(1, 12)
        act = self.pick(["relu", "silu"])
        gate = self.pick(["sigmoid", "hardsigmoid"])
        scale = g.conv(g.global_avgpool(x), f"{path}.fc1", middle, 1, bias=True)
        scale = g.conv(ACTIVATIONS[act](g, scale), f"{path}.fc2", x.channels, 1, bias=True)
        return self.add(f'{name} -> squeeze_excite({middle}, act={act}, gate={gate}) as "{path}"', [name],
                        x * ACTIVATIONS[gate](g, scale))

    def concat(self):
        names = [self.source()]
        shape = self.named[names[0]].array.shape
        for _ in range(self.between(1, 3)):
            names.append(self.source(lambda value: value.array.ndim == len(shape)
                                     and value.array.shape[2:] == shape[2:]))
        if sum(self.named[name].array[0].size for name in names) > LARGEST:
            return None
        self.draw.shuffle(names)
        form = "concat([{}])" if self.chance(0.2) else "concat({})"
        return self.add(form.format(", ".join(names)), list(dict.fromkeys(names)),
                        self.graph.concat(*(self.named[name] for name in names)))

    def pool(self):
        name = self.source(lambda value: value.array.ndim == 4 and min(value.size) > 1)
        if not name:
            return None
        x, kind = self.named[name], self.pick(["max", "avg"])
        kernel = self.pick([2, 2, 3, 3, 3, 5, 1, (2, 3), (3, 1), (1, 4)])
        stride = self.pick([None, 1, 2, 2, 3, (1, 2), (2, 1)])
        dilation = self.pick([1, 1, 1, 1, 2]) if kind == "max" else 1
        ceil, count = self.chance(0.35), self.chance(0.6)
        reach = [dilation * (k - 1) for k in pair(kernel)]
        step = stride or kernel
        pad, numbers = self.pads(kernel, reach, pair(step), x.size, [k - 1 for k in pair(kernel)])
        if any(size + numbers[axis] + numbers[axis + 2] <= reach[axis] for axis, size in enumerate(x.size)):
            return None
        if math.prod(s // t + 1 for s, t in zip(x.size, pair(step))) * x.channels > LARGEST:
            return None
        arguments = [str(kernel)]
        arguments += [f"{key}={value}" for key, value, usual in (
            ("stride", stride, None), ("pad", pad, "0"), ("dilation", dilation, 1), ("ceil", str(ceil).lower(), "false"),
            ("count_pad", "true" if count or kind == "max" else "false", "true")) if value != usual]
        attributes = {"pads": numbers, "kernel_shape": pair(kernel), "strides": pair(step), "ceil_mode": int(ceil)}
        if kind == "max":
            value = self.graph.node("MaxPool", [x], dilations=pair(dilation), **attributes)
        else:
            value = self.graph.node("AveragePool", [x], count_include_pad=int(count), **attributes)
        return self.add(f"{name} -> {kind}pool({', '.join(arguments)})", [name], value)

    def global_pool(self):
        name = self.source(lambda value: value.array.ndim == 4)
        kind = self.pick(["avg", "max"])
        op = "GlobalAveragePool" if kind == "avg" else "GlobalMaxPool"
        return self.add(f"{name} -> global_{kind}pool", [name], self.graph.node(op, [self.named[name]]))

    def adaptive(self):
        name = self.source(lambda value: value.array.ndim == 4)
        g, x = self.graph, self.named[name]
        size = self.pick([1, 2, 3, 7, (2, 3), (1, 5)])
        matrices = [np.zeros((n, cells), np.float32) for n, cells in zip(x.size, pair(size))]
        for matrix in matrices:
            n, cells = matrix.shape
            for cell in range(cells):
                begin, end = cell * n // cells, -(-(cell + 1) * n // cells)
                matrix[begin:end, cell] = 1 / (end - begin)
        rows, columns = matrices
        value = g.node("MatMul", [g.constant(rows.T.copy()), g.node("MatMul", [x, g.constant(columns)])])
        return self.add(f"{name} -> adaptive_avgpool({size})", [name], value)

    def upsample(self):
        scale = self.pick([2, 2, 3, (1, 2), (2, 3)])
        name = self.source(lambda value: value.array.ndim == 4
                           and value.array[0].size * math.prod(pair(scale)) < LARGEST // 2)
        if not name:
            return None
        g = self.graph
        scales = g.constant(np.array([1, 1, *pair(scale)], np.float32))
        text, attributes = self.pick([
            ("", {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}),
            (", mode=bilinear", {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}),
            (", mode=bilinear, align_corners=true", {"mode": "linear",
                                                     "coordinate_transformation_mode": "align_corners"})])
        value = g.node("Resize", [self.named[name], None, scales], **attributes)
        return self.add(f"{name} -> upsample({scale}{text})", [name], value)

    def pad(self):
        name = self.source(lambda value: value.array.ndim == 4 and value.array[0].size < LARGEST // 4)
        if not name:
            return None
        g, x = self.graph, self.named[name]
        mode = self.pick(["zero", "zero", "reflect", "replicate", "circular"])
        limit = [{"reflect": size - 1, "circular": size}.get(mode, 4) for size in x.size]
        top, left, bottom, right = (self.between(0, min(3, limit[axis % 2])) for axis in range(4))
        amounts = g.constant(np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
        value = g.node("Pad", [x, amounts], mode={"zero": "constant", "reflect": "reflect", "replicate": "edge",
                                                  "circular": "wrap"}[mode])
        text = "" if mode == "zero" else f", mode={mode}"
        return self.add(f"{name} -> pad(({top}, {left}, {bottom}, {right}){text})", [name], value)

    def softmax(self):
        name = self.source()
        return self.add(f"{name} -> softmax", [name], self.graph.node("Softmax", [self.named[name]], axis=1))

    def flatten(self):
        name = self.source(lambda value: value.array.ndim == 4 and value.array[0].size < 8000)
        return name and self.add(f"{name} -> flatten", [name], self.graph.flatten(self.named[name]))

    def linear(self):
        name = self.source(lambda value: value.array.ndim == 2)
        if not name:
            return self.flatten()
        path, features, bias = self.path, self.pick([1, 10, 16, 64, self.between(1, 130)]), self.chance(0.7)
        value = self.graph.linear(self.named[name], path, features, bias)
        return self.add(f'{name} -> linear({features}{"" if bias else ", bias=false"}) as "{path}"', [name], value)

    # What networks are made of

    def unit(self, name, channels, kernel, stride=1):
        """Convolution, norm and activation in one of their orders; None where the first does not fit."""
        order = self.pick(["cna", "cna", "nac", "ca", "c", "can"])
        for letter in order:
            if name is None:
                return None
            name = (self.conv(name, channels, kernel, stride) if letter == "c" else
                    self.batchnorm(name) if letter == "n" else self.activation(name))
        return name

    def residual(self):
        start = self.source(lambda value: value.array.ndim == 4)
        if not start:
            return None
        stride, channels = self.pick([1, 1, 2]), self.named[start].channels
        if stride > 1 or self.chance(0.3):
            channels = self.channels()
        body = self.unit(start, channels, self.pick([1, 3, 3, 5]), stride)
        body = body and self.chance(0.7) and self.unit(body, channels, self.pick([1, 3])) or body
        skip = start
        if stride > 1 or channels != self.named[start].channels:
            skip = self.unit(start, channels, 1, stride)
        if not body or not skip or self.named[body].array.shape != self.named[skip].array.shape:
            return None
        return self.combine(body, skip)

    def branches(self):
        start = self.source(lambda value: value.array.ndim == 4)
        if not start:
            return None
        ends = [self.unit(start, self.channels(), kernel) for kernel in self.pick([[1, 3], [3, 5], [1, 3, 5], [3, 3]])]
        ends = [end for end in ends if end]
        if not ends:
            return None
        names = [*ends, start] if self.chance(0.4) else ends
        if sum(self.named[name].array[0].size for name in names) > LARGEST:
            return None
        self.draw.shuffle(names)
        return self.add(f"concat({', '.join(names)})", names, self.graph.concat(*(self.named[name] for name in names)))

    STEPS = {"conv": 26, "residual": 9, "branches": 6, "batchnorm": 8, "activation": 10, "arithmetic": 4, "combine": 10,
             "blend": 2, "squeeze_excite": 3, "concat": 8, "pool": 9, "global_pool": 2, "adaptive": 2,
             "conv_transpose": 5, "upsample": 4, "pad": 3, "softmax": 1.5, "flatten": 2, "linear": 4}

    def generate(self):
        side = [5, 6, 7, 8, 9, 11, 13, 14, 15, 16, 17, 20, 23, 28, 31, 32, 33, 40, 56, 64, 97]
        for _ in range(self.pick([1, 1, 1, 2, 3])):
            size = (self.pick(side), self.pick(side))
            channels = self.pick([1, 3, 3, 4, 16, 32, self.between(1, 70)])
            if self.chance(0.04):
                size, channels = (224, self.pick([224, 161])), 3
            self.new_input((self.between(1, 100),) if self.inputs and self.chance(0.2) else (channels, *size))
        names, shares = list(self.STEPS), np.array(list(self.STEPS.values()))
        steps = self.between(3, 25)
        for _ in range(10 * steps):
            if len(self.statements) >= steps:
                break
            getattr(self, str(self.draw.choice(names, p=shares / shares.sum())))()
        read = {name for statement in self.statements for name in statement.reads}
        last = [statement.name for statement in self.statements]
        outputs = [name for name in last if name not in read]
        outputs += [name for name in last if name in read and self.chance(0.06)]
        used = {name: value for name, value in self.inputs.items() if name in read}
        values = {name: value.array for name, value in self.named.items()}
        return Network(self.graph.name, self.statements, self.graph.weights, used, outputs, PRELUDE, values)


def generate(seed):
    return Generator(seed).generate()
