"""torch.compile on the ONNX graph, node by node in torch.nn.functional."""

from peers.peer import Peer, Refused


def both_sides(pads):
    """ONNX's (top, left, bottom, right) as torch's two numbers; torch pads both sides alike."""
    if pads[:2] != pads[2:]:
        raise Refused(f"torch has no padding {pads}")
    return pads[:2]


def operations():
    """ONNX operator -> function of (node attributes, operands)."""
    import torch
    from torch.nn import functional as f

    def window(a):
        return {"stride": a["strides"], "padding": both_sides(a.get("pads", [0] * 4))}

    return {
        "Conv": lambda a, x, w, b=None: f.conv2d(
            x, w, b, dilation=a.get("dilations", 1), groups=a.get("group", 1), **window(a)),
        "ConvTranspose": lambda a, x, w, b=None: f.conv_transpose2d(
            x, w, b, output_padding=a.get("output_padding", 0), groups=a.get("group", 1),
            dilation=a.get("dilations", 1), **window(a)),
        "BatchNormalization": lambda a, x, w, b, mean, variance: f.batch_norm(
            x, mean, variance, w, b, eps=a.get("epsilon", 1e-5)),
        "Gemm": lambda a, x, w, b=None: f.linear(x, w if a.get("transB") else w.t(), b),
        "MaxPool": lambda a, x: f.max_pool2d(
            x, a["kernel_shape"], ceil_mode=bool(a.get("ceil_mode")), dilation=a.get("dilations", 1), **window(a)),
        "AveragePool": lambda a, x: f.avg_pool2d(
            x, a["kernel_shape"], ceil_mode=bool(a.get("ceil_mode")),
            count_include_pad=bool(a.get("count_include_pad")), **window(a)),
        "GlobalAveragePool": lambda a, x: x.mean((2, 3), keepdim=True),
        "Relu": lambda a, x: torch.relu(x),
        "Sigmoid": lambda a, x: torch.sigmoid(x),
        "Clip": lambda a, x, low, high: torch.clamp(x, float(low), float(high)),
        "Add": lambda a, x, y: x + y,
        "Mul": lambda a, x, y: x * y,
        "Concat": lambda a, *values: torch.cat(values, a["axis"]),
        "Flatten": lambda a, x: torch.flatten(x, a.get("axis", 1)),
        "Identity": lambda a, x: x,
    }


def module(path):
    """The graph as a torch module: what an exported model's source would have computed."""
    import onnx
    import torch
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    known = operations()
    missing = {node.op_type for node in graph.node} - set(known)
    if missing:
        raise Refused(f"no torch function is given for {', '.join(sorted(missing))}")
    tensors = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    names = {name: f"tensor_{index}" for index, name in enumerate(tensors)}
    steps = [(known[node.op_type], {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute},
              list(node.input), node.output[0]) for node in graph.node]
    first, last = graph.input[0].name, graph.output[0].name

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, tensor in tensors.items():
                # Bounds of a clip are numbers of the program, weights are the module's.
                if tensor.ndim:
                    self.register_buffer(names[name], tensor)
                else:
                    setattr(self, names[name], float(tensor))

        def forward(self, image):
            values = {name: getattr(self, own) for name, own in names.items()}
            values[first] = image
            for function, attributes, operands, result in steps:
                values[result] = function(attributes, *(values[name] for name in operands))
            return values[last]

    return Model().eval()


class TorchCompile(Peer):
    name, title, package = "torch", "torch.compile", "torch"

    @classmethod
    def prepare(cls, task):
        import numpy

        # Compiled code is kept in the folder that serve.py names.
        cls(task, numpy.load(task.input)).step()

    def __init__(self, task, image):
        import torch
        import torch._inductor.config

        torch.set_num_threads(task.threads)
        torch._inductor.config.freezing = True  # folds norms and packs weights, as a deployment does
        self.guard = torch.no_grad()
        self.guard.__enter__()
        self.run = torch.compile(module(task.onnx))
        self.image = torch.from_numpy(image)

    def step(self):
        self.result = self.run(self.image)

    def output(self):
        return self.result.float().contiguous().numpy()
