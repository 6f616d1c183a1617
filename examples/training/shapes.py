#!/usr/bin/env python3
"""Draws circles, squares and triangles to train on.

    shapes.py FOLDER [--train 600] [--val 100] [--seed 1]

FOLDER gets images/ and masks/ of 64 x 64 for segmentation, boxes.json for detection in COCO's
form, edges.npy and colours.npy of 32 x 32 for translation, and all of it again with `val-`.
"""

import argparse
import json
import pathlib
import struct
import zlib

import numpy

SIZE = 64
NAMES = ("circle", "square", "triangle")
COLOURS = numpy.array([(230, 60, 50), (60, 190, 80), (70, 90, 230)])  # of each, give or take


def png(path, pixels):
    pixels = pixels.astype(numpy.uint8)
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    kind = 2 if pixels.ndim == 3 else 0
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def inside(kind, y, x, radius):
    """The pixels of a shape, a mask of the whole picture."""
    rows, columns = numpy.mgrid[:SIZE, :SIZE]
    dy, dx = rows - y, columns - x
    if kind == 0:
        return dy ** 2 + dx ** 2 <= radius ** 2
    if kind == 1:
        return (abs(dy) <= radius) & (abs(dx) <= radius)
    return (dy <= radius) & (abs(dx) * 2 <= dy + radius)


def draw(rng):
    """A picture, the class of each pixel (0 for none), and a box for each shape that can be seen."""
    mask, owner = numpy.zeros((SIZE, SIZE), int), numpy.zeros((SIZE, SIZE), int)
    picture = rng.integers(90, 160) + rng.normal(0, 12, (SIZE, SIZE, 3))
    kinds = []
    for number in range(1, rng.integers(1, 4) + 1):
        radius = rng.integers(7, 15)
        y, x = rng.integers(radius, SIZE - radius, 2)
        kinds.append(rng.integers(0, 3))
        where = inside(kinds[-1], y, x, radius)
        mask[where], owner[where] = kinds[-1] + 1, number
        picture[where] = COLOURS[kinds[-1]] + rng.normal(0, 12, (where.sum(), 3)) + rng.normal(0, 15, 3)
    boxes = []
    for number, kind in enumerate(kinds, 1):
        rows, columns = numpy.nonzero(owner == number)
        if len(rows) >= 40:
            boxes.append((int(kind), int(columns.min()), int(rows.min()), int(numpy.ptp(columns)) + 1,
                          int(numpy.ptp(rows)) + 1))
    return picture.clip(0, 255), mask, boxes


def outlines(mask):
    """1 where a pixel has a neighbour of another class."""
    padded = numpy.pad(mask, 1, mode="edge")
    return numpy.logical_or.reduce([mask != padded[1 + y:1 + y + len(mask), 1 + x:1 + x + len(mask)]
                                    for y, x in ((0, 1), (1, 0), (0, -1), (-1, 0))]).astype(float)


def write(folder, prefix, count, rng):
    images, masks = folder / f"{prefix}images", folder / f"{prefix}masks"
    images.mkdir(parents=True, exist_ok=True)
    masks.mkdir(exist_ok=True)
    files, annotations, edges, colours = [], [], [], []
    for number in range(1, count + 1):
        picture, mask, boxes = draw(rng)
        name = f"{number:05}.png"
        png(images / name, picture)
        png(masks / name, mask)
        files.append({"id": number, "file_name": name, "width": SIZE, "height": SIZE})
        for kind, x, y, width, height in boxes:
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": kind + 1,
                                "bbox": [x, y, width, height], "area": width * height, "iscrowd": 0})
        half = mask[::2, ::2]
        edges.append(outlines(half)[None])
        filled = numpy.concatenate([numpy.zeros((1, 3)), COLOURS])[half]
        colours.append(filled.transpose(2, 0, 1) / 127.5 - 1)
    categories = [{"id": kind + 1, "name": name} for kind, name in enumerate(NAMES)]
    text = json.dumps({"images": files, "annotations": annotations, "categories": categories})
    (folder / f"{prefix}boxes.json").write_text(text)
    numpy.save(folder / f"{prefix}edges.npy", numpy.array(edges, numpy.float32))
    numpy.save(folder / f"{prefix}colours.npy", numpy.array(colours, numpy.float32))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--train", type=int, default=600)
    parser.add_argument("--val", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    write(args.folder, "", args.train, numpy.random.default_rng(args.seed))
    write(args.folder, "val-", args.val, numpy.random.default_rng(args.seed + 1000))


if __name__ == "__main__":
    main()
