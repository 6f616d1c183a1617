#!/usr/bin/env python3
"""Times networks beside other runtimes, interleaved in one run, and writes the tables of docs/performance.md.

    compare.py --setup                                     the peers, in a virtual environment of their own
    compare.py --threads 1,2 --batch 1,8                   measures; results gather in build/bench/results.json
    compare.py --write docs/performance.md                 measures, then writes the tables of all results
    compare.py --networks none --write docs/performance.md writes them without measuring
    compare.py --networks none --merge a.json,b.json       takes over what other runs have measured

Every runtime has its process, pinned to the same cores; in each round one after another runs for
a moment, so that what else the machine does meets all of them. A ratio is the median over the rounds
of ours / theirs. Outputs are compared before anything is timed. Nothing is asserted: a clock is no test.
"""

import argparse
import contextlib
import fcntl
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import machine  # noqa: E402
import network  # noqa: E402
import report  # noqa: E402
from network import Failed, Network, command  # noqa: E402
from peers import PEERS  # noqa: E402
from peers.peer import Refused, Task  # noqa: E402
from peers.pool import HalcyonWorker, PeerWorker  # noqa: E402

CORES = sorted(os.sched_getaffinity(0))
# Largest difference over largest value, beyond which an output counts as wrong.
TOLERANCE = {"f32": 1e-3, "bf16": 1e-1}


def setup(folder):
    """A virtual environment with every peer that can be had."""
    if not (folder / "bin" / "pip").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    wanted = (ROOT / "bench/peers/requirements.txt").read_text().splitlines()
    for package in filter(None, (line.partition("#")[0].strip() for line in wanted)):
        print(f"{package:24s}", end="", flush=True)
        done = subprocess.run([folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check",
                               "--no-input", package], text=True, capture_output=True)
        print("there" if not done.returncode else (done.stderr.strip().splitlines() or ["failed"])[-1][:120])


@contextlib.contextmanager
def holding(paths, alone=True):
    """Locks on files, taken in order: all of them while timing, a share of the last while things are made.
    Builds that take them too then never meet a timing."""
    with contextlib.ExitStack() as stack:
        for path in paths:
            last = path == paths[-1]
            file = open(path, "a")
            fcntl.flock(file, fcntl.LOCK_EX if alone or not last else fcntl.LOCK_SH)
            if alone or last:
                stack.enter_context(file)
            else:
                file.close()
        yield


def wrong(worker, expected, folder, tolerance):
    """Why the output is wrong; empty where it is right."""
    import numpy

    path = folder / "output.npy"
    worker.ask("save", path=str(path))
    value, wanted = numpy.load(path), numpy.load(expected)
    if value.size != wanted.size:
        return f"its output has {value.size} values, not {wanted.size}"
    difference = abs(value.reshape(wanted.shape) - wanted).max() / abs(wanted).max()
    return "" if difference <= tolerance else f"its output is wrong by {difference:.2g} of the largest value"


def our_workers(subject, options, folder, task_of, refused):
    for precision in options.precision:
        task = task_of(precision)
        try:
            with holding(options.lock, alone=False):
                program = subject.program(precision, folder, options.compile)
                # It must run at all; that it is right is the tests' business.
                command(program, "--input", task.input, "--output", folder / "output.npy", "--threads", task.threads)
            yield HalcyonWorker(program, task, CORES[:task.threads])
        except Failed as why:
            refused[f"halcyon {precision}"] = str(why).splitlines()[-1]


def ready(name, task, expected, folder, options):
    """A worker that has loaded the network and computes it right."""
    worker = PeerWorker(options.python, PEERS[name], task, CORES[:task.threads])
    try:
        worker.ask("prepare")
        worker.load()
        if why := wrong(worker, expected, folder, TOLERANCE[task.precision]):
            raise Refused(why)
    except BaseException:
        worker.close()
        raise
    return worker


def peer_workers(options, folder, expected, task_of, refused):
    for name in options.peers:
        for precision in options.precision:
            if precision not in PEERS[name].precisions:
                continue
            try:
                with holding(options.lock, alone=False):
                    worker = ready(name, task_of(precision), expected, folder, options)
                yield worker
            except Refused as why:
                refused[f"{name} {precision}"] = str(why)


def rounds(workers, options):
    """Medians of each worker, round by round; who begins changes."""
    times = {worker.key: [] for worker in workers}
    for number in range(options.rounds):
        at = number % len(workers)
        for worker in workers[at:] + workers[:at]:
            times[worker.key].append(statistics.median(worker.measure(options.seconds, 3)))
    return times


def measure(name, threads, batch, options, folder):
    subject = Network(name, options.models, options.halcyon)
    subject.make()
    sample, expected = subject.sample(batch, folder)
    refused, workers = {}, []

    def task_of(precision):
        return Task(name, str(subject.onnx), str(sample), threads, batch, precision, str(folder))

    try:
        workers += our_workers(subject, options, folder, task_of, refused)
        workers += peer_workers(options, folder, expected, task_of, refused)
        times = {}
        if workers and options.rounds:
            with holding(options.lock):
                times = rounds(workers, options)
    finally:
        for worker in workers:
            worker.close()
    versions = {worker.kind.name: worker.version for worker in workers if isinstance(worker, PeerWorker)}
    return {"network": name, "threads": threads, "batch": batch, "date": time.strftime("%Y-%m-%d"),
            "times": times, "refused": refused, "versions": versions, "facts": subject.facts([])}


def load(path):
    return json.loads(path.read_text()) if path.exists() else {"machine": {}, "rows": []}


def keep(results, path, row):
    """A new measurement takes the place of the last one of its kind, for the precisions that it has."""
    def same(other):
        return all(other[key] == row[key] for key in ("network", "threads", "batch"))

    def precisions(one):
        return {key.split()[1] for key in [*one["times"], *one["refused"]]}

    results["rows"] = [old for old in results["rows"] if not (same(old) and precisions(old) <= precisions(row))]
    results["rows"].append(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(results, indent=1) + "\n")
    new.replace(path)


def merge(results, path, others):
    """Takes over what other files have; of two measurements of a kind the later file's."""
    for other in others:
        if not other.exists():
            raise SystemExit(f"there is no {other} to merge")
        found = load(other)
        results["machine"] = results["machine"] or found["machine"]
        for row in found["rows"]:
            keep(results, path, row)


def parse():
    def words(text):
        return [word for word in text.split(",") if word]

    def numbers(text):
        return [int(word) for word in words(text)]

    build = ROOT / "build"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", action="store_true", help="install the peers and do nothing else")
    parser.add_argument("--networks", type=words, default=network.every(), help="names of examples, all, or none")
    parser.add_argument("--peers", type=words, default=list(PEERS), help=", ".join(PEERS))
    parser.add_argument("--threads", type=numbers, default=[len(CORES)], help="one or more counts")
    parser.add_argument("--batch", type=numbers, default=[1], help="one or more sizes")
    parser.add_argument("--precision", type=words, default=["f32", "bf16"], help="f32, bf16 or both")
    parser.add_argument("--rounds", type=int, default=7, help="0 checks outputs and measures nothing")
    parser.add_argument("--seconds", type=float, default=0.25, help="of each runtime in each round")
    parser.add_argument("--compile", type=str.split, default=[], help="more options of halcyon compile, in one word")
    parser.add_argument("--write", type=pathlib.Path, metavar="FILE", help="replace the tables between the file's marks")
    parser.add_argument("--halcyon", type=pathlib.Path, default=build / "bin/halcyon")
    parser.add_argument("--limits", type=pathlib.Path, default=build / "bin/halcyon-bench-machine",
                        help="the program that measures the machine's limits")
    parser.add_argument("--python", type=pathlib.Path, default=build / "peers/bin/python", help="of the peers")
    parser.add_argument("--models", type=pathlib.Path, default=build / "bench/models", help="ONNX files, made if missing")
    parser.add_argument("--results", type=pathlib.Path, default=build / "bench/results.json")
    parser.add_argument("--merge", type=lambda text: [pathlib.Path(word) for word in words(text)], default=[],
                        metavar="FILES", help="results of other runs, on the same machine")
    parser.add_argument("--lock", type=words, default=[], metavar="FILES", help="held while timing, shared while loading")
    options = parser.parse_args()
    if options.networks == ["all"]:
        options.networks = network.every()
    if options.networks == ["none"]:
        options.networks = []
    for name in options.peers:
        if name not in PEERS:
            parser.error(f"there is no peer {name}: {', '.join(PEERS)}")
    for name in options.networks:
        if name not in network.every():
            parser.error(f"there is no example {name}: {', '.join(network.every())}")
    for count in options.threads:
        if not 1 <= count <= len(CORES):
            parser.error(f"{count} threads: this machine lets {len(CORES)} run at a time")
    return options


def main():
    options = parse()
    if options.setup:
        setup(options.python.parent.parent)
        return 0
    results = load(options.results)
    folder = options.results.parent
    folder.mkdir(parents=True, exist_ok=True)
    merge(results, options.results, options.merge)
    if options.networks and not results["machine"]:
        with holding(options.lock):
            results["machine"] = machine.measure(options.limits, CORES)
    if options.networks and not options.python.exists():
        print(f"there is no {options.python}: compare.py --setup installs the peers")
        options.peers = []
    for threads in options.threads:
        for batch in options.batch:
            if options.networks:
                print(f"\nbatch {batch}, {threads} thread{'s' * (threads > 1)}")
                print(report.heading())
            for name in options.networks:
                row = measure(name, threads, batch, options, folder)
                if options.rounds:
                    keep(results, options.results, row)
                for line in report.lines(row):
                    print(line, flush=True)
    if options.write:
        report.write(options.write, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
