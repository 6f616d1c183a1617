#!/usr/bin/env python3
"""State dicts with torchvision's and timm's names load into the examples as they are.

    check_names.py FOLDER EXAMPLES
"""

import json
import pathlib
import struct
import subprocess
import sys

import numpy as np
import onnx

NAMES = pathlib.Path(__file__).parent


def write(path, names, values=None):
    """A safetensors file; its data are zeros, and take no room, where there are no values."""
    header, at = {}, 0
    for name, shape in names.items():
        size = 4 * int(np.prod(shape, dtype=np.int64))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for value in values or []:
            file.write(value.tobytes())
        file.truncate(8 + len(text) + at)


def halcyon(*words):
    done = subprocess.run(["halcyon", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {done.stderr}")


def weights_of(model):
    return {tensor.name: tensor.raw_data for tensor in onnx.load(model).graph.initializer}


def main():
    folder, examples = map(pathlib.Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    lists = {source: json.loads((NAMES / f"{source}.json").read_text()) for source in ("torchvision", "timm")}
    for source, models in lists.items():
        for example, names in models.items():
            write(folder / "w.safetensors", names)
            halcyon("compile", examples / f"{example}.cnn", "--weights", folder / "w.safetensors", "--emit=graph", "-o",
                    folder / "model.mlir")
            print(source, example)

    # The same numbers under both names are the same model.
    example, rng = "mobilenet_v3", np.random.default_rng(1)
    values = [rng.normal(0, 1, shape).astype(np.float32) for shape in lists["torchvision"][example].values()]
    models = []
    for source in lists:
        write(folder / "w.safetensors", lists[source][example], values)
        halcyon("emit", examples / f"{example}.cnn", "--weights", folder / "w.safetensors", "--for=onnx", "-o",
                folder / "model.onnx")
        models.append(weights_of(folder / "model.onnx"))
    if models[0] != models[1]:
        sys.exit(f"{example} differs with timm's names")
    (folder / "w.safetensors").unlink()
    print("same")


main()
