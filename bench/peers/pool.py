"""Workers as the measuring process sees them, and Halcyon's own program among them."""

import dataclasses
import json
import os
import pathlib
import subprocess
import time

from peers.peer import Refused

BENCH = pathlib.Path(__file__).resolve().parents[1]
# OpenMP's threads poll for 200 ms after their last loop: longer than that, so that none meets the next worker's.
REST = 0.25


class PeerWorker:
    """A peer in its process."""

    def __init__(self, python, kind, task, cores):
        self.kind, self.task, self.version = kind, task, ""
        self.key = f"{kind.name} {task.precision}"
        argument = json.dumps([kind.name, dataclasses.asdict(task), cores])
        self.log = open(pathlib.Path(task.cache) / f"{kind.name}.log", "w")
        self.process = subprocess.Popen(
            [python, "-m", "peers.serve", argument], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            text=True, env={**os.environ, "PYTHONPATH": str(BENCH), "PYTHONDONTWRITEBYTECODE": "1"})
        try:
            self.answer()
        except Refused:
            self.close()
            raise

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Refused(f"ended with status {self.process.wait()}; its log is {self.log.name}")
        answer = json.loads(line)
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer.get("result")

    def ask(self, order, **arguments):
        try:
            print(json.dumps([order, arguments]), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass
        return self.answer()

    def load(self):
        self.version = self.ask("load")["version"]

    def measure(self, seconds, least):
        time.sleep(REST)
        self.ask("run", seconds=0, least=1)
        return self.ask("run", seconds=seconds, least=least)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()


class HalcyonWorker:
    """A compiled program. It measures itself, anew in each round."""

    def __init__(self, program, task, cores):
        self.program, self.task, self.cores = program, task, cores
        self.key = f"halcyon {task.precision}"

    def measure(self, seconds, least):
        time.sleep(REST)
        done = subprocess.run(
            [self.program, "--bench", "--json", "--threads", str(self.task.threads), "--batch", str(self.task.batch),
             "--seconds", str(seconds)],
            capture_output=True, text=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, self.cores))
        found = json.loads(done.stdout)
        return [found["median_ms"]]

    def close(self):
        pass
