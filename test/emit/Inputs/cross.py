#!/usr/bin/env python3
"""One target's program, libraries and C source, run by qemu-user.

    cross.py TARGET GNU-NAME MODEL WEIGHTS FOLDER

FOLDER holds the input x.npy and native.npy, what the program of this machine computed.
"""

import pathlib
import subprocess
import sys

import numpy

target, gnu, model, weights, folder = sys.argv[1:]
base = pathlib.Path(folder)
folder = base / target
folder.mkdir()
expected = numpy.load(base / "native.npy").ravel()
qemu = ["qemu-" + gnu.split("-")[0], "-L", f"/usr/{gnu}"]
if target == "riscv64-linux":
    qemu += ["-cpu", "rv64,v=true,vlen=128,vext_spec=v1.0"]


def run(*command, cwd=None):
    result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            cwd=cwd)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{result.stdout}")
    return result.stdout


def compare(what, values):
    values = numpy.asarray(values, numpy.float32).ravel()
    assert values.shape == expected.shape, values.shape
    error = abs(values - expected).max() / abs(expected).max()
    assert error <= 1e-5, (what, error)
    print(what, "equal", flush=True)


options = [model, "--weights", weights, "--target", target]
run("halcyon", "compile", *options, "-o", folder / "program")
run(*qemu, folder / "program", "--input", base / "x.npy", "--output", folder / "y.npy")
compare("program", numpy.load(folder / "y.npy"))
picture = next((pathlib.Path(model).parent / "digits").glob("*.png"))
print("picture:", subprocess.run([*qemu, folder / "program", picture], capture_output=True, text=True).stderr, flush=True)

compiler = ["clang", f"--target={gnu}", "-fuse-ld=lld", "-Wall", "-Wextra", "-Werror"]
for form in "lib", "shared", "c":
    made = folder / form
    run("halcyon", "emit", *options, f"--for={form}", "-o", made)
    if form == "c":
        run(*compiler, "-std=c11", "-O1", made / "example.c", made / "lenet.c", "-lm", "-o", made / "example")
    else:
        run(*compiler, made / "example.c", "-I", made / "include", "-L", made / "lib", "-llenet", "-lm", "-lpthread",
            f"-Wl,-rpath,{made}/lib", "-o", made / "example")
    lines = run(*qemu, "./example", base / "x.npy", cwd=made)
    compare(form, [float(word) for word in lines.split()[1:]])
