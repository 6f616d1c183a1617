#!/usr/bin/env python3
"""Times the bundled networks beside ONNX Runtime, interleaved in one run.

    compare.py [--networks resnet50,unet] [--threads 2] [--rounds 7] [--batch 1]
               [--algorithm winograd4] [--json out.json]

Each round lets either one run for a moment, pinned to the same cores, so that what else the
machine does meets both. Shown are the medians, the median over rounds of ours / ONNX Runtime's,
and the lowest and highest of those ratios. Nothing is asserted: a clock is no test.
"""
import argparse
import json
import multiprocessing
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test" / "reference"))


def serve_onnxruntime(path, threads, feed, pipe):
    """A process of its own, so that its threads rest while ours run."""
    os.sched_setaffinity(0, CORES[:threads])
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    session.run(names, feed)
    pipe.send(onnxruntime.__version__)
    while (seconds := pipe.recv()) is not None:
        times = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 3:
            start = time.perf_counter()
            session.run(names, feed)
            times.append(1e3 * (time.perf_counter() - start))
        pipe.send(statistics.median(times))


def run_ours(program, threads, batch, seconds):
    out = subprocess.run(
        [program, "--bench", "--json", "--threads", str(threads), "--batch", str(batch),
         "--seconds", str(seconds)],
        capture_output=True, text=True, check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, CORES[:threads]))
    return json.loads(out.stdout)["median_ms"]


def compare(name, options, folder):
    import numpy
    import networks

    subprocess.run([sys.executable, str(ROOT / "test/reference/networks.py"), name, "--out", folder],
                   check=True, stdout=subprocess.DEVNULL)
    program = os.path.join(folder, name)
    command = [options.halcyon, "compile", str(ROOT / "examples" / (name + ".cnn")), "--weights",
               os.path.join(folder, name + ".safetensors"), "-o", program]
    if options.algorithm:
        command += ["--algorithm", options.algorithm]
    subprocess.run(command, check=True)
    image = numpy.load(os.path.join(folder, name + ".input.npy"))
    image = numpy.concatenate([image] * options.batch)[: options.batch]
    model = os.path.join(folder, name + ".onnx")
    import onnx

    feed = {onnx.load(model, load_external_data=False).graph.input[0].name: image}
    ours_end, theirs_end = multiprocessing.Pipe()
    worker = multiprocessing.Process(target=serve_onnxruntime,
                                     args=(model, options.threads, feed, theirs_end), daemon=True)
    worker.start()
    version = ours_end.recv()
    ours, theirs = [], []
    for _ in range(options.rounds):
        ours_end.send(options.seconds)
        theirs.append(ours_end.recv())
        ours.append(run_ours(program, options.threads, options.batch, options.seconds))
    ours_end.send(None)
    worker.join()
    ratios = sorted(a / b for a, b in zip(ours, theirs))
    return {"network": name, "halcyon_ms": statistics.median(ours),
            "onnxruntime_ms": statistics.median(theirs), "ratio": statistics.median(ratios),
            "low": ratios[0], "high": ratios[-1], "onnxruntime": version,
            "threads": options.threads, "batch": options.batch}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--halcyon", default=str(ROOT / "build/bin/halcyon"))
    parser.add_argument("--networks", default="all")
    parser.add_argument("--threads", type=int, default=len(CORES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--algorithm", default="")
    parser.add_argument("--json")
    options = parser.parse_args()
    every = sorted(p.stem for p in (ROOT / "examples").glob("*.cnn"))
    names = every if options.networks == "all" else options.networks.split(",")
    print(f"{'network':18}{'ours ms':>10}{'ORT ms':>10}{'ratio':>8}   lowest..highest")
    rows = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            row = compare(name, options, folder)
        rows.append(row)
        print(f"{name:18}{row['halcyon_ms']:10.3f}{row['onnxruntime_ms']:10.3f}{row['ratio']:8.2f}"
              f"   {row['low']:.2f}..{row['high']:.2f}", flush=True)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")


CORES = sorted(os.sched_getaffinity(0))

if __name__ == "__main__":
    main()
