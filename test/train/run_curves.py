#!/usr/bin/env python3
"""Losses of `halcyon train`, step by step, against torch's, from the same weights and pictures.

    run_curves.py [NETWORK/OPTIMIZER ...]

What torch says is in curves.npz, which make_curves.py writes. An epoch is one batch, so that
both see the same pictures in every step.
"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy

from curve_cases import NETWORKS, OPTIMIZERS, SINGLE, data, model

HERE = pathlib.Path(__file__).resolve().parent
HALCYON = HERE.parents[1] / "build" / "bin" / "halcyon"
LIMIT = 1e-3  # relative, of losses in f32


def write_weights(path, weights):
    """As safetensors."""
    header, body = {}, b""
    for name, value in weights.items():
        part = value.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": value.shape, "data_offsets": [len(body), len(body) + len(part)]}
        body += part
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def check(network, optimizer, wanted, folder):
    images, labels, weights = data(network)
    numpy.save(folder / "images.npy", images.astype(numpy.float32))
    numpy.save(folder / "labels.npy", labels.astype(numpy.int32))
    write_weights(folder / "weights.safetensors", weights)
    (folder / "net.cnn").write_text(model(network, optimizer))
    command = [HALCYON, "train", folder / "net.cnn", "--weights", folder / "weights.safetensors", "-o", folder / "run"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stderr.strip().splitlines() or ["no message"])[-1]
    lines = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "rate" in line]
    assert len(losses) == SINGLE, f"{len(losses)} steps"
    wanted = wanted[:len(losses)]
    errors = abs(numpy.array(losses) - wanted) / wanted
    assert errors.max() < LIMIT, f"step {errors.argmax() + 1}: {losses[errors.argmax()]}, not {wanted[errors.argmax()]}"
    return errors.max()


def main():
    names = sys.argv[1:] or [f"{network}/{name}" for network in NETWORKS for name in OPTIMIZERS]
    reference, failed = numpy.load(HERE / "curves.npz"), 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                error = check(*name.split("/"), reference[name], pathlib.Path(folder))
                print(f"PASS {name} (within {error:.1e})", flush=True)
            except AssertionError as problem:
                failed += 1
                print(f"FAIL {name}: {problem}", flush=True)
    print(f"{len(names) - failed} passed, {failed} failed")
    return failed > 0


sys.exit(main())
