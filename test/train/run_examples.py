#!/usr/bin/env python3
"""The examples of examples/training, trained as they say, and what comes of them.

    run_examples.py [NAME ...]
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "execute"))
import digits  # noqa: E402

HALCYON = ROOT / "build" / "bin" / "halcyon"
EXAMPLES = ROOT / "examples" / "training"


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stderr.strip().splitlines() or ["no message"])[-1]
    return done.stdout


def train(name, folder, *options):
    """The epochs of a run on shapes that are drawn for it."""
    (folder / f"{name}.cnn").write_text((EXAMPLES / f"{name}.cnn").read_text())
    if not (folder / "shapes").exists():
        run(sys.executable, EXAMPLES / "shapes.py", folder / "shapes")
    run(HALCYON, "train", folder / f"{name}.cnn", "-o", folder / name, *options)
    return [json.loads(line) for line in (folder / name / "log.jsonl").read_text().splitlines() if '"epoch"' in line]


def infer(model, weights, source, folder, *options):
    """What a model makes of the rows of an array."""
    program, given, made = folder / "program", folder / "given.npy", folder / "made.npy"
    run(HALCYON, "compile", model, *options, "--weights", weights, "-o", program)
    numpy.save(given, source.astype(numpy.float32))
    run(program, "--input", given, "--output", made, "--batch", len(source))
    return numpy.load(made)


def unet(folder):
    best = max(epoch["val overlap"] for epoch in train("unet", folder))
    assert best >= 0.95, f"IoU {best:.3f}"
    return f"IoU {best:.3f}"


def dcgan(folder):
    digits.fetch()
    train("dcgan", folder, "--data", digits.MNIST)
    noise = numpy.random.default_rng(5).standard_normal((1000, 64, 1, 1))
    made = infer(folder / "dcgan.cnn", folder / "dcgan" / "g-last.safetensors", noise, folder, "--model", "generator")
    lenet = ROOT / "examples" / "lenet"
    said = infer(f"{lenet}.cnn", f"{lenet}.safetensors", made / 2 + 0.5, folder).argmax(1)
    shares = numpy.bincount(said, minlength=10) / len(said)
    assert (shares > 0.03).sum() >= 8, f"shares {shares}"
    return "shares " + " ".join(f"{share:.3f}" for share in shares)


def pix2pix(folder):
    best = train("pix2pix", folder)[-1]["val distance"]
    edges, wanted = (numpy.load(folder / "shapes" / f"val-{name}.npy") for name in ("edges", "colours"))
    same = numpy.broadcast_to(2 * edges - 1, wanted.shape)
    wide = numpy.pad(same, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
    blurred = numpy.lib.stride_tricks.sliding_window_view(wide, (5, 5), (2, 3)).mean((4, 5))
    others = [abs(guess - wanted).mean() for guess in (same, blurred)]
    assert best <= 0.5 * min(others), f"L1 {best:.3f}, the identity's {others[0]:.3f}, a blur's {others[1]:.3f}"
    return f"L1 {best:.3f}, the identity's {others[0]:.3f}, a blur's {others[1]:.3f}"


def precision(name, folder):
    return [epoch["val precision"] for epoch in train(name, folder)]


def yolo(folder):
    found = precision("yolo", folder)
    assert found[-1] > 0.6 and found[-1] > 3 * found[0], f"mAP {found}"
    return f"mAP from {found[0]:.3f} to {found[-1]:.3f}"


def ssd(folder):
    found = precision("ssd", folder)
    assert found[-1] > 0.85 and found[-1] > found[0], f"mAP {found}"
    return f"mAP from {found[0]:.3f} to {found[-1]:.3f}"


TESTS = [unet, dcgan, pix2pix, yolo, ssd]


def main():
    passed = failed = 0
    for test in TESTS:
        if sys.argv[1:] and test.__name__ not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                good, text = True, test(pathlib.Path(folder))
            except (AssertionError, OSError, ValueError) as problem:
                good, text = False, str(problem)
        print("PASS" if good else "FAIL", f"{test.__name__}: {text}", flush=True)
        passed, failed = passed + good, failed + (not good)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
