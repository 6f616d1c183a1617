"""Writes ONNX files that are wrong in one way each.

    files.py KIND FILE
"""

import os
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def port(name, shape=("N", 3, 8, 8), elements=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, elements, shape)


def model(nodes, initializers=(), inputs=None, outputs=None, opset=20):
    graph = helper.make_graph(nodes, "g", inputs or [port("x")], outputs or [port("y")], list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def conv(weight="w"):
    return helper.make_node("Conv", ["x", weight], ["y"], "first", kernel_shape=[1, 1])


def weights(shape=(3, 3, 1, 1)):
    return numpy_helper.from_array(np.zeros(shape, np.float32), "w")


def numbers(name, *shape):
    count = np.prod(shape)
    return numpy_helper.from_array(np.linspace(-1, 1, count, dtype=np.float32).reshape(shape), name)


def recombined():
    """Functions of the library spelled out, and what is nearly one of them."""
    nodes, outputs = [], []

    def node(op, *inputs, **attributes):
        nodes.append(helper.make_node(op, inputs, [f"v{len(nodes)}"], f"n{len(nodes)}", **attributes))
        return nodes[-1].output[0]

    def result(name, value):
        nodes.append(helper.make_node("Identity", [value], [name]))
        outputs.append(port(name))

    result("capped", node("Min", node("Max", "x", "0"), "6"))
    result("leaky", node("Where", node("GreaterOrEqual", "x", "0"), "x", node("Mul", "x", "0.2")))
    result("hard", node("Div", node("Mul", "x", node("Min", node("Max", node("Add", "x", "3"), "0"), "6")), "6"))
    result("gated", node("Mul", "x", node("Sigmoid", "x")))
    # The middle is read twice; the sides are exchanged; another limit; another factor.
    positive = node("Max", "x", "0")
    result("twice", node("Add", node("Min", positive, "6"), node("Sqrt", positive)))
    result("exchanged", node("Where", node("GreaterOrEqual", "x", "0"), node("Mul", "x", "0.2"), "x"))
    result("lower", node("Min", node("Max", "x", "3"), "6"))
    result("others", node("Mul", "x", node("Sigmoid", node("Mul", "x", "3"))))
    return model(nodes, [numpy_helper.from_array(np.array(value, np.float32), str(value)) for value in (0, 0.2, 3, 6)],
                 outputs=outputs)


def external(location, offset=0, length=36):
    tensor = weights()
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": offset, "length": length}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    return model([conv()], [tensor])


def nested(depth):
    """The bytes of a graph in a graph, and so on."""
    def field(number, data):
        length, size = b"", len(data)
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + data

    graph = b""
    for _ in range(depth):
        graph = field(1, field(5, field(6, graph)))  # a node's attribute's graph
    return field(7, graph)


def short():
    tensor = weights()
    tensor.raw_data = tensor.raw_data[:-4]
    return model([conv()], [tensor])


def huge(dims):
    tensor = weights()
    del tensor.dims[:]
    tensor.dims.extend(dims)
    return model([conv()], [tensor])


def recursive():
    """A function that calls itself."""
    found = model([helper.make_node("f", ["x"], ["y"], domain="local")])
    found.opset_import.append(helper.make_opsetid("local", 1))
    found.functions.append(helper.make_function("local", "f", ["a"], ["b"], [
        helper.make_node("f", ["a"], ["b"], domain="local")], [helper.make_opsetid("local", 1)]))
    return found


def bomb():
    """Functions that call each other twice, and so on."""
    found = model([helper.make_node("f30", ["x"], ["y"], domain="local")])
    local = helper.make_opsetid("local", 1)
    found.opset_import.append(local)
    for i in range(31):
        nodes = [helper.make_node(f"f{i - 1}" if i else "Relu", [a], [b], domain="local" if i else "")
                 for a, b in (("a", "m"), ("m", "b"))]
        found.functions.append(helper.make_function("local", f"f{i}", ["a"], ["b"], nodes,
                                                    [local, helper.make_opsetid("", 20)]))
    return found


def branches(depth, known=True):
    """A choice in a choice, and so on."""
    inner = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [], [port("y")])
    for _ in range(depth):
        inner = helper.make_graph([helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)], "g", [],
                                  [port("y")])
    choice = helper.make_node("If", ["c"], ["y"], "choice", then_branch=inner, else_branch=inner)
    if known:
        return model([choice], [numpy_helper.from_array(np.array(True), "c")])
    return model([choice], inputs=[port("x"), port("c", (), TensorProto.BOOL)])


def calls(depth):
    """Functions that call each other in a row."""
    local = helper.make_opsetid("local", 1)
    found = model([helper.make_node(f"f{depth}", ["x"], ["y"], domain="local")])
    found.opset_import.append(local)
    for i in range(depth + 1):
        node = helper.make_node(f"f{i - 1}" if i else "Relu", ["a"], ["b"], domain="local" if i else "")
        found.functions.append(helper.make_function("local", f"f{i}", ["a"], ["b"], [node],
                                                    [local, helper.make_opsetid("", 20)]))
    return found


def sparse(indices, dims):
    """A sparse initializer with places that may not be there."""
    found = model([conv()])
    tensor = found.graph.sparse_initializer.add()
    tensor.values.CopyFrom(numpy_helper.from_array(np.ones(len(indices), np.float32), "w"))
    tensor.indices.CopyFrom(numpy_helper.from_array(np.array(indices, np.int64), "places"))
    tensor.dims.extend(dims)
    return found


def attribute(tensor):
    return model([helper.make_node("Constant", [], ["w"], "constant", value=tensor), conv()])


def unlike():
    """Numbers in another field than that of their type."""
    tensor = weights()
    tensor.ClearField("raw_data")
    tensor.int64_data.extend(range(9))
    return model([conv()], [tensor])


KINDS = {
    "good": lambda: model([conv()], [weights()]),
    "cycle": lambda: model([helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"]),
                            helper.make_node("Relu", ["b"], ["y"])]),
    "missing": lambda: model([conv("nowhere")]),
    "twice": lambda: model([helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Tanh", ["x"], ["y"])]),
    "short": short,
    "huge": lambda: huge([2 ** 62, 2 ** 62, 1, 1]),
    "negative": lambda: huge([-3, 3, 1, 1]),
    "alone": lambda: model([helper.make_node("Gather", ["x"], ["y"], "take", axis=1)]),
    "zeros": lambda: huge([2 ** 20, 2 ** 20, 2 ** 20, 0]),
    "choices": lambda: branches(12),
    "asked": lambda: branches(0, known=False),
    "calls": lambda: calls(40),
    "places": lambda: sparse([0, 9], [3, 3, 1, 1]),
    "before": lambda: sparse([-1, 3], [3, 3, 1, 1]),
    "vast": lambda: sparse([0], [2 ** 31, 2 ** 31, 1, 1]),
    "much": lambda: sparse([0], [2 ** 20, 2 ** 20, 1, 1]),
    "lies": lambda: attribute(huge([2 ** 30, 2 ** 30, 1, 1]).graph.initializer[0]),
    "unlike": unlike,
    "inputs": lambda: model([helper.make_node("Relu", ["x"], ["y"])], inputs=[port("x"), port("x")]),
    "initials": lambda: model([conv()], [weights(), weights()]),
    "inside": lambda: external("folder/../../weights.bin"),
    "nameless": lambda: external(""),
    "backwards": lambda: external("data.bin", offset=-4),
    "long": lambda: external("data.bin", offset=32, length=36),
    "word": lambda: external("data.bin", offset="far"),
    "folder": lambda: external("."),
    "tile": lambda: model([helper.make_node("Tile", ["x", "n"], ["y"], "tile")],
                          [numpy_helper.from_array(np.array([1, 2 ** 40, 2 ** 40, 1]), "n")]),
    "pad": lambda: model([helper.make_node("Pad", ["x", "n"], ["y"], "pad")],
                         [numpy_helper.from_array(np.array([0, 0, 2 ** 62, 0, 0, 0, 2 ** 62, 0]), "n")]),
    "range": lambda: model([helper.make_node("Range", ["a", "b", "c"], ["r"], "range"),
                            helper.make_node("Add", ["x", "r"], ["y"])],
                           [numpy_helper.from_array(np.array(value), name) for name, value in
                            {"a": 0, "b": 2 ** 62, "c": 1}.items()]),
    "outside": lambda: external("../weights.bin"),
    "absolute": lambda: external("/etc/passwd"),
    "link": lambda: external("link.bin"),
    "beyond": lambda: external("data.bin", offset=2 ** 63),
    "lacking": lambda: external("nothing.bin"),
    "external": lambda: external("data.bin", offset=4),
    "recursive": recursive,
    "bomb": bomb,
    "unsupported": lambda: model([helper.make_node("Foo", ["x"], ["a"], "one"), helper.make_node("Relu", ["a"], ["b"]),
                                  helper.make_node("Bar", ["b"], ["y"], "two")]),
    "wordless": lambda: model([helper.make_node("Tan", ["x"], ["a"], "tangent"), helper.make_node("Relu", ["a"], ["b"]),
                               helper.make_node("Cast", ["b"], ["y"], "whole", to=TensorProto.INT32)],
                              outputs=[port("y", ("N", 3, 8, 8), TensorProto.INT32)]),
    "window": lambda: model([helper.make_node("MaxPool", ["x"], ["y"], "pool", kernel_shape=[2 ** 40, 1])]),
    "large": lambda: model([helper.make_node("ConstantOfShape", ["s"], ["c"], "fill"),
                            helper.make_node("Add", ["x", "c"], ["y"], "add")],
                           [numpy_helper.from_array(np.array([2 ** 20, 3, 8, 2 ** 20]), "s")],
                           inputs=[port("x", (1, 3, 8, 8))]),
    "unknown": lambda: model([helper.make_node("Relu", ["x"], ["y"])], inputs=[port("x", ("N", 3, "H", "W"))]),
    "counted": lambda: model([helper.make_node("NonZero", ["x"], ["places"], "where"),
                              helper.make_node("ReduceSum", ["places"], ["y"], "sum")],
                             inputs=[port("x", (1, 3, 8, 8))]),
    "turned": lambda: model([helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2, 3]),
                             helper.make_node("Gather", ["t", "two"], ["g"], axis=0),
                             helper.make_node("Relu", ["g"], ["y"])],
                            [numpy_helper.from_array(np.array(2), "two")], inputs=[port("x", ("N", 3, 8, 8))]),
    "pixels": lambda: model([helper.make_node("Transpose", ["x"], ["t"], "back", perm=[0, 2, 3, 1]),
                             helper.make_node("MatMul", ["t", "m"], ["p"], "multiply"),
                             helper.make_node("Add", ["p", "b"], ["s"], "shift"),
                             helper.make_node("Sub", ["s", "e"], ["d"], "lower"),
                             helper.make_node("Transpose", ["d"], ["y"], "forth", perm=[0, 3, 1, 2])],
                            [numbers("m", 3, 5), numbers("b", 5), numbers("e", 8, 8, 5)],
                            outputs=[port("y", ("N", 5, 8, 8))]),
    "single": lambda: model([helper.make_node("Reshape", ["x", "rows"], ["r"], "apart"),
                             helper.make_node("MatMul", ["r", "m"], ["p"], "first"),
                             helper.make_node("Reshape", ["p", "whole"], ["s"], "together"),
                             helper.make_node("MatMul", ["s", "k"], ["y"], "second")],
                            [numbers("m", 64, 5), numbers("k", 5, 4),
                             numpy_helper.from_array(np.array([3, 64]), "rows"),
                             numpy_helper.from_array(np.array([1, 3, 5]), "whole")],
                            inputs=[port("x", (1, 3, 8, 8))], outputs=[port("y", (1, 3, 4))]),
    "inner": lambda: model([helper.make_node("Tanh", ["x"], ["h"], "step"),
                            helper.make_node("Unsqueeze", ["x", "outer"], ["a"], "first"),
                            helper.make_node("Unsqueeze", ["h", "outer"], ["c"], "second"),
                            helper.make_node("Concat", ["a", "c"], ["j"], "join", axis=0),
                            helper.make_node("MatMul", ["j", "m"], ["p"], "multiply"),
                            helper.make_node("Add", ["p", "b"], ["s"], "shift"),
                            helper.make_node("Transpose", ["s"], ["y"], "forth", perm=[1, 0, 2])],
                           [numbers("m", 24, 5), numbers("b", 5), numpy_helper.from_array(np.array([0]), "outer")],
                           inputs=[port("x", ("N", 24))], outputs=[port("y", ("N", 2, 5))]),
    "ends": lambda: model([helper.make_node("Slice", ["x", "zeros", "ends"], ["s"], "all"),
                           helper.make_node("Gather", ["s", "each"], ["g"], "each", axis=1),
                           helper.make_node("Gather", ["g", "one"], ["o"], "one", axis=2),
                           helper.make_node("Gather", ["o", "odd"], ["y"], "odd", axis=2)],
                          [numpy_helper.from_array(np.array(value), name) for name, value in
                           {"zeros": [0] * 4, "ends": [10 ** 9] * 4, "each": [0, 1, 2], "one": -2,
                            "odd": [1, 3, 5, 7]}.items()],
                          outputs=[port("y", ("N", 3, 4))]),
    "first": lambda: model([helper.make_node("Sub", ["w", "x"], ["s"], "from"), helper.make_node("Relu", ["s"], ["r"]),
                            helper.make_node("Sub", ["w", "r"], ["y"], "again")],
                           [numbers("w", 1, 3, 8, 8)]),
    "steps": lambda: model([helper.make_node("LSTM", ["x", "w", "r"], ["y"], "listen", hidden_size=1)],
                           [numbers("w", 1, 4, 1), numbers("r", 1, 4, 1)],
                           inputs=[port("x", (1000000, 1, 1))], outputs=[port("y", (1000000, 1, 1, 1))]),
    "headless": lambda: model([helper.make_node("Attention", ["q", "k", "k"], ["y"], "look")], opset=23,
                              inputs=[port("q", (1, 2, 3, 4)), port("k", (1, 0, 3, 4))],
                              outputs=[port("y", (1, 2, 3, 4))]),
    "recombined": recombined,
    "mixed": lambda: model([helper.make_node("Transpose", ["x"], ["y"], "turn", perm=[1, 0, 2, 3])]),
}


def main():
    kind, path = sys.argv[1], pathlib.Path(sys.argv[2])
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "data.bin").write_bytes(bytes(64))
    if kind == "link" and not (path.parent / "link.bin").is_symlink():
        os.symlink("/etc/passwd", path.parent / "link.bin")
    if kind in ("cut", "noise", "empty", "nested"):
        data = KINDS["good"]().SerializeToString()
        data = {"cut": data[:len(data) // 2], "noise": bytes(range(256)) * 4, "empty": b"", "nested": nested(60)}[kind]
        path.write_bytes(data)
        return
    onnx.save(KINDS[kind](), path)


main()
