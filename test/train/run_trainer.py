#!/usr/bin/env python3
"""The trainer, on a training program made by hand: what it learns, keeps, resumes and says.

    run_trainer.py [--program FILE] [NAME]
"""

import argparse
import json
import os
import pathlib
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build" / "bin" / "trainer-test-program"


def png(path, pixels):
    height, width = pixels.shape
    rows = b"".join(b"\0" + pixels[y].astype(np.uint8).tobytes() for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def pictures(folder, each, seed):
    """Three kinds: bright above, bright below, bright in the middle."""
    rng = np.random.default_rng(seed)
    for kind, rows in enumerate(([0], [3], [1, 2])):
        for i in range(each):
            pixels = rng.integers(0, 60, (4, 4))
            pixels[rows] += 180
            png(folder / f"{'abc'[kind]}" / f"{i:03}.png", pixels)


def tensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    kinds = {"F32": np.float32}
    return {name: np.frombuffer(data[8 + length + e["data_offsets"][0]:8 + length + e["data_offsets"][1]],
                                kinds[e["dtype"]]).reshape(e["shape"])
            for name, e in header.items() if name != "__metadata__"}


class Folder:
    """A place to train in, with pictures to train on."""

    def __init__(self, path):
        self.path = path
        pictures(path / "train", 20, 1)
        pictures(path / "val", 7, 2)

    def command(self, run, *options):
        return [str(PROGRAM), "-o", run, *map(str, options)]

    def train(self, run, *options, status=0, **more):
        done = subprocess.run(self.command(run, *options), cwd=self.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=60, check=False, **more)
        assert done.returncode == status, f"ended with {done.returncode}: {done.stderr}"
        return done.stdout + done.stderr

    def weights(self, run, name="last"):
        return (self.path / run / f"{name}.safetensors").read_bytes()

    def log(self, run):
        return [json.loads(line) for line in (self.path / run / "log.jsonl").read_text().splitlines()]


def learns(f):
    said = f.train("run")
    assert "60 images, 21 to validate; 48 weights; batches of 8" in said, said
    log = f.log("run")
    steps = [line for line in log if "step" in line]
    epochs = [line for line in log if "epoch" in line]
    assert [line["step"] for line in steps] == list(range(1, 29)), "7 whole batches in each of 4 epochs"
    assert len(epochs) == 4 and epochs[-1]["val top1"] == 1 and epochs[-1]["loss"] < epochs[0]["loss"], epochs
    assert epochs[-1]["table table"] == [[7, 0, 0], [0, 7, 0], [0, 0, 7]], epochs[-1]
    assert abs(steps[0]["rate"] - 0.5) < 1e-9 and steps[-1]["rate"] < 0.01, "a cosine"
    found = sorted(path.name for path in (f.path / "run").iterdir())
    assert found == ["best.safetensors", "last.safetensors", "log.jsonl", "pictures.json", "plan.json", "state.safetensors",
                     "step-10.safetensors", "step-20.safetensors"], found
    state = tensors(f.path / "run" / "state.safetensors")
    assert set(state) == {"w", "slot:velocity:w", "average:w"}, set(state)
    # What is kept is the average.
    assert np.array_equal(tensors(f.path / "run" / "last.safetensors")["w"], state["average:w"])


def same_run(f):
    f.train("one", "--threads", 1, "--data-threads", 1)
    f.train("two", "--threads", 2, "--data-threads", 3)
    assert f.weights("one") == f.weights("two"), "the number of threads changes the weights"
    f.train("other", "--seed", 2)
    assert f.weights("one") != f.weights("other"), "the seed changes nothing"


def goes_on(f):
    f.train("whole")
    for steps in (5, 7, 11):  # within an epoch, at its end, in the second
        f.train(f"part{steps}", "--steps", steps)
        f.train(f"part{steps}", "--resume")
        assert f.weights(f"part{steps}") == f.weights("whole"), f"stopped after {steps} steps"
    assert [line["step"] for line in f.log("part11") if "step" in line] == list(range(1, 29))
    # An epoch that was interrupted counts what came before.
    for steps in (5, 7, 11):
        assert epochs(f, f"part{steps}") == epochs(f, "whole"), f"stopped after {steps} steps"


def epochs(f, run):
    """What a run says of its epochs, without what depends on the clock or on the epoch before."""
    return [{key: value for key, value in line.items() if key not in ("seconds", "weights")}
            for line in f.log(run) if "epoch" in line]


def survives_a_kill(f):
    f.train("whole", "--epochs", 300)
    with subprocess.Popen(f.command("killed", "--epochs", "300"), cwd=f.path, stderr=subprocess.DEVNULL) as process:
        while not (f.path / "killed" / "step-300.safetensors").exists():
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
        process.kill()
    assert not (f.path / "killed" / "last.safetensors").exists(), "it was not killed in time"
    f.train("killed", "--epochs", 300, "--resume")
    assert f.weights("killed") == f.weights("whole")
    assert [line["step"] for line in f.log("killed") if "step" in line] == list(range(1, 2101)), "a step is logged twice"


def stops_when_asked(f):
    f.train("whole", "--epochs", 300)
    with subprocess.Popen(f.command("stopped", "--epochs", "300"), cwd=f.path, stderr=subprocess.PIPE,
                          text=True) as process:
        while not (f.path / "stopped" / "step-50.safetensors").exists():
            time.sleep(0.002)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 130 and "interrupted at step" in said and "--resume" in said, said
    f.train("stopped", "--epochs", 300, "--resume")
    assert f.weights("stopped") == f.weights("whole")


def says_where_a_loss_is_no_number(f):
    for kind in range(100):
        (f.path / "many" / f"{kind:02}").mkdir(parents=True)
    pictures(f.path / "odd", 20, 3)
    for number, kind in enumerate("abc"):
        for path in (f.path / "odd" / kind).iterdir():
            path.rename(f.path / "many" / f"{number:02}" / path.name)
    png(f.path / "many" / "99" / "odd.png", np.zeros((4, 4)))
    said = f.train("run", "--data", "many", status=1)
    assert "error: epoch 1, step " in said and "the loss is NaN at a rate of 0." in said, said
    assert "the state before is in run/state.safetensors" in said, said
    assert np.isfinite(tensors(f.path / "run" / "state.safetensors")["w"]).all()


def names_a_damaged_picture(f):
    path = f.path / "train" / "b" / "004.png"
    path.write_bytes(path.read_bytes()[:50])
    said = f.train("run", status=1)
    assert "error: epoch 1, step " in said and ": train/b/004.png: damaged or truncated PNG" in said, said
    # The steps before it are not lost.
    number = int(said.split("step ")[1].split(":")[0])
    state = (f.path / "run" / "state.safetensors").read_bytes()
    assert f'\\"step\\":{number - 1}'.encode() in state, f"step {number}"


def survives_a_full_disk(f):
    f.train("run", "--steps", 3)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))

    said = f.train("run", "--resume", status=1, preexec_fn=limit)
    assert re.search(r"error: epoch \d, step \d+: can't write run/.*File too large", said), said
    assert not [path for path in (f.path / "run").iterdir() if ".tmp" in path.name], "half a file is left"
    f.train("run", "--resume")
    f.train("whole")
    assert f.weights("run") == f.weights("whole"), "what was there is gone"


def refuses(f):
    for options, wanted in (
            (["--what"], "unknown option '--what'"),
            (["--epochs", "0"], "--epochs takes a number from 1 to 1000000, not '0'"),
            (["--steps"], "--steps needs a value"),
            (["--data", "nowhere"], "can't read the folder nowhere: No such file or directory"),
            (["--data", "val/a"], "val/a: there are no folders of PNG or JPEG pictures, one for each class"),
            (["--batch", "61"], "the data have 60 images, which is less than a batch of 61"),
            (["--weights", "train/a/000.png"], "not a safetensors file"),
            (["--resume"], "can't read run/state.safetensors: No such file or directory"),
    ):
        said = f.train("run", *options, status=1)
        assert said.startswith(PROGRAM.name + ": error: ") and wanted in said and said.count("\n") == 1, said
    f.train("run", "--steps", 3)
    said = f.train("run", "--resume", "--seed", 2, status=1)
    assert "that run had seed 1, this one has 2" in said, said
    (f.path / "run" / "state.safetensors").write_bytes(b"\xff" * 100)
    assert "not a safetensors file: its header is longer than the file" in f.train("run", "--resume", status=1)


def starts_from_weights(f):
    f.train("run", "--epochs", 1)
    f.train("again", "--steps", 1, "--weights", "run/last.safetensors")
    before, after = (tensors(f.path / run / "last.safetensors")["w"] for run in ("run", "again"))
    assert 0 < np.abs(before - after).max() < 0.2, "it did not start there"


def finds_a_rate(f):
    said = f.train("run", "--find-rate")
    rows = [line.split() for line in said.splitlines() if len(line.split()) == 2]
    rates, losses = (np.array(column, float) for column in zip(*rows))
    # A hundred rates, each as many times the one before.
    assert abs(rates[0] - 1e-7) < 1e-9 and np.allclose(rates[1:] / rates[:-1], 1e8 ** (1 / 99), rtol=0.01), rates
    fastest, least = 1 + np.diff(losses).argmin(), losses.argmin()
    wanted = min(rates[fastest], rates[least] / 10)
    assert f"falls fastest at {rates[fastest]:.2g}, and is least at {rates[least]:.2g}: try {wanted:.2g}" in said, said
    assert 1e-3 < wanted < 10 and losses[0] > 1.05 * losses[least], "this model learns at such rates"


def finds_a_batch(f):
    said = f.train("run", "--find-batch")
    rows = re.findall(r"^ *(\d+) images: +([\d.]+) ms, +(\d+) images/s", said, re.M)
    sizes, times, speeds = ([float(value) for value in column] for column in zip(*rows))
    assert sizes == [2 ** i for i in range(len(sizes))] and sizes[-1] <= 60, sizes
    assert all(abs(size / time * 1e3 / speed - 1) < 0.1 for size, time, speed in zip(sizes, times, speeds) if time >= 0.01), said
    best = int(re.search(r"^batch (\d+)$", said, re.M)[1])
    assert best in sizes and all(speeds[i + 1] >= 1.1 * speeds[i] - 1 for i in range(sizes.index(best))), said


TESTS = [learns, finds_a_rate, finds_a_batch, same_run, goes_on, survives_a_kill, stops_when_asked,
         says_where_a_loss_is_no_number, names_a_damaged_picture, survives_a_full_disk, refuses, starts_from_weights]


def main():
    global PROGRAM
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=PROGRAM, help="the same one, built in another way")
    parser.add_argument("name", nargs="?", help="this test alone")
    args = parser.parse_args()
    PROGRAM = args.program
    passed = failed = 0
    for test in TESTS:
        if args.name and args.name != test.__name__:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(Folder(pathlib.Path(folder)))
                good, why = True, ""
            except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
                good, why = False, f": {error}"
        print("PASS" if good else "FAIL", test.__name__.replace("_", " ") + why, flush=True)
        passed, failed = passed + good, failed + (not good)
    print(f"{passed} passed, {failed} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
