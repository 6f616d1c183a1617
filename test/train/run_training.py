#!/usr/bin/env python3
"""`halcyon train` from model to weights, on MNIST.

    run_training.py [--whole]

`--whole` trains as long as the examples say, and asks for the accuracy that they should have.
"""

import json
import os
import pathlib
import re
import signal
import struct
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
    assert "<h2>Confusion</h2>" in text and "The worst mistakes" in text and text.count("<polyline") > 4
    assert "Norm of each weight&#39;s gradient" in text or "Norm of each weight's gradient" in text


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


RESIDUAL = """
block twice(x) {
  return relu(x + (x -> conv(16, 3) -> batchnorm -> relu -> conv(16, 3) -> batchnorm))
}
model net {
  input image: f32[N, 1, 28, 28] from image(resize=28, crop=28)
  logits = image -> conv(16, 3) -> batchnorm -> relu -> twice -> twice -> twice -> global_avgpool -> flatten
                 -> linear(10)
  output logits
}
train net {
  data      mnist()
  batch     200
  epochs    1
  loss      cross_entropy(logits, label)
  optimizer momentum(0.9)
  rate      0.1
}
"""


def a_step_fits_into_less_memory(folder):
    model = folder / "net.cnn"
    model.write_text(RESIDUAL)

    def measure(name, *options):
        """The memory that the run says it takes, and the process's peak, in MB."""
        said = subprocess.run([str(word) for word in (HALCYON, "train", model, *DATA, "--steps", 2, "-o", folder / name, *options)],
                              capture_output=True, text=True, check=False).stderr
        found = re.search(r"memory: (\d+) MB", said)
        assert found, said
        with subprocess.Popen([folder / name / "trainer", *map(str, DATA), "--steps", "2", "-o", folder / "again", "--quiet"]) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = status
        assert status == 0
        return int(found[1]), used.ru_maxrss / 1024

    free, free_peak = measure("free")
    allowed = int(0.7 * free)
    less, less_peak = measure("less", "--memory", f"{allowed}M")
    assert less <= allowed, f"{less} MB, and it may take {allowed}"
    assert free_peak - less_peak > 0.8 * (free - less), f"a peak of {less_peak:.0f} MB, without a budget {free_peak:.0f}"
    assert weights(folder / "less") == weights(folder / "free")
    done = subprocess.run([str(word) for word in (HALCYON, "train", model, *DATA, "--memory", "20M", "-o", folder / "none")],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and re.search(r"takes \d+M at least, and may take 20M", done.stderr), done.stderr
    print(f"{free} MB, {less} MB; {done.stderr.strip().splitlines()[0]}")


def tensor(path, name):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    entry = json.loads(data[8:8 + length])[name]
    begin, end = (8 + length + offset for offset in entry["data_offsets"])
    return entry["shape"], data[begin:end]


def a_new_head_begins_anew(folder):
    """Two more classes than there were: all but the last layer comes from the file."""
    source = ROOT / "examples" / "lenet.safetensors"
    text = (ROOT / "examples" / "lenet.cnn").read_text().replace("classes = 10", "classes = 12")
    text = text.replace(' labels "digits.txt"', "")
    text = text.replace("  batch ", f'  from "{source}" except linear_2\n  freeze conv_1\n  batch ')
    model = folder / "head.cnn"
    model.write_text(text.replace("one_cycle(0.004)", "constant(0.002)"))
    train(model, folder / "run", "--steps", 60)
    last = folder / "run" / "last.safetensors"
    assert tensor(last, "conv_1.weight") == tensor(source, "conv_1.weight")
    assert tensor(last, "linear_2.weight")[0] == [12, 64]
    said = subprocess.run([HALCYON, "eval", model, "--weights", last, "--data", digits.MNIST, "--json"],
                          capture_output=True, text=True, check=True).stdout
    assert json.loads(said)["accuracy"] > 0.97, said


def whole(name):
    def test(folder):
        log = train(ROOT / "examples" / f"{name}.cnn", folder / name)
        best = max(line["val top1"] for line in log if "epoch" in line)
        assert best >= WHOLE[name], f"{100 * best:.2f} % right"
        print(f"{name}: {100 * best:.2f} % right", flush=True)
    test.__name__ = f"{name}_as_its_example_says"
    return test


def main():
    tests = [whole(name) for name in WHOLE] if "--whole" in sys.argv else [one_epoch_learns_digits, a_killed_run_goes_on,
                                                                                 a_step_fits_into_less_memory,
                                                                                 a_new_head_begins_anew]
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
