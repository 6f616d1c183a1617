"""Checks `halcyon explain --effective` of stacks of convolutions: effective.py FOLDER."""

import json
import pathlib
import re
import subprocess
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "reference"))
from graph import write_safetensors  # noqa: E402

folder = pathlib.Path(sys.argv[1])
(folder / "stack.cnn").write_text("""model stack {
  input x: f32[N, 1, 33, 41]
  for i in 1..6 { x = x -> conv(1, 3, bias=false) }
  y = x -> conv(1, (1, 3), dilation=4, bias=false)
  output y -> maxpool(2)
}
""")
ones = {f"conv_{i}.weight": np.ones((1, 1, 3, 3), np.float32) for i in range(1, 7)}
write_safetensors(folder / "ones.safetensors", ones | {"conv_7.weight": np.ones((1, 1, 1, 3), np.float32)})


def explain(*args):
    done = subprocess.run(["halcyon", "explain", folder / "stack.cnn", "--effective", *args], check=True,
                          capture_output=True, text=True)
    return done.stdout


def shortest(parts):
    """The least number of neighbours that hold 95 % of the sum."""
    return min(n for n in range(1, len(parts) + 1) if np.convolve(parts, np.ones(n), "valid").max() >= 0.95 * parts.sum())


facts = json.loads(explain("--weights", folder / "ones.safetensors", "--json"))
layers = {layer["layer"]: layer for layer in facts["layers"]}
parts = np.ones(1)
for i in range(1, 7):
    parts = np.convolve(parts, np.ones(3))
    field = layers[f"conv_{i}"]["effective_field"]
    assert field["size"] == [shortest(parts)] * 2, (i, field, shortest(parts))
    # What is inside lies in the middle of the whole field, or a half beside it.
    whole = layers[f"conv_{i}"]["receptive_field"]
    for axis in (0, 1):
        off = field["offset"][axis] + field["size"][axis] / 2 - whole["offset"][axis] - whole["size"][axis] / 2
        assert abs(off) <= 0.5, (field, whole)
wide = np.convolve(parts, [1, 0, 0, 0, 1, 0, 0, 0, 1])
assert layers["conv_7"]["effective_field"]["size"] == [shortest(parts), shortest(wide)], layers["conv_7"]

# Of random weights it is less than all; the page has it, too.
page = folder / "page.html"
facts = json.loads(explain("--json", "--html", page).split("\n", 1)[1])
field = {layer["layer"]: layer for layer in facts["layers"]}["conv_6"]
assert 5 <= field["effective_field"]["size"][0] <= 13 == field["receptive_field"]["size"][0], field
assert re.search(r'"effective_field":\{"size":\[', page.read_text())
