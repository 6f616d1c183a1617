#!/usr/bin/env python3
"""Times operations in index notation beside what torch has for them, interleaved, and writes the table of
docs/performance.md.

    operations.py --write docs/performance.md

The models are in bench/operations. Each round runs Halcyon's program and both forms of torch for a moment, pinned to the
same cores; of each the fastest time counts, and the ratio is ours to the faster form. Nothing is asserted.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- operations: begin -->", "<!-- operations: end -->"
FORMS = ("eager", "compile")


def start(options, name, form):
    process = subprocess.Popen([options.python, ROOT / "bench/peers/torch_operations.py", name, form, str(options.threads)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL)
    return process, json.loads(process.stdout.readline() or sys.exit(f"torch does not run {name} as {form}"))


def ask(process, seconds):
    print(json.dumps(seconds), file=process.stdin, flush=True)
    return json.loads(process.stdout.readline())


def bench(program, options):
    out = subprocess.run([program, "--bench", "--json", "--threads", str(options.threads), "--seconds", str(options.seconds)],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)["min_ms"]


def measure(path, options):
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / path.stem
        subprocess.run([options.halcyon, "compile", path, "--weights", "seed:1", "-o", program], check=True)
        theirs = {form: start(options, path.stem, form) for form in FORMS}
        times = {form: [] for form in ("halcyon", *FORMS)}
        for _ in range(options.rounds):
            times["halcyon"].append(bench(program, options))
            for form, (process, _) in theirs.items():
                times[form].append(ask(process, options.seconds))
        for process, _ in theirs.values():
            process.stdin.close()
            process.wait()
    best = min(FORMS, key=lambda form: statistics.median(times[form]))
    ratios = sorted(a / b for a, b in zip(times["halcyon"], times[best]))
    what = path.read_text().splitlines()[0].removeprefix("// ").rstrip(".")
    row = f"| {what[0].lower() + what[1:]} | " + " | ".join(f"{statistics.median(times[form]):.3g}" for form in times)
    row += f" | {statistics.median(ratios):.2f} | {ratios[0]:.2f} to {ratios[-1]:.2f} |"
    print(row, flush=True)
    return row, theirs["eager"][1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--filter", default="", help="names of models that have this in them")
    parser.add_argument("--write", type=pathlib.Path, metavar="FILE", help="replace the table between the file's marks")
    parser.add_argument("--halcyon", type=pathlib.Path, default=ROOT / "build/bin/halcyon")
    parser.add_argument("--python", type=pathlib.Path, default=ROOT / "build/peers/bin/python", help="torch's")
    options = parser.parse_args()
    rows, version = [], ""
    for path in sorted((ROOT / "bench/operations").glob("*.cnn")):
        if options.filter in path.stem:
            row, version = measure(path, options)
            rows.append(row)
    if options.write:
        text = options.write.read_text()
        head, rest = text.split(BEGIN)
        table = [BEGIN, f"f32, batch 1, {options.threads} threads, {options.rounds} rounds, torch {version}, ms.", "",
                 "| operation | Halcyon | torch, eager | torch.compile | ratio to the faster | spread |",
                 "|---|---|---|---|---|---|", *rows, END]
        options.write.write_text(head + "\n".join(table) + rest.split(END)[1])


if __name__ == "__main__":
    main()
