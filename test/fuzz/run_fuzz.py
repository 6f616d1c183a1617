#!/usr/bin/env python3
"""Builds the fuzzers, with address and undefined-behaviour sanitizers, and runs each for a while.

    run_fuzz.py [--seconds N] [--keep FOLDER] [onnx] [dsl] [schedule] [files]

They start from the cases of the onnx package, the examples, schedules, and files of numbers,
pictures and boxes; and from what once went wrong, kept in test/fuzz/NAME. What they find is written to --keep.
"""

import argparse
import gzip
import io
import json
import os
import pathlib
import subprocess
import struct
import sys
import tempfile

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "fuzz"
HERE = pathlib.Path(__file__).parent
CMAKE = pathlib.Path(sys.executable).with_name("cmake")
LARGEST = 16384  # bytes of a seed


def onnx_seeds():
    sys.path.insert(0, str(ROOT / "test" / "onnx"))
    import cases
    found = cases.node_cases()[::6] + cases.folder_cases("simple") + cases.folder_cases("pytorch-operator")
    return [case.model.SerializeToString() for case in found]


def texts(*patterns):
    return [path.read_bytes() for pattern in patterns for path in sorted(ROOT.glob(pattern))]


# Of the model in compiler/tune/Fuzz.cpp.
SCHEDULE = """target "x86-64-avx512" threads 2 halide 21.0.0
stem: direct layout nchw -> nchw16c tile(co=1, x=8, y=1) unroll(ci=3) rows_per_task(4) // 0.58 ms
conv_2: winograd(4) layout nchw16c tile(co=2, x=14, y=1) unroll(ci=2) rows(2) columns(14)
fc: linear tile(o=3, n=8) sums(4) task(o=8)
"""
STEPS = """target "x86-64-avx512"
step d
stem: direct layout nchw
step "g 2"
fc: linear tile(o=3, n=8) sums(4) task(o=8)
"""



def file_seeds():
    """Of each kind that test/train/fuzz_files.cpp tells apart."""
    def npy(array):
        data = io.BytesIO()
        numpy.save(data, array)
        return b"n" + data.getvalue()

    def safetensors(header, data):
        text = json.dumps(header).encode()
        return b"s" + struct.pack("<Q", len(text)) + text + data

    tensors = {"__metadata__": {"training": "{}"},
               **{name: {"dtype": dtype, "shape": shape, "data_offsets": offsets}
                  for name, dtype, shape, offsets in
                  [("x", "F32", [2, 1], [0, 8]), ("\u00e9\n", "BF16", [2], [8, 12]), ("empty", "I64", [0, 3], [12, 12]),
                   ("half", "F16", [], [12, 14]), ("bytes", "I8", [1, 1, 2], [14, 16]), ("b", "BOOL", [2], [16, 18])]}}
    boxes = {"categories": [{"id": 7, "name": "cat"}, {"id": 2}], "images": [{"id": 1, "file_name": "a.png"}],
             "annotations": [{"image_id": 1, "category_id": 7, "bbox": [1, 2.5, 3, 4], "iscrowd": 0}]}
    images = struct.pack(">4B3I", 0, 0, 8, 3, 2, 2, 2) + bytes(range(8))
    labels = struct.pack(">4BI", 0, 0, 8, 1, 2) + bytes([3, 9])
    pictures = texts("examples/digits/*.png", "test/tools/Inputs/*.jpg")
    return [
        *(npy(numpy.arange(6).reshape(shape).astype(kind))
          for shape, kind in [((2, 3), "f4"), ((1, 6), "u1"), ((6,), "i8"), ((3, 1, 2), "?"), ((6,), ">f4")]),
        npy(numpy.zeros((0, 3), "f2")), npy(numpy.float64(1)),
        safetensors(tensors, bytes(range(18))), safetensors({}, b""),
        *(b"p" + picture for picture in pictures),
        b"b" + json.dumps(boxes).encode(), b"b" + gzip.compress(json.dumps(boxes).encode()),
        b"d" + struct.pack("<H", len(images)) + images + labels,
        b"c" + bytes([1, 2]) + bytes(3072),
    ]


# Where each begins, and its limits.
FUZZERS = {
    "onnx": (onnx_seeds, ["-timeout=60", "-rss_limit_mb=2560", f"-max_len={LARGEST}"]),
    "dsl": (lambda: texts("examples/*.cnn", "compiler/library/*.cnn", "test/dsl/*.cnn"),
            ["-timeout=30", "-rss_limit_mb=2048", "-max_len=4096"]),
    "schedule": (lambda: [SCHEDULE.encode(), STEPS.encode()],
                 ["-timeout=30", "-rss_limit_mb=2048", "-max_len=2048"]),
    "files": (file_seeds, ["-timeout=30", "-rss_limit_mb=2048", "-max_len=8192"]),
}


def fuzz(name, seconds, keep):
    seeds, limits = FUZZERS[name]
    program = BUILD / "bin" / f"fuzz-{name}"
    artifacts = [f"-artifact_prefix={keep}/{name}-"]
    known = sorted((HERE / name).glob("*"))
    if known and subprocess.run([program, *limits, *artifacts, *known], stdin=subprocess.DEVNULL).returncode:
        return False
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(seeds() + [path.read_bytes() for path in known]):
            if len(data) <= LARGEST:
                pathlib.Path(corpus, f"seed{number}").write_bytes(data)
        done = subprocess.run([program, *limits, *artifacts, f"-max_total_time={seconds}", "-print_final_stats=1",
                               corpus], stdin=subprocess.DEVNULL)
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fuzzers", nargs="*", metavar="FUZZER", help=", ".join(FUZZERS))
    parser.add_argument("--seconds", type=int, default=120, help="for each")
    parser.add_argument("--keep", type=pathlib.Path, default=BUILD / "found")
    args = parser.parse_args()
    chosen = args.fuzzers or list(FUZZERS)
    for name in chosen:
        if name not in FUZZERS:
            parser.error(f"there is no fuzzer {name}: {', '.join(FUZZERS)}")
    subprocess.run([CMAKE, "--preset", "fuzz"], cwd=ROOT, check=True)
    subprocess.run([CMAKE, "--build", BUILD, "--target", *(f"fuzz-{name}" for name in chosen)], check=True)
    args.keep.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    failed = 0
    for name in chosen:
        good = fuzz(name, args.seconds, args.keep)
        failed += not good
        print(f"{'PASS' if good else 'FAIL'} {name}", flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
