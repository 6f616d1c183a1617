#!/usr/bin/env python3
"""The metal form's kernels, checked by clang: types, names and address spaces. No device runs them.

    run_metal.py [NETWORK ...]
    run_metal.py --folder FOLDER    # that was emitted

Apple's compiler, which is clang's as well, is for its own systems alone. Metal is C++14 with more
attributes: those are looked at here, what is left is clang's, with Inputs/metal/metal_stdlib as the
library that kernels include. A last few kernels are spoilt on purpose, and have to fail.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build"
CLANG = shutil.which("clang++-22") or shutil.which("clang++")
# Where a kernel's parameters come from, and their types.
BUFFERS = {"buffer": r"(?:const )?(?:device|constant|__address_space_\w+) [^*]*\*\s*\w+",
           "threadgroup": r"threadgroup [^*]*\*\s*\w+"}
PLACES = dict.fromkeys(["threadgroup_position_in_grid", "thread_position_in_threadgroup", "thread_position_in_grid",
                        "threads_per_threadgroup", "threadgroups_per_grid"], r"(?:uint3|uint2|uint|ushort3|ushort2|ushort) \w+")
# The first line of a change that has to be found, as a pattern and what replaces it.
SPOILT = {"an unknown name": (r"threadgroup_barrier\(", "threadgroup_wait("),
          "a wrong type": (r"\bfloat4 (_\d+) = \*", r"int2 \1 = *"),
          "another address space": (r"\bthreadgroup int4 ?\*", "device int4*"),
          "an unknown attribute": (r"thread_position_in_threadgroup \]\]", "thread_position_in_block ]]"),
          "a buffer twice": (r"\[\[ buffer\(2\) \]\]", "[[ buffer(1) ]]"),
          "arguments of two types": (r"\bmin\((\w+), ", r"min(float(\1), ")}


def parameters(text):
    """What is wrong with the attributes of kernels; nothing if they are Metal's."""
    count = 0
    for name, inside in re.findall(r"^kernel void (\w+)\((.*?)\)\s*\{", text, re.M | re.S):
        count += 1
        seen = set()
        for parameter in inside.split(","):
            found = re.fullmatch(r"\s*(.*?)\s*\[\[ (\w+)(?:\((\d+)\))? \]\]\s*", parameter, re.S)
            if not found:
                return f"{name}: '{parameter.strip()}' has no attribute"
            declared, attribute, number = found.groups()
            pattern = (BUFFERS if number else PLACES).get(attribute)
            if not pattern:
                return f"{name}: there is no attribute {attribute}"
            if not re.fullmatch(pattern, declared):
                return f"{name}: '{declared}' is nothing for {attribute}"
            if (attribute, number) in seen:
                return f"{name}: {attribute} {number} is there twice"
            seen.add((attribute, number))
    return "" if count else "no grid is in it"


def checked(text, folder):
    """What is wrong with a file; nothing if it is Metal."""
    wrong = parameters(text)
    if wrong:
        return wrong
    source = folder / "kernel.cpp"
    source.write_text(re.sub(r"\[\[ [^]]* \]\]", "", text))
    done = subprocess.run([CLANG, "-std=c++14", "-fsyntax-only", "-ffreestanding", "-nostdinc++", "-I", HERE / "Inputs" / "metal",
                           "-Wall", "-Wextra", "-Wconversion", "-Werror", "-Wno-unused", "-Wno-user-defined-literals",
                           "-Wno-unused-parameter", "-Wno-sign-conversion", "-Wno-implicit-int-float-conversion", "-Wno-pass-failed", source],
                          capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr[:600] or "failed"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["lenet", "squeezenet", "resnet18"])
    parser.add_argument("--folder", type=pathlib.Path)
    args = parser.parse_args()
    passed = failed = 0

    def report(good, *what):
        nonlocal passed, failed
        passed, failed = passed + good, failed + (not good)
        print("PASS" if good else "FAIL", *what, flush=True)

    spoilt = dict(SPOILT)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for network in [args.folder.name] if args.folder else args.networks:
            site = args.folder or folder / network
            if not args.folder:
                subprocess.run([BUILD / "bin" / "halcyon", "emit", ROOT / "examples" / f"{network}.cnn", "--for=metal", "--target",
                                "arm64-osx", "--weights", "seed:1", "-o", site], check=True)
            for path in sorted((site / "kernels").glob("*.metal")):
                text = path.read_text()
                wrong = checked(text, folder)
                report(not wrong, network, path.name, wrong)
                for what, (pattern, other) in list(spoilt.items()):
                    worse, changes = re.subn(pattern, other, text, count=1)
                    if changes and not wrong:
                        report(bool(checked(worse, folder)), f"{what} is found")
                        del spoilt[what]
    for what in spoilt:
        report(False, f"no kernel could have {what}")
    print(f"{passed} passed, {failed} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
