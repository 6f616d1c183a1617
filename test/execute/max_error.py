#!/usr/bin/env python3
"""Compiles a convolution with several bounds, runs it, and measures its error in double precision."""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

from graph import write_safetensors  # noqa: E402

MODEL = """model bounded(bound) max_error=bound {
  input x: f32[N, 32, 40, 40]
  output y = x -> conv(32, 3, bias=false) as "conv"
}
"""


def exact(x, weight):
    taps = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))).astype(float),
                                                    (3, 3), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", taps, weight.astype(float), optimize=True)


def measure(folder, flags):
    """The algorithm that a program takes, what explain says of it, and the error of a run."""
    model = [folder / "bounded.cnn", *flags]
    subprocess.run(["halcyon", "compile", *model, "--weights", folder / "w.safetensors", "-o", folder / "program"],
                   check=True, timeout=120)
    told = subprocess.run(["halcyon", "explain", *model, "--json"], check=True, timeout=120, capture_output=True)
    kernel, = (k for k in json.loads(told.stdout)["kernels"] if k["layer"] == "conv" and not k["conversion"])
    subprocess.run([folder / "program", "--batch", "2", "--input", f"x={folder}/x.npy", "--output", f"y={folder}/y.npy"],
                   check=True, timeout=120, stdout=subprocess.DEVNULL)
    expected = exact(np.load(folder / "x.npy"), np.load(folder / "w.npy"))
    error = abs(np.load(folder / "y.npy") - expected).max() / abs(expected).max()
    return kernel, error


def main():
    counts = {True: 0, False: 0}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "bounded.cnn").write_text(MODEL)
        random = np.random.default_rng(1)
        np.save(folder / "x.npy", random.standard_normal((2, 32, 40, 40), np.float32))
        np.save(folder / "w.npy", random.standard_normal((32, 32, 3, 3), np.float32))
        write_safetensors(folder / "w.safetensors", {"conv.weight": np.load(folder / "w.npy")})
        tight = {"direct", "im2col", "im2col_fip", "winograd2", "winograd2_fip"}
        for bound, flags, wanted in [
                (1e-3, ["--algorithm=winograd4"], {"winograd4"}),
                (1e-3, ["--algorithm=direct"], {"direct"}),
                # Not even where it is asked for.
                (2e-6, ["--algorithm=winograd4"], tight),
                (2e-6, [], tight)]:
            kernel, error = measure(folder, [f"--set=bound={bound}", *flags])
            loose = kernel["algorithm"] == "winograd4"
            fine = (kernel["algorithm"] in wanted and kernel["max_error"] == bound
                    and error <= kernel["estimated_error"] <= bound and (error > 2e-6) == loose)
            counts[fine] += 1
            print(f"{'PASS' if fine else 'FAIL'} {bound} {' '.join(flags)}: {kernel['algorithm']}, {error:.2g} "
                  f"of {kernel['estimated_error']:.2g}")
    print(f"{counts[True]} passed, {counts[False]} failed")
    return counts[False] != 0


if __name__ == "__main__":
    sys.exit(main())
