"""The mean of two sets of weights and six views, against programs of each."""

import pathlib
import subprocess
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "reference"))
from graph import write_safetensors  # noqa: E402

MODEL = """
model net(classes = 4) {
  input image: f32[N, 2, 7, 9]
  x = image -> conv(3, 3) -> relu
  output kinds = x -> flatten -> linear(classes), map = x -> conv(classes, 1)
}
"""
SHAPES = {"conv_1.weight": (3, 2, 3, 3), "conv_1.bias": (3,), "linear_1.weight": (4, 189), "linear_1.bias": (4,),
          "conv_2.weight": (4, 3, 1, 1), "conv_2.bias": (4,)}
folder = pathlib.Path(sys.argv[1])
(folder / "net.cnn").write_text(MODEL)
random = np.random.default_rng(1)


def compile(name, *options):
    subprocess.run(["halcyon", "compile", folder / "net.cnn", *options, "-o", folder / name], check=True)


def run(name, x):
    np.save(folder / "x.npy", x.astype(np.float32))
    outputs = [word for output in ("kinds", "map") for word in ("--output", f"{output}={folder / output}.npy")]
    subprocess.run([folder / name, "--input", folder / "x.npy", *outputs, "--batch", str(len(x))], check=True)
    return [np.load(folder / f"{output}.npy") for output in ("kinds", "map")]


def shifted(x, down, right):
    rows = np.clip(np.arange(x.shape[2]) - down, 0, x.shape[2] - 1)
    columns = np.clip(np.arange(x.shape[3]) - right, 0, x.shape[3] - 1)
    return x[:, :, rows][..., columns]


def softmax(x):
    x = np.exp(x - x.max(1, keepdims=True))
    return x / x.sum(1, keepdims=True)


for name in "ab":
    write_safetensors(folder / f"{name}.safetensors", {
        weight: random.normal(0, 0.5, shape).astype(np.float32) for weight, shape in SHAPES.items()})
    compile(name, "--weights", folder / f"{name}.safetensors")
compile("both", "--weights", folder / "a.safetensors", "--ensemble", folder / "b.safetensors", "--views", "mirror,shift")

x = random.normal(0, 1, (3, 2, 7, 9))
moves = [(1, 0), (-1, 0), (0, 1), (0, -1)]
views = [(lambda x: x, lambda y: y), (lambda x: x[..., ::-1], lambda y: y[..., ::-1])]
views += [(lambda x, d=d, r=r: shifted(x, d, r), lambda y, d=d, r=r: shifted(y, -d, -r)) for d, r in moves]
wanted = [0, 0]
for name in "ab":
    for look, undo in views:
        kinds, maps = run(name, look(x))
        wanted[0] = wanted[0] + softmax(kinds) / 12
        wanted[1] = wanted[1] + undo(softmax(maps)) / 12
for found, right in zip(run("both", x), wanted):
    assert found.shape == right.shape and abs(found - right).max() < 1e-5, abs(found - right).max()
print("the mean of twelve answers")
