"""A worker: holds one peer, and answers orders of compare.py, a line of JSON each.

A process of its own lets a peer's threads rest while the others run, and keeps what one
crashes or links from the rest.
"""

import dataclasses
import json
import os
import pathlib
import sys
import time

from peers import PEERS
from peers.peer import Refused, Task


def timed(peer, seconds, least):
    times, end = [], time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        start = time.perf_counter()
        peer.step()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def busy_ns():
    """Thread -> time that it had a core."""
    found = {}
    for task in pathlib.Path("/proc/self/task").iterdir():
        try:
            found[int(task.name)] = int((task / "schedstat").read_text().split()[0])
        except OSError:
            pass  # it has ended
    return found


def pin(peer, cores):
    """Gives each of the threads that do the work a core: left alone, two often share one for long."""
    before = busy_ns()
    timed(peer, 0.2, 3)
    worked = {thread: ns - before.get(thread, 0) for thread, ns in busy_ns().items()}
    for core, thread in zip(cores, sorted(worked, key=worked.get, reverse=True)):
        os.sched_setaffinity(thread, {core})


class Worker:
    def __init__(self, kind, task, cores):
        self.kind, self.task, self.cores, self.peer = kind, task, cores, None

    def prepare(self):
        self.kind.prepare(self.task)

    def load(self):
        import numpy

        start = time.perf_counter()
        self.peer = self.kind(self.task, numpy.load(self.task.input))
        self.peer.step()
        seconds = time.perf_counter() - start
        pin(self.peer, self.cores)
        return {"load_s": seconds, "version": self.kind.version()}

    def save(self, path):
        import numpy

        numpy.save(path, self.peer.output())

    def run(self, seconds, least):
        return timed(self.peer, seconds, least)


def main():
    kind, task, cores = json.loads(sys.argv[1])
    os.sched_setaffinity(0, cores)
    task = Task(**task)
    os.environ["OMP_NUM_THREADS"] = str(task.threads)
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(pathlib.Path(task.cache) / "inductor"))
    # What a runtime prints must not meet the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    kind = PEERS[kind]
    if not kind.is_installed():
        print(json.dumps({"refused": "not installed"}), file=answers, flush=True)
        return
    worker = Worker(kind, task, cores)
    print(json.dumps({"ready": dataclasses.asdict(task)["name"]}), file=answers, flush=True)
    for line in sys.stdin:
        order, arguments = json.loads(line)
        try:
            answer = {"result": getattr(worker, order)(**arguments)}
        except Refused as why:
            answer = {"refused": str(why)}
        except Exception as error:  # a peer that fails is a line in the report
            answer = {"refused": f"{type(error).__name__}: {str(error)[:300]}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
