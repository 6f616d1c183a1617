"""The programs of a model's passes, through the C interface: what the backward pass gives
beside differences of what the forward pass does.

    passes.py LIBRARY STATE.safetensors
"""

import ctypes
import json
import sys

import numpy

NAME, BATCH = "autograd", 3
library = ctypes.CDLL(sys.argv[1])
data = open(sys.argv[2], "rb").read()
start = 8 + int.from_bytes(data[:8], "little")
random = numpy.random.default_rng(1)
tensors = {f"param:{name}": numpy.frombuffer(data, numpy.float32, numpy.prod(info["shape"], dtype=int),
                                             start + info["data_offsets"][0]).reshape(info["shape"]).copy()
           for name, info in json.loads(data[8:start]).items()}
tensors["in:image"] = random.standard_normal((BATCH, 3, 12, 12)).astype(numpy.float32)
tensors["in:shift"] = random.standard_normal((BATCH, 5)).astype(numpy.float32)


class Port(ctypes.Structure):
    _fields_ = [("name", ctypes.c_uint32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("rank", ctypes.c_uint16),
                ("shape", ctypes.c_int64 * 8), ("image", ctypes.c_int32), ("labels", ctypes.c_uint32),
                ("softmax", ctypes.c_uint32), ("counted", ctypes.c_uint16 * 2)]


class Program(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("counts", ctypes.c_uint32 * 4), ("num_inputs", ctypes.c_uint32),
                ("num_outputs", ctypes.c_uint32), ("alignment", ctypes.c_uint32), ("bytes", ctypes.c_uint64 * 3),
                ("tables", ctypes.c_void_p * 4), ("inputs", ctypes.POINTER(Port)), ("outputs", ctypes.POINTER(Port)),
                ("strings", ctypes.c_void_p)]


def call(name, *arguments):
    status = getattr(library, f"{NAME}_session_{name}")(*arguments)
    assert not status, f"{name}: status {status}"


def run(pass_name, given):
    program = Program.in_dll(library, f"{NAME}_{pass_name}")
    session = ctypes.c_void_p()
    call("create", ctypes.byref(program), None, ctypes.byref(session), None)
    call("set_batch", session, ctypes.c_uint32(BATCH))
    name = lambda port: ctypes.string_at(program.strings + port.name).decode()
    for i in range(program.num_inputs):
        array = given[name(program.inputs[i])]
        call("bind_input", session, ctypes.c_uint32(i), ctypes.c_void_p(array.ctypes.data))
    results = {}
    for i in range(program.num_outputs):
        port = program.outputs[i]
        shape = [BATCH if size == -1 else size for size in port.shape[:port.rank]]
        results[name(port)] = numpy.zeros(shape, numpy.float32)
        call("bind_output", session, ctypes.c_uint32(i), ctypes.c_void_p(results[name(port)].ctypes.data))
    call("run", session)
    library[f"{NAME}_session_destroy"](session)
    return results


for mode in ("training", "inference"):
    made = run(f"{mode}_forward", tensors)
    weights = {name: random.standard_normal(value.shape).astype(numpy.float32)
               for name, value in made.items() if name.startswith("out:")}
    saved = {name: value for name, value in made.items() if name.startswith("saved:")}
    cotangents = {name.replace("out:", "cotangent:"): value for name, value in weights.items()}
    gradients = run(f"{mode}_backward", {**tensors, **saved, **cotangents})
    moved = [name for name in made if name.startswith("param:") and (made[name] != tensors[name]).any()]
    assert len(moved) == (4 if mode == "training" else 0), moved

    def loss(change):
        outputs = run(f"{mode}_forward", {**tensors, **change})
        return sum((outputs[name].astype(float) * weight).sum() for name, weight in weights.items())

    for name, gradient in gradients.items():
        name = name.removeprefix("grad:")
        name = name if name.startswith("in:") else f"param:{name}"
        # Along the gradient the loss changes most: rounding and kinks count least.
        way = gradient / max(abs(gradient).max(), 1e-6)
        step = numpy.float32(2e-3) * max(abs(tensors[name]).max(), 0.1)
        found = (loss({name: tensors[name] + step * way}) - loss({name: tensors[name] - step * way})) / (2 * float(step))
        right = (gradient.astype(float) * way).sum()
        # In front of a norm's own batch a bias changes nothing.
        assert abs(found - right) <= 0.03 * abs(right) + 1e-2, (mode, name, found, right)
    print(f"{mode}: {len(gradients)} gradients agree with differences")
