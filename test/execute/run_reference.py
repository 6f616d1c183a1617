#!/usr/bin/env python3
"""Compiles models and compares what their programs compute with ONNX Runtime.

    run_reference.py [--filter REGEX]                     # layers and short chains
    run_reference.py --networks all [--batch 2]           # the examples, whole
    run_reference.py --random 24 [--seed 1] [--shrink]    # networks drawn at random
    run_reference.py --algorithm chosen,im2col,winograd4  # each forced in turn
    run_reference.py --precision bf16 [--networks all]    # stored in bf16

Layers are compiled many to a model, each a block with its own inputs and outputs. A model
that does not compile is cut down until the layer that is to blame stands alone. In bf16,
all of a layer is, and what ONNX Runtime gets is rounded, too; of a network all but its
ends is, and ONNX Runtime computes it in f32. What follows `--` goes to `halcyon compile`
as it is.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "reference"))

import layers  # noqa: E402
import networks  # noqa: E402
import random_networks  # noqa: E402
from graph import read_safetensors, session, write_safetensors  # noqa: E402


class Failed(Exception):
    """A step went wrong; `stderr` is all that it said."""

    def __init__(self, what, stderr=""):
        lines = [line for line in stderr.strip().splitlines() if line.strip() and not line.startswith("warning")]
        super().__init__(": ".join([what, *lines[:1]]))
        self.stderr = stderr


def call(what, command, limit):
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=limit,
                              errors="replace", check=False)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{what} took more than {limit} s") from late
    if done.returncode:
        ending = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
        raise Failed(f"{what} ended with {ending}", done.stderr)


def compile_model(args, algorithm, model, weights, program):
    forced = [] if algorithm == "chosen" else ["--algorithm", algorithm]
    call("compiling", [args.halcyon, "compile", model, "--weights", weights, "-o", program, "--precision",
                       args.precision, *forced, *args.flags], args.limit)


def difference(result, expected):
    """Largest difference over largest reference."""
    if result.shape != expected.shape:
        raise Failed(f"the result is {result.shape}, not {expected.shape}")
    if not np.isfinite(result).all():
        raise Failed(f"{np.count_nonzero(~np.isfinite(result))} of {result.size} values are not finite")
    return float(abs(result - expected).max() / max(abs(expected).max(), 1e-30))


# Layers

class Bundle:
    """Cases as one model."""

    def __init__(self, cases, precision):
        self.cases, self.weights = cases, {}
        text, self.owner = [], []

        def add(lines, case=None):
            lines = lines.splitlines()
            text.extend(lines)
            self.owner.extend([case] * len(lines))

        for line in dict.fromkeys(line for case in cases for line in case.prelude):
            add(line)
        for case in cases:
            add(case.source, case)
        add("model cases {")
        for case in cases:
            for port, value in zip(self.inputs(case), case.inputs):
                element = "i32" if value.dtype.kind == "i" else "f32"
                add(f"  input {port}: {element}[{', '.join(['N', *map(str, value.shape[1:])])}]", case)
        for case in cases:
            first, *others = self.inputs(case)
            result = f"{first} -> {case.name}{'(' + ', '.join(others) + ')' if others else ''} as \"{case.name}\""
            names = self.outputs(case)
            add(f"  precision {precision} {{ {', '.join(names)} = {result} }}", case)
            add(f"  output {', '.join(names)}", case)
            self.weights |= {f"{case.name}.{name}": value for name, value in case.weights.items()}
        add("}")
        self.text = "\n".join(text) + "\n"

    @staticmethod
    def inputs(case):
        return [f"{case.name}_{letter}" for letter, _ in zip("xyz", case.inputs)]

    @staticmethod
    def outputs(case):
        return [f"{case.name}_out{index}" for index in range(len(case.expected))]

    def blamed(self, stderr):
        """Cases on whose lines the compiler reported errors."""
        lines = (int(line) for line in re.findall(r"cases\.cnn:(\d+):\d+: error", stderr))
        owners = (self.owner[line - 1] for line in lines if 0 < line <= len(self.owner))
        return {case.name for case in owners if case}


def run_bundle(args, algorithm, bundle, folder):
    """Yields (case, largest difference or what went wrong)."""
    model, weights, program = folder / "cases.cnn", folder / "cases.safetensors", folder / "cases"
    model.write_text(bundle.text)
    write_safetensors(weights, bundle.weights)
    compile_model(args, algorithm, model, weights, program)
    worst = {case.name: 0.0 for case in bundle.cases}
    for batch in (layers.BATCH, 1):
        given, result = folder / "input.safetensors", folder / "output.safetensors"
        write_safetensors(given, {port: value[:batch] for case in bundle.cases
                                  for port, value in zip(bundle.inputs(case), case.inputs)})
        call("running", [program, "--input", given, "--output", result], args.limit)
        tensors = read_safetensors(result)
        for case in bundle.cases:
            if isinstance(worst[case.name], Failed):
                continue
            try:
                for port, expected in zip(bundle.outputs(case), case.expected):
                    if port not in tensors:
                        raise Failed(f"there is no output {port}")
                    worst[case.name] = max(worst[case.name], difference(tensors[port], expected[:batch]))
            except Failed as failed:
                worst[case.name] = failed
    return [(case, worst[case.name]) for case in bundle.cases]


def run_cases(args, algorithm, cases):
    bundle = Bundle(cases, args.precision)
    try:
        with tempfile.TemporaryDirectory(dir=args.temp) as folder:
            return run_bundle(args, algorithm, bundle, pathlib.Path(folder))
    except Failed as failed:
        if len(cases) == 1:
            return [(cases[0], failed)]
        blamed = bundle.blamed(failed.stderr)
        parts = [[case] for case in cases if case.name in blamed]
        rest = [case for case in cases if case.name not in blamed]
        half = len(rest) // 2
        parts += [part for part in ([rest] if blamed else [rest[:half], rest[half:]]) if part]
        return [result for part in parts for result in run_cases(args, algorithm, part)]


def check_layers(args, algorithm, report):
    match = re.compile(args.filter or "").search
    cases = list(layers.cases(lambda name: bool(match(name)), args.precision == "bf16"))
    groups = [cases[at:at + args.group] for at in range(0, len(cases), args.group)]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for results in pool.map(lambda group: run_cases(args, algorithm, group), groups):
            for case, outcome in results:
                report(case.name, algorithm, outcome)


# Networks

def check_network(args, name, report):
    with tempfile.TemporaryDirectory(dir=args.temp) as folder:
        folder = pathlib.Path(folder)
        graph = networks.build(name)
        weights, given, result, program = (folder / f"{name}{end}" for end in
                                           (".safetensors", ".input.safetensors", ".output.safetensors", ""))
        write_safetensors(weights, graph.weights)
        images, expected = networks.sample(graph, np.random.default_rng(8), args.batch)
        write_safetensors(given, images)
        del graph
        for algorithm in args.algorithm:
            try:
                compile_model(args, algorithm, ROOT / "examples" / f"{name}.cnn", weights, program)
                result.unlink(missing_ok=True)
                call("running", [program, "--input", given, "--output", result], args.limit)
                report(name, algorithm, worst(read_safetensors(result), expected))
            except Failed as failed:
                report(name, algorithm, failed)


def worst(results, expected):
    """The largest difference of any output; one alone may have any name."""
    if len(results) == len(expected) == 1:
        return difference(*results.values(), *expected.values())
    if set(results) != set(expected):
        raise Failed(f"the outputs are {', '.join(results)}, not {', '.join(expected)}")
    return max(difference(results[name], expected[name]) for name in expected)


# Random networks

def run_random(args, algorithm, network, folder):
    """Largest difference from the reference; all images at once, the last alone, on one thread and on two."""
    model, weights, program, given, result = (folder / f"{network.name}{end}" for end in (
        ".cnn", ".safetensors", "", ".in.safetensors", ".out.safetensors"))
    model.write_text(network.text)
    write_safetensors(weights, network.weights)
    compile_model(args, algorithm, model, weights, program)

    def outputs(images, threads):
        write_safetensors(given, {name: value[images] for name, value in network.inputs.items()})
        result.unlink(missing_ok=True)
        call("running", [program, "--input", given, "--output", result, "--threads", threads], 60)
        return read_safetensors(result)

    tensors, worst = outputs(slice(None), 2), 0.0
    for name in network.outputs:
        if name not in tensors:
            raise Failed(f"there is no output {name}")
        try:
            worst = max(worst, difference(tensors[name], network.values[name]))
        except Failed as failed:
            raise Failed(f"{name}: {failed}") from failed
    # Threads must not change a bit; how many images there are may change the order of sums.
    for what, images, threads, most in (("on one thread", slice(None), 1, 0.0),
                                        ("of one image", slice(-1, None), 2, 1e-5)):
        for name, value in outputs(images, threads).items():
            change = difference(value, tensors[name][images])
            if change > most:
                raise Failed(f"{name} is another {what}, by {change:.1e}")
    return worst


def check_random(args, algorithm, seed):
    network = random_networks.generate(seed)

    def outcome(network, algorithm=algorithm):
        with tempfile.TemporaryDirectory(dir=args.temp) as folder:
            try:
                return run_random(args, algorithm, network, pathlib.Path(folder))
            except Failed as failed:
                return failed

    def fails(network):
        now = outcome(network)
        return bad(now) and isinstance(now, Failed) == isinstance(first, Failed)

    def bad(outcome):
        return isinstance(outcome, Failed) or outcome > args.tolerance

    start = time.monotonic()
    first = outcome(network)
    text = ""
    if bad(first) and args.shrink:
        network = random_networks.shrink(network, fails)
        first = outcome(network)
        text = network.text.removeprefix("\n".join(network.prelude))
    return f"random_{seed}", first, time.monotonic() - start, text


def check_randoms(args, algorithm, report):
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for name, outcome, seconds, text in pool.map(lambda seed: check_random(args, algorithm, seed),
                                                     range(args.seed, args.seed + args.random)):
            report(name, algorithm, outcome)
            if args.slow and seconds > args.slow:
                print(f"SLOW {name} {seconds:.1f} s", flush=True)
            if text:
                print(text, flush=True)


def main():
    flags = []
    if "--" in sys.argv:
        at = sys.argv.index("--")
        flags, sys.argv[at:] = sys.argv[at + 1:], []
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--halcyon", default=str(ROOT / "build" / "bin" / "halcyon"), help="the compiler")
    parser.add_argument("--networks", default="", help="examples by name, or all; without it, layers")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="N random networks instead of layers")
    parser.add_argument("--seed", type=int, default=1, help="of the first random network; the others follow")
    parser.add_argument("--shrink", action="store_true", help="show the least of a random network that fails")
    parser.add_argument("--slow", type=float, metavar="S", help="name random networks that take more than S seconds")
    parser.add_argument("--filter", help="layers whose name this expression is found in")
    parser.add_argument("--algorithm", default="chosen", help="algorithms to force in turn; chosen forces none")
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16"], help="how values are stored")
    parser.add_argument("--batch", type=int, default=2, help="pictures at once through a network")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--group", type=int, default=32, help="layers in one model")
    parser.add_argument("--tolerance", type=float, help="largest difference over largest value")
    parser.add_argument("--limit", type=int, default=300, help="seconds for one compilation or run")
    parser.add_argument("--temp", help="folder for temporary files")
    parser.add_argument("--quiet", action="store_true", help="show failures alone")
    args = parser.parse_args()
    args.flags, args.algorithm = flags, args.algorithm.split(",")
    if args.tolerance is None:
        # bf16 rounds by up to 4e-3; through a network errors add up: U-Net 1.9e-2, with
        # Winograd, which rounds once more, 2.6e-2 to 3.5e-2.
        args.tolerance = 1e-3 if args.precision == "f32" else 5e-2 if args.networks else 1e-2
    if not pathlib.Path(args.halcyon).is_file():
        parser.error(f"there is no compiler at {args.halcyon}; --halcyon says where it is")

    passed, failures = [], []

    def report(name, algorithm, outcome):
        label = name if args.algorithm == ["chosen"] else f"{name} ({algorithm})"
        if isinstance(outcome, float) and outcome <= args.tolerance:
            passed.append(label)
            if not args.quiet:
                print(f"PASS {label} {outcome:.1e}", flush=True)
            return
        failures.append(label)
        why = f"differs by {outcome:.1e}" if isinstance(outcome, float) else str(outcome)
        print(f"FAIL {label}: {why}", flush=True)

    if args.networks:
        names = list(networks.NETWORKS) if args.networks == "all" else args.networks.split(",")
        for name in names:
            if name not in networks.NETWORKS:
                parser.error(f"there is no network {shlex.quote(name)}: {', '.join(networks.NETWORKS)}")
        for name in names:
            check_network(args, name, report)
    elif args.random:
        for algorithm in args.algorithm:
            check_randoms(args, algorithm, report)
    else:
        for algorithm in args.algorithm:
            check_layers(args, algorithm, report)
    if not passed and not failures:
        parser.error(f"no layer matches {args.filter}")
    print(f"{len(passed)} passed, {len(failures)} failed")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
