#!/usr/bin/env python3
"""Times training steps beside torch's, interleaved in one run, and writes the table of docs/performance.md.

    training.py --networks lenet5,mlp,resnet18,resnet50 --precisions f32,bf16 --write docs/performance.md

A step is forward pass, cross-entropy, backward pass and SGD with momentum. Each round runs Halcyon's training program
and every form of torch for a moment, pinned to the same cores; of each the fastest step counts, and a ratio is ours to
that of torch's form that is the fastest over all rounds. Memory is the process's peak. Nothing is asserted.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- training: begin -->", "<!-- training: end -->"
SHAPES = {"lenet5": (64, (1, 28, 28)), "mlp": (64, (784,)), "resnet18": (32, (3, 32, 32)), "resnet50": (8, (3, 224, 224))}
TITLES = {"lenet5": "LeNet-5, batch 64", "mlp": "MLP 784-256-128-10, batch 64", "resnet18": "ResNet-18 on 32x32, batch 32",
          "resnet50": "ResNet-50, batch 8"}


class Torch:
    def __init__(self, options, name, form):
        self.form = form
        self.process = subprocess.Popen([options.python, ROOT / "bench/peers/torch_training.py", name, form,
                                         str(options.threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.DEVNULL)
        self.version = json.loads(self.process.stdout.readline() or sys.exit(f"torch does not run {name} as {form}"))["version"]

    def measure(self, seconds):
        print(json.dumps(seconds), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        return min(answer["times"]), answer["peak_mb"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Halcyon:
    """The training program, on pictures of noise."""

    def __init__(self, options, name, precision, folder):
        import numpy

        batch, shape = SHAPES[name]
        self.options, self.batch, self.program = options, batch, folder / name
        noise = numpy.random.default_rng(0)
        numpy.save(folder / "images.npy", noise.standard_normal((batch, *shape), dtype=numpy.float32))
        numpy.save(folder / "labels.npy", noise.integers(0, 10, batch).astype(numpy.int32))
        model = folder / f"{name}.cnn"
        model.write_text((ROOT / "bench/training" / f"{name}.cnn").read_text())
        subprocess.run([options.halcyon, "compile", "--train", model, "--precision", precision, "-o", self.program],
                       check=True)

    def measure(self, seconds):
        del seconds  # the program times as many steps as it needs
        words = [self.program, "--find-batch", "--batch", self.batch, "--threads", self.options.threads, "-o",
                 self.program.parent / "run"]
        with tempfile.TemporaryFile("w+") as out:
            process = subprocess.Popen([str(word) for word in words], stdout=out, cwd=self.program.parent,
                                       preexec_fn=lambda: os.sched_setaffinity(0, cores(self.options.threads)))
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = status
            out.seek(0)
            found = re.search(r"([\d.]+) ms", out.read())
        if status or not found:
            sys.exit(f"{self.program} failed")
        best, peak = float(found[1]), used.ru_maxrss / 1024
        return best, peak


def cores(threads):
    return sorted(os.sched_getaffinity(0))[:threads]


def measure(name, precision, options):
    forms = [form + ("-bf16" if precision == "bf16" else "") for form in options.forms]
    with tempfile.TemporaryDirectory() as folder:
        ours = Halcyon(options, name, precision, pathlib.Path(folder))
        theirs = [Torch(options, name, form) for form in forms]
        if options.wait:
            input(f"{name}, {precision}: ready ")
        times, peaks = {"halcyon": []}, {}
        for _ in range(options.rounds):
            for key, worker in [("halcyon", ours), *((torch.form, torch) for torch in theirs)]:
                best, peaks[key] = worker.measure(options.seconds)
                times.setdefault(key, []).append(best)
        for torch in theirs:
            torch.close()
    best = min(forms, key=lambda form: statistics.median(times[form]))
    ratios = sorted(a / b for a, b in zip(times["halcyon"], times[best]))
    row = (f"| {TITLES[name]}, {precision} | {statistics.median(times['halcyon']):.3g} | {statistics.median(times[best]):.3g} ({best}) | "
           f"{statistics.median(ratios):.2f} | {ratios[0]:.2f} to {ratios[-1]:.2f} | {peaks['halcyon']:.0f} | "
           f"{min(peaks[form] for form in forms):.0f} |")
    print(row, flush=True)
    return row, theirs[0].version


def main():
    build = ROOT / "build"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=lambda text: text.split(","), default=list(SHAPES))
    parser.add_argument("--forms", type=lambda text: text.split(","), default=["eager", "eager-channels_last", "compile", "compile-channels_last"],
                        help="of torch: eager or compile, -channels_last behind it")
    parser.add_argument("--precisions", type=lambda text: text.split(","), default=["f32"],
                        help="f32 or bf16, of either side: of torch under autocast")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of torch in each round")
    parser.add_argument("--wait", action="store_true", help="for Enter before each network is timed, all being prepared")
    parser.add_argument("--write", type=pathlib.Path, metavar="FILE", help="replace the table between the file's marks")
    parser.add_argument("--halcyon", type=pathlib.Path, default=build / "bin/halcyon")
    parser.add_argument("--python", type=pathlib.Path, default=build / "peers/bin/python", help="torch's")
    options = parser.parse_args()
    rows, version = [], ""
    for precision in options.precisions:
        for name in options.networks:
            row, version = measure(name, precision, options)
            rows.append(row)
    if options.write:
        text = options.write.read_text()
        head, rest = text.split(BEGIN)
        table = [BEGIN, f"{options.threads} threads, {options.rounds} rounds, torch {version}.", "",
                 "| step | Halcyon, ms | torch, ms | ratio | spread | Halcyon's peak, MB | torch's |", "|---|---|---|---|---|---|---|",
                 *rows, END]
        options.write.write_text(head + "\n".join(table) + rest.split(END)[1])


if __name__ == "__main__":
    main()
