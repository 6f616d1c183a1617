#!/usr/bin/env python3
"""Properties of programs that no clock is needed for.

    run_properties.py [--halcyon PATH] [--update] [NETWORK ...]

For every example: kernels, calls, layout conversions and bytes moved are at most what
networks.json says, and the arena is at most 1.15 times its lower bound. In the assembly of some:
multiply-adds use the target's widest vectors, the loops that hold most of them keep their sums in
registers, read no more often than they multiply, and do little else. A program is small without
its weights. All of it for named targets, so that every machine sees the same.

--update writes what is there now to networks.json: for a change that means to move these numbers.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import assembly

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LIMITS = HERE / "networks.json"
ARENA = 1.15
PROGRAM_BYTES = 2_000_000
# Networks whose assembly is read, on the target with these vectors.
ASSEMBLY = [("resnet50", "x86-64-avx512", "zmm"), ("mobilenet_v2", "x86-64-avx512", "zmm"),
            ("vgg16", "x86-64-avx512", "zmm"), ("resnet18", "x86-64-avx2", "ymm"),
            ("resnet50", "x86-64-zen4", "zmm")]
# Kernels that live by their multiply-adds, as their symbols begin.
PRODUCTS = ("conv_direct", "conv_pointwise", "conv_winograd", "conv_im2col", "linear_")


class Failed(Exception):
    """A command that ended badly."""


def halcyon(options, *words):
    done = subprocess.run([str(word) for word in (options.halcyon, *words)], text=True, capture_output=True)
    if done.returncode:
        raise Failed((done.stderr or done.stdout).strip()[-400:])
    return done.stdout


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, problems):
        """One line, and beneath it what is wrong."""
        print(f"{'FAIL' if problems else 'PASS'} {name}", flush=True)
        for problem in problems:
            print(f"    {problem}")
        self.passed += not problems
        self.failed += bool(problems)


#
# Counts
#


def counts(options, name):
    found = json.loads(halcyon(options, "explain", "--json", "--target", "x86-64-avx512",
                               ROOT / "examples" / f"{name}.cnn"))
    totals = found["totals"]
    return {"kernels": totals["kernels"], "calls": totals["kernel_calls"], "conversions": totals["conversions"],
            "megabytes moved": round(sum(kernel["bytes"] for kernel in found["kernels"]) / 1e6, 3)}, totals


def check_counts(options, name, limits):
    found, totals = counts(options, name)
    for what, limit in limits.get(name, {}).items():
        # Bytes may waver by a halo here and there.
        if found[what] > limit * (1.01 if what == "megabytes moved" else 1):
            yield f"{what}: {found[what]}, was {limit}"
    if name not in limits:
        yield "networks.json does not list it: --update"
    if totals["arena_ratio"] > ARENA:
        yield f"the arena is {totals['arena_ratio']:.3f} times its lower bound"


#
# Assembly
#


def product_loops(loops):
    """The deepest of the loops with most multiply-adds: transforms around a product stand less deep."""
    found = assembly.hot(loops)
    deepest = max((loop.depth for loop in found), default=0)
    return [loop for loop in found if loop.depth == deepest]


def check_loop(loop, vector):
    """`vector`: the target's widest."""
    sums, total = loop.sums, sum(1 for _ in loop.instructions())
    if loop.multiply_adds < 6:
        return
    if loop.vector != vector:
        yield f"uses {loop.vector}, the target has {vector}"
    if loop.narrow:
        yield f"{loop.narrow} instructions work on parts of vectors"
    if loop.spills:
        yield f"{loop.spills} vectors to and from the stack for {sums} sums"
    if loop.loads > 1.1 * sums:
        yield f"{loop.loads} reads for {sums} sums"
    if sums < 0.45 * total:
        yield f"{sums} sums in {total} instructions"


def check_assembly(text, vector):
    kernels = {name: loops for name, loops in assembly.kernels(text).items() if name.startswith(PRODUCTS)}
    if not kernels:
        yield "no kernel of convolutions was found"
    for name, loops in kernels.items():
        found = product_loops(loops)
        if not found:
            yield f"{name}: no loop multiplies and adds"
        for loop in found:
            yield from (f"{name}: {problem}" for problem in check_loop(loop, vector))


def check_size(options, folder):
    program, weights = folder / "resnet50", folder / "resnet50.bin"
    halcyon(options, "compile", ROOT / "examples/resnet50.cnn", "--weights", "seed:1", "--target", "x86-64-avx512",
            f"--weights-in={weights}", "-o", program)
    size = program.stat().st_size
    if size > PROGRAM_BYTES:
        yield f"{size} bytes"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--halcyon", type=pathlib.Path, default=ROOT / "build/bin/halcyon")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    options = parser.parse_args()
    names = options.networks or sorted(path.stem for path in (ROOT / "examples").glob("*.cnn"))
    limits = json.loads(LIMITS.read_text()) if LIMITS.exists() else {}
    if options.update:
        limits.update({name: counts(options, name)[0] for name in names})
        LIMITS.write_text(json.dumps(limits, indent=1) + "\n")
        return 0
    report = Report()
    for name in names:
        report.check(f"counts of {name}", list(check_counts(options, name, limits)))
    for name, target, vector in ASSEMBLY:
        if name in names:
            text = halcyon(options, "compile", ROOT / "examples" / f"{name}.cnn", "--emit=asm", "--target", target)
            report.check(f"assembly of {name} for {target}", list(check_assembly(text, vector)))
    if "resnet50" in names:
        with tempfile.TemporaryDirectory() as folder:
            report.check("size of resnet50 without weights", list(check_size(options, pathlib.Path(folder))))
    print(f"{report.passed} passed, {report.failed} failed")
    return int(bool(report.failed))


if __name__ == "__main__":
    sys.exit(main())
