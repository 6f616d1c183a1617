#!/usr/bin/env python3
"""`halcyon train` from model to weights, on MNIST.

    run_training.py [--whole]

`--whole` trains as long as the examples say, and asks for the accuracy that they should have.
"""

import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "execute"))
import digits  # noqa: E402

HALCYON = ROOT / "build" / "bin" / "halcyon"
DATA = ["--data", digits.MNIST, "--validate", digits.MNIST]
WHOLE = {"lenet": 0.992, "mlp": 0.98}  # of the examples as they stand


def train(model, folder, *options):
    command = [HALCYON, "train", model, *DATA, "-o", folder, *options]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1:]
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def weights(folder, name="last"):
    return (folder / f"{name}.safetensors").read_bytes()


def one_epoch_learns_digits(folder):
    log = train(ROOT / "examples" / "lenet.cnn", folder / "run", "--epochs", 1)
    epoch = log[-1]
    assert epoch["epoch"] == 1 and epoch["val top1"] > 0.98, {k: v for k, v in epoch.items() if k != "weights"}
    # What was trained is what a program of these weights says.
    said = subprocess.run([HALCYON, "eval", ROOT / "examples" / "lenet.cnn", "--weights", folder / "run" / "best.safetensors",
                           "--data", digits.MNIST, "--json"], capture_output=True, text=True, check=True).stdout
    assert abs(json.loads(said)["accuracy"] - epoch["val top1"]) < 2e-4, said
    page = subprocess.run([HALCYON, "report", folder / "run"], capture_output=True, text=True, check=True).stdout.strip()
    text = pathlib.Path(page).read_text()
    assert "<h2>Confusion</h2>" not in text and "The worst mistakes" in text and text.count("<polyline") > 4


def a_killed_run_goes_on(folder):
    model = ROOT / "examples" / "mlp.cnn"
    train(model, folder / "whole", "--steps", 400, "--epochs", 1)
    command = [folder / "whole" / "trainer", *DATA, "--epochs", 1, "-o", folder / "killed"]
    train(model, folder / "first", "--steps", 150, "--epochs", 1)
    (folder / "killed").mkdir()
    (folder / "killed" / "state.safetensors").write_bytes(weights(folder / "first", "state"))
    with subprocess.Popen([str(word) for word in (*command, "--resume")], stderr=subprocess.DEVNULL) as process:
        log = folder / "killed" / "log.jsonl"
        while not log.exists() or log.read_text().count("\n") < 20:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    subprocess.run([str(word) for word in (*command, "--resume", "--steps", 400, "--threads", 1)], check=True,
                   stderr=subprocess.DEVNULL)
    assert weights(folder / "killed") == weights(folder / "whole")


def whole(name):
    def test(folder):
        log = train(ROOT / "examples" / f"{name}.cnn", folder / name)
        best = max(line["val top1"] for line in log if "epoch" in line)
        assert best >= WHOLE[name], f"{100 * best:.2f} % right"
        print(f"{name}: {100 * best:.2f} % right", flush=True)
    test.__name__ = f"{name}_as_its_example_says"
    return test


def main():
    tests = [whole(name) for name in WHOLE] if "--whole" in sys.argv else [one_epoch_learns_digits, a_killed_run_goes_on]
    passed = failed = 0
    digits.fetch()
    for test in tests:
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(pathlib.Path(folder))
                good, why = True, ""
            except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as error:
                good, why = False, f": {error}"
        print("PASS" if good else "FAIL", test.__name__.replace("_", " ") + why, flush=True)
        passed, failed = passed + good, failed + (not good)
    print(f"{passed} passed, {failed} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
