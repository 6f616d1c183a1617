#!/usr/bin/env python3
"""The pytorch form beside torch's own gradients, and the python form with torch's tensors.

    run_pytorch.py [--python PYTHON]

torch, and what builds extensions for it, is installed into build/torch, unless another Python
that has them is given.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build"
EXAMPLES = ROOT / "examples"
PACKAGES = ["torch==2.15.0", "numpy==2.4.6", "setuptools==84.2.1"]
PIP = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
passed = failed = 0


def torch_python():
    folder = BUILD / "torch"
    python = folder / "bin" / "python"
    if subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode if python.exists() else True:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, *PIP, "--no-cache-dir", *PACKAGES], check=True)
    return python


def check(what, command, wanted=(), **more):
    """Runs a command; it passes where it ends well and says all that is wanted."""
    global passed, failed
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **more)
    missing = [line for line in wanted if line not in done.stdout]
    good = done.returncode == 0 and not missing
    passed, failed = passed + good, failed + (not good)
    print("PASS" if good else "FAIL", what, flush=True)
    if not good:
        print(done.stdout, done.stderr[-3000:], *missing, sep="\n")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="that has torch, numpy and setuptools")
    python = parser.parse_args().python or torch_python()
    halcyon, inputs = BUILD / "bin" / "halcyon", HERE / "Inputs"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        site = folder / "site"
        environment = {**os.environ, "PYTHONPATH": str(site)}
        dropped = folder / "dropped.cnn"
        dropped.write_text((inputs / "autograd.cnn").read_text().replace("model autograd", "model dropped")
                           .replace("dropped = 0.0", "dropped = 0.5"))
        lenet = [EXAMPLES / "lenet.cnn", "--weights", EXAMPLES / "lenet.safetensors"]
        for name, model in (("autograd", [inputs / "autograd.cnn", "--weights", "seed:1"]),
                            ("dropped", [dropped, "--weights", "seed:1"]), ("lenet", lenet)):
            check(f"{name}: emit", [halcyon, "emit", *model, "--for=pytorch", "-o", folder / name])
            check(f"{name}: build", [python, *PIP, "--no-build-isolation", "--no-deps", "--target", site, folder / name])
        check("gradients", [python, inputs / "autograd_torch.py"], [
            "training equal", "inference equal", "5 steps equal", "differences agree", "dropout follows the seed",
            "image takes Float, not Double", "shift takes [4, 5], not [3, 5]", "image takes [4, 3, 12, 12], not [4, 2, 12, 12]",
            "autograd: gradients can't be differentiated again"], env=environment)
        check("example", [python, folder / "lenet" / "example.py"], ["step 4: loss"], env=environment)
        check("wheel: emit", [halcyon, "emit", inputs / "mixed.cnn", "--for=python", "--weights", "seed:1", "-o", folder / "wheel"])
        check("wheel: program", [halcyon, "compile", inputs / "mixed.cnn", "--weights", "seed:1", "-o", folder / "program"])
        check("wheel: install", [python, *PIP, "--no-index", "--no-deps", "--target", site, *sorted((folder / "wheel").glob("*.whl"))])
        check("wheel: torch's tensors", [python, inputs / "wheel.py", folder / "program", folder], ["4 threads agree", "\ntorch\n"],
              env=environment)
    print(f"{passed} passed, {failed} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
