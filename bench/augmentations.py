#!/usr/bin/env python3
"""Times augmentations beside torchvision's, interleaved, and writes the table of docs/performance.md.

    augmentations.py --bench build/bin/halcyon-bench-pixels --write docs/performance.md

Run by a Python that has torchvision. One thread, f32 pictures of three channels; a photograph of 500x375 where the size
changes, else 224x224. Each round runs both for a moment; medians over the rounds. Nothing is asserted.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

import torch
import torchvision
from torchvision.transforms import v2

BEGIN, END = "<!-- augmentations: begin -->", "<!-- augmentations: end -->"
LINEAR = v2.InterpolationMode.BILINEAR
PHOTOGRAPH, CROP = (3, 375, 500), (3, 224, 224)
THEIRS = {
    "random_resized_crop": (PHOTOGRAPH, v2.RandomResizedCrop(224, antialias=True)),
    "resize": (PHOTOGRAPH, v2.Resize(256, antialias=True)),
    "random_crop": (CROP, v2.RandomCrop(224, padding=4)),
    "flip": (CROP, v2.RandomHorizontalFlip(1)),
    "rotate": (CROP, v2.RandomRotation(30, LINEAR)),
    "affine": (CROP, v2.RandomAffine(10, (0.1, 0.1), (0.8, 1.2), 10, LINEAR)),
    "perspective": (CROP, v2.RandomPerspective(0.5, 1, LINEAR)),
    "elastic": (CROP, v2.ElasticTransform(34.0, 4.0)),
    "color_jitter": (CROP, v2.ColorJitter(0.4, 0.4, 0.4, 0.1)),
    "noise": (CROP, v2.GaussianNoise(0, 0.1)),
    "blur": (CROP, v2.GaussianBlur(13, (0.1, 2))),
    "erasing": (CROP, v2.RandomErasing(1)),
    "randaugment": (CROP, v2.RandAugment(2, 9, interpolation=LINEAR)),
    "normalize": (CROP, v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])),
}


def ours(bench, name, seconds):
    out = subprocess.run([bench, f"--benchmark_filter=^{name}$", f"--benchmark_min_time={seconds}", "--benchmark_format=json"],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)["benchmarks"][0]["cpu_time"]


def theirs(name, seconds):
    """Microseconds of a call, on the mean: what is drawn decides how long one takes."""
    shape, transform = THEIRS[name]
    picture = torch.rand(shape)
    transform(picture)
    calls, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        transform(picture)
        calls += 1
    return spent / calls * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default="build/bin/halcyon-bench-pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--write", type=pathlib.Path, help="a page with the table's marks")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in THEIRS:
        pairs = [(ours(options.bench, name, options.seconds), theirs(name, options.seconds)) for _ in range(options.rounds)]
        ratios = sorted(a / b for a, b in pairs)
        mine, their = (statistics.median(side) for side in zip(*pairs))
        rows.append(f"| `{name}` | {mine:.3g} | {their:.3g} | {statistics.median(ratios):.2f} | "
                    f"{ratios[0]:.2f} to {ratios[-1]:.2f} |")
        print(rows[-1], flush=True)
    if not options.write:
        return
    page = options.write.read_text()
    if BEGIN not in page or END not in page:
        sys.exit(f"{options.write} has no {BEGIN} ... {END}")
    table = (f"{BEGIN}\nf32, one thread, {options.rounds} rounds, torchvision {torchvision.__version__}, microseconds.\n\n"
             "| augmentation | Halcyon | torchvision | ratio | spread |\n|---|---|---|---|---|\n" + "\n".join(rows) + f"\n{END}")
    options.write.write_text(page[:page.index(BEGIN)] + table + page[page.index(END) + len(END):])


if __name__ == "__main__":
    main()
