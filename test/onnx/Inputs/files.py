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


KINDS = {
    "good": lambda: model([conv()], [weights()]),
    "cycle": lambda: model([helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"]),
                            helper.make_node("Relu", ["b"], ["y"])]),
    "missing": lambda: model([conv("nowhere")]),
    "twice": lambda: model([helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Tanh", ["x"], ["y"])]),
    "short": short,
    "huge": lambda: huge([2 ** 62, 2 ** 62, 1, 1]),
    "negative": lambda: huge([-3, 3, 1, 1]),
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
