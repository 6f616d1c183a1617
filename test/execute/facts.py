#!/usr/bin/env python3
"""The answers of docs/facts.md, from what the compiler says and what its programs compute.

    facts.py FOLDER    # for temporary files
"""

import json
import pathlib
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
FACTS = ROOT / "examples" / "facts"
sys.path.insert(0, str(ROOT / "test" / "reference"))

from graph import read_safetensors  # noqa: E402

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)


def explained(name):
    run = subprocess.run(["halcyon", "explain", FACTS / f"{name}.cnn", "--json"], capture_output=True, check=True)
    return json.loads(run.stdout)["layers"]


def computed(name, image):
    program, given, result = folder / name, folder / "image.npy", folder / f"{name}.safetensors"
    subprocess.run(["halcyon", "compile", FACTS / f"{name}.cnn", "-o", program], check=True)
    np.save(given, image.astype(np.float32))
    subprocess.run([program, "--input", given, "--output", result], check=True, capture_output=True)
    return read_safetensors(result)


sizes = [layer["shape"][1] for layer in explained("sizes")]
assert sizes == [28, 32, 16, 16, 10, 15, 16, 28, 64], sizes

pads = [layer["pad"] for layer in explained("same")]
assert pads == [[1, 1, 1, 1], [1, 1, 1, 1], [4, 4, 4, 4], [1, 1, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1],
                [2, 2, 3, 3]], pads

fields = [(layer["receptive_field"]["size"][0], layer["receptive_field"]["stride"][0])
          for layer in explained("receptive")]
assert fields == [(7, 2), (11, 4), (19, 4), (27, 8), (59, 8)], fields

full, *parts = explained("separable")
assert full["parameters"] == 294912 and sum(part["parameters"] for part in parts) == 33920
assert full["flops"] == 2 * 294912 * 1024 and sum(part["flops"] for part in parts) == 2 * 33920 * 1024

image = np.array([[10, 20, 15, 25, 30], [40, 50, 60, 32, 18], [25, 33, 45, 60, 80], [15, 20, 30, 40, 50],
                  [40, 30, 25, 15, 10]])
edges = computed("edges", image[None, None])["edges"][0, 0]
windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3)).sum((2, 3))
assert edges[0, 0] == 152 and (edges == 9 * image[1:4, 1:4] - windows).all(), edges

picture = np.random.default_rng(1).integers(0, 256, (1, 3, 96, 96)) / 255
views = np.lib.stride_tricks.sliding_window_view(np.pad(picture, ((0, 0), (0, 0), (1, 1), (1, 1)), "edge"), (3, 3), (2, 3))
kernels = {"edges": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], "blur": [[1 / 16, 2 / 16, 1 / 16], [2 / 16, 4 / 16, 2 / 16],
           [1 / 16, 2 / 16, 1 / 16]], "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
           "emboss": [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]}
for name, result in computed("filters", picture).items():
    assert np.allclose(result, np.einsum("nchwij,ij->nchw", views, kernels[name]), atol=1e-5), name
print("6 passed, 0 failed")
