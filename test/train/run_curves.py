#!/usr/bin/env python3
"""Losses of `halcyon train`, step by step, against torch's, from the same weights and pictures.

    run_curves.py [NETWORK/OPTIMIZER ...]

What torch says is in curves.npz, which make_curves.py writes: the losses in double precision. They
are followed for all steps in f64, for the first ones in f32, and roughly in mixed precision. An epoch
is one batch, so that both see the same pictures in every step.
"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy

from curve_cases import CASES, SINGLE, STEPS, data, model, parts

HERE = pathlib.Path(__file__).resolve().parent
HALCYON = HERE.parents[1] / "build" / "bin" / "halcyon"
FOLLOWED = {"f32": (SINGLE, 1e-3), "f64": (STEPS, 1e-6), "bf16": (STEPS, 1e-2)}  # steps, and how far off, relatively
MIXED = ("residual/momentum", "residual/adam")  # in bf16; of LeNet nothing is left of the loss after 50 steps


def write_weights(path, weights):
    """As safetensors."""
    header, body = {}, b""
    for name, value in weights.items():
        part = value.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": value.shape, "data_offsets": [len(body), len(body) + len(part)]}
        body += part
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def check(network, optimizer, precision, wanted, folder):
    steps, limit = FOLLOWED[precision]
    images, labels, weights = data(network)
    numpy.save(folder / "images.npy", images.astype(numpy.float32))
    numpy.save(folder / "labels.npy", labels.astype(numpy.int32))
    write_weights(folder / "weights.safetensors", weights)
    (folder / "net.cnn").write_text(model(network, optimizer))
    command = [HALCYON, "train", folder / "net.cnn", "--weights", folder / "weights.safetensors", "--precision", precision,
               "--epochs", steps, "-o", folder / "run"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stderr.strip().splitlines() or ["no message"])[-1]
    lines = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "rate" in line]
    assert len(losses) == steps * parts(optimizer), f"{len(losses)} steps"
    losses = numpy.array(losses).reshape(steps, -1).mean(1)
    wanted = wanted[:len(losses)]
    errors = abs(losses - wanted) / wanted
    assert errors.max() < limit, f"step {errors.argmax() + 1}: {losses[errors.argmax()]}, not {wanted[errors.argmax()]}"
    return errors.max()


def main():
    names = sys.argv[1:] or CASES
    cases = [(name, precision) for name in names for precision in FOLLOWED if precision != "bf16" or name in MIXED]
    reference, failed = numpy.load(HERE / "curves.npz"), 0
    for name, precision in cases:
        with tempfile.TemporaryDirectory() as folder:
            try:
                error = check(*name.split("/"), precision, reference[name], pathlib.Path(folder))
                print(f"PASS {name} {precision} (within {error:.1e})", flush=True)
            except AssertionError as problem:
                failed += 1
                print(f"FAIL {name} {precision}: {problem}", flush=True)
    print(f"{len(cases) - failed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
