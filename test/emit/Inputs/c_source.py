#!/usr/bin/env python3
"""A model as C11 computes what its program computes.

    c_source.py FOLDER MODEL [--batch N] [--threads] [--flags COMPILER,FLAG,...]... [-- halcyon's options]

Compiles the source of MODEL with every compiler as one that permits no warning, runs
it on drawn tensors, and compares all outputs with those of the native program. With
--threads, one thread and three have to compute the same bits.
"""

import argparse
import ctypes
import pathlib
import subprocess
import sys

import numpy


def run(*command):
    result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{result.stdout}")
    return result.stdout


def ports(readme):
    """(kind, name, type, shape) of each, as the README lists them."""
    for line in readme.splitlines():
        if line.startswith(("- input ", "- output ")):
            kind, _, rest = line[2:].split(" ", 2)
            name, rest = rest.split(", ", 1)
            element, sizes = rest.split("]")[0].split("[")
            yield kind, name, element, sizes.split(", ") if sizes else []


TYPES = {"f32": numpy.float32, "i32": numpy.int32, "i64": numpy.int64, "u8": numpy.uint8}


def main():
    words = sys.argv[1:]
    options = words[words.index("--") + 1:] if "--" in words else []
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("model")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--threads", action="store_true")
    parser.add_argument("--flags", action="append", default=[])
    args = parser.parse_args(words[:words.index("--")] if "--" in words else words)

    folder = args.folder
    folder.mkdir(parents=True, exist_ok=True)
    source, program = folder / "c", folder / "program"
    run("halcyon", "emit", args.model, "--for=c", "-o", source, *options, *["--threads"] * args.threads)
    run("halcyon", "compile", args.model, "-o", program, *options)
    name = next(source.glob("*.h")).stem

    random = numpy.random.default_rng(3)
    tensors = []
    for kind, port, element, sizes in ports((source / "README.md").read_text()):
        shape = [args.batch if size == "N" else int(size) for size in sizes]
        drawn = random.standard_normal(shape) if element == "f32" else random.integers(0, 5, shape)
        tensors.append((kind, port, drawn.astype(TYPES[element])))
    given = []
    for kind, port, tensor in tensors:
        if kind == "input":
            numpy.save(folder / f"{port}.npy", tensor)
            given += ["--input", f"{port}={folder / port}.npy"]
    outputs = [port for kind, port, _ in tensors if kind == "output"]
    for port in outputs:
        given += ["--output", f"{port}={folder / port}.expected.npy"]
    run(program, *given)

    strict = ["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror"]
    for index, flags in enumerate(args.flags):
        compiler, *others = flags.split(",")
        library = folder / "model.so"
        log = run(compiler, *strict, *others, "-fPIC", "-shared", source / f"{name}.c", "-lm", "-o", library)
        assert not log, log
        run(compiler, *strict, *others, source / "example.c", source / f"{name}.c", "-lm", "-o", source / "example")
        subprocess.run(["./example"], cwd=source, check=True, stdout=subprocess.DEVNULL)
        # A library that was loaded before stays: each needs a name of its own.
        own = library.rename(folder / f"{index}.so")
        c = ctypes.CDLL(str(own))
        load, bytes_of, call = (getattr(c, f"{name}_{what}") for what in ("load_weights", "memory_bytes", "run"))
        load.restype, bytes_of.restype = ctypes.c_void_p, ctypes.c_size_t
        assert load(b"/nowhere") is None and load(str(source / "README.md").encode()) is None
        weights = ctypes.c_void_p(load(str(source / f"{name}.weights").encode()))
        assert weights, "the weights were not read"
        memory = numpy.empty(bytes_of(args.batch) + 64, numpy.uint8)
        addresses = []
        for kind, port, tensor in tensors:
            if kind == "output":
                tensor[...] = 0
            addresses.append(ctypes.c_void_p(tensor.ctypes.data))
        results = [tensor for kind, _, tensor in tensors if kind == "output"]
        teams = [[]]
        if args.threads:
            create, destroy = getattr(c, f"{name}_team_create"), getattr(c, f"{name}_team_destroy")
            create.restype = ctypes.c_void_p
            assert create(0) is None
            teams = [[ctypes.c_void_p(made)] for made in (create(3), create(1), None, create(3))]
        assert call(weights, None, *teams[0], 0, *addresses) == 2
        bits = set()
        for team in teams:
            for _ in range(20 if args.threads else 1):
                assert call(weights, ctypes.c_void_p(memory.ctypes.data), *team, args.batch, *addresses) == 0
                bits.add(b"".join(result.tobytes() for result in results))
            if team:
                destroy(*team)
        assert len(bits) == 1, "results differ"
        for kind, port, tensor in tensors:
            if kind != "output":
                continue
            expected = numpy.load(folder / f"{port}.expected.npy").reshape(tensor.shape)
            scale = max(abs(expected).max(), 1e-30)
            assert (abs(tensor - expected) <= 1e-5 * scale).all(), (port, abs(tensor - expected).max() / scale)
        print(f"{name}: {flags.replace(',', ' ')}: {len(outputs)} outputs equal")


main()
