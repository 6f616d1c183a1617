"""Compiles every example, and prints its tree and the tree of that."""
import glob
import os
import subprocess
import sys

examples, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)


def halcyon(source, stage, output):
    path = os.path.join(folder, output)
    subprocess.run(["halcyon", "compile", source, "--emit=" + stage, "-o", path],
                   check=True)
    return path


for model in sorted(glob.glob(os.path.join(examples, "*.cnn"))
                    + glob.glob(os.path.join(examples, "training", "*.cnn"))):
    halcyon(model, "cnn", "model.mlir")
    once = halcyon(model, "ast", "once.cnn")
    twice = halcyon(once, "ast", "twice.cnn")
    with open(once) as first, open(twice) as second:
        assert first.read() == second.read(), model
