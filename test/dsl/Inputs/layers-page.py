"""Compiles every row of a page's tables of shapes: layers-page.py PAGE FOLDER."""

import os
import re
import subprocess
import sys

page, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)
rows = re.findall(r"^\| ([\dx]+) \| `(.+)` \| ([\dx]+) \|$", open(page).read(), re.M)
assert len(rows) > 50, len(rows)
lines = ["model page {"]
for at, (given, layer, _) in enumerate(rows):
    lines += [f"  input x{at}: f32[N, {given.replace('x', ', ')}]", f"  output y{at} = x{at} -> {layer}"]
model = os.path.join(folder, "page.cnn")
with open(model, "w") as file:
    file.write("\n".join(lines) + "\n}\n")
graph = subprocess.run(["halcyon", "compile", model, "--emit=cnn", "-o", "-"], check=True, capture_output=True, text=True).stdout
shapes = dict(re.findall(r'cnn\.output \S+ "y(\d+)" : tensor<\?x([\dx]+)xf32>', graph))
assert len(shapes) == len(rows), (len(shapes), len(rows))
for at, (given, layer, wanted) in enumerate(rows):
    assert shapes[str(at)] == wanted, f"{layer} of {given} gives {shapes[str(at)]}, not {wanted}"
