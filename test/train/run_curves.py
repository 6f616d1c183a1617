#!/usr/bin/env python3
"""Losses of training, step by step, against torch's, from the same weights and pictures.

    run_curves.py [NETWORK/OPTIMIZER ...]

What torch says is in curves.npz, which make_curves.py writes. `halcyon train` takes a few steps in
f32; of its epochs each is one batch, so that both see the same pictures in every step. The same step
in f64, as a program whose weights go in and come out, takes them all.
"""

import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

import numpy

from curve_cases import NETWORKS, OPTIMIZERS, SINGLE, STEPS, data, model

HERE = pathlib.Path(__file__).resolve().parent
HALCYON = HERE.parents[1] / "build" / "bin" / "halcyon"
OPT = HALCYON.with_name("halcyon-opt")
PASSES = ("builtin.module(cnn-split-training,"
          "cnn.model(cnn-normalize-padding,cnn-widen,cnn-differentiate,cnn-update-weights))")
LIMIT = {"f32": 1e-3, "f64": 1e-6}  # relative


def write_weights(path, weights):
    """As safetensors."""
    header, body = {}, b""
    for name, value in weights.items():
        part = value.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": value.shape, "data_offsets": [len(body), len(body) + len(part)]}
        body += part
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stderr.strip().splitlines() or ["no message"])[-1]


def trained(network, optimizer, folder):
    """What `halcyon train` writes into its log."""
    images, labels, weights = data(network)
    numpy.save(folder / "images.npy", images.astype(numpy.float32))
    numpy.save(folder / "labels.npy", labels.astype(numpy.int32))
    write_weights(folder / "weights.safetensors", weights)
    (folder / "net.cnn").write_text(model(network, optimizer))
    run(HALCYON, "train", folder / "net.cnn", "--weights", folder / "weights.safetensors", "-o", folder / "run")
    lines = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "rate" in line]
    assert len(losses) == SINGLE, f"{len(losses)} steps"
    return losses


def stepped(network, optimizer, folder):
    """What the step says in double precision."""
    source, graph, step, program = (folder / f"net{end}" for end in (".cnn", ".mlir", ".step.mlir", ""))
    source.write_text(model(network, optimizer))
    run(HALCYON, "compile", source, "--train", "--emit=cnn", "-o", graph)
    run(OPT, f"--pass-pipeline={PASSES}", graph, "-o", step)
    text = step.read_text()
    text = text[:text.index("cnn.model @eval")].rstrip() + "\n}\n"
    step.write_text(text)
    run(HALCYON, "compile", step, "--weights", "seed:1", "-o", program)
    images, labels, weights = data(network)
    values = {"image": images, "label": labels.astype(numpy.int32), "train.rate": numpy.array([float(OPTIMIZERS[optimizer][1])]),
              **{f"param:{name}": value for name, value in weights.items()}}
    inputs = re.findall(r'cnn\.input "([^"]+)".*: tensor<([\dx?]*)f64>', text)
    for port, shape in inputs:
        if port.startswith("slot:"):
            values[port] = numpy.zeros([int(size) for size in shape.split("x") if size])
    names = [port for port, _ in inputs] + ["label"]
    changed = [port for port in re.findall(r'cnn\.output \S+ "([^"]+)"', text) if port in values or port == "loss"]
    files = {port: folder / f"{number}.npy" for number, port in enumerate(dict.fromkeys([*names, *changed]))}
    command = [program]
    for port in names:
        command += ["--input", f"{port}={files[port]}"]
    for port in changed:
        command += ["--output", f"{port}={folder}/{files[port].name}"]
    for port in names:
        if port in values:
            numpy.save(files[port], values[port])
    losses = []
    for number in range(STEPS):
        if "train.step" in files:
            numpy.save(files["train.step"], numpy.array([number + 1.0]))
        run(*command)
        losses.append(numpy.load(files["loss"]).mean())
    return losses


def check(losses, wanted, limit):
    errors = abs(numpy.array(losses) - wanted[:len(losses)]) / wanted[:len(losses)]
    worst = errors.argmax()
    assert errors[worst] < limit, f"step {worst + 1}: {losses[worst]}, not {wanted[worst]}"
    return errors[worst]


def main():
    names = sys.argv[1:] or [f"{network}/{name}" for network in NETWORKS for name in OPTIMIZERS]
    reference, failed = numpy.load(HERE / "curves.npz"), 0
    for name in names:
        for precision, losses in (("f32", trained), ("f64", stepped)):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    error = check(losses(*name.split("/"), pathlib.Path(folder)), reference[name], LIMIT[precision])
                    print(f"PASS {name} {precision} (within {error:.1e})", flush=True)
                except AssertionError as problem:
                    failed += 1
                    print(f"FAIL {name} {precision}: {problem}", flush=True)
    print(f"{2 * len(names) - failed} passed, {failed} failed")
    return failed > 0


sys.exit(main())
