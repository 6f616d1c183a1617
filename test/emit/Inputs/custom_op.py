"""Emitted operators of mixed.cnn and lenet.cnn in one session of ONNX Runtime.

    custom_op.py FOLDER
"""

import subprocess
import sys
import threading

import numpy
import onnx
import onnxruntime
from onnx import helper

folder = sys.argv[1]


def session(model, *libraries):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    for name in libraries:
        options.register_custom_ops_library(f"{folder}/{name}/lib{name}_onnxruntime.so")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


random = numpy.random.default_rng(5)
image = random.standard_normal((2, 3, 12, 12)).astype(numpy.float32)
label = numpy.array([1, 4], numpy.int32)
numpy.save(f"{folder}/image.npy", image)
numpy.save(f"{folder}/label.npy", label)
mixed = session(f"{folder}/mixed/mixed.onnx", "mixed")
names = [port.name for port in mixed.get_outputs()]
outputs = [word for name in names for word in ("--output", f"{name}={folder}/{name}.npy")]
subprocess.run([f"{folder}/program", "--input", f"image={folder}/image.npy", "--input", f"label={folder}/label.npy",
                *outputs], check=True)
for name, value in zip(names, mixed.run(None, {"image": image, "label": label})):
    assert (numpy.load(f"{folder}/{name}.npy").reshape(value.shape) == value).all(), name
print(len(names), "outputs equal the program's")
try:
    mixed.run(None, {"image": image, "label": label[:1]})
except Exception as error:
    text = str(error)
    print(text[text.index("mixed: "):] if "mixed: " in text else text)

# LeNet between ONNX's own operators, twice in one graph.
tensor = lambda name, shape: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
digits = random.random((3, 1, 28, 28), dtype=numpy.float32)
graph = helper.make_graph([
    helper.make_node("Neg", ["x"], ["negated"]),
    helper.make_node("lenet", ["x"], ["first"], domain="halcyon.lenet"),
    helper.make_node("lenet", ["negated"], ["second"], domain="halcyon.lenet"),
    helper.make_node("Add", ["first", "second"], ["y"])], "two", [tensor("x", ["N", 1, 28, 28])], [tensor("y", ["N", 10])])
both = session(helper.make_model(graph, ir_version=9, opset_imports=[
    helper.make_opsetid("", 20), helper.make_opsetid("halcyon.lenet", 1)]).SerializeToString(), "lenet", "mixed")
single = session(f"{folder}/lenet/lenet.onnx", "lenet")
run = lambda x: single.run(None, {single.get_inputs()[0].name: x})[0]
expected, agreeing = run(digits) + run(-digits), []


def work():
    for _ in range(10):
        agreeing.append(bool((both.run(None, {"x": digits})[0] == expected).all()))


threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("as a node among others, in 4 threads:", "equal" if agreeing == [True] * 40 else "different")
