#!/usr/bin/env python3
"""Writes precision.json: boxes, right and found, and what pycocotools says of their mean average precision.

VOC's numbers are computed here, as its development kit does it: what is found is right where the object that it
overlaps most was not found before.
"""

import contextlib
import io
import json
import pathlib

import numpy
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

IMAGES, CLASSES, MOST, FOUND = 14, 3, 5, 8
draw = numpy.random.RandomState(3)
right = numpy.full((IMAGES, MOST, 5), -1.0)
found, scores, kinds = (numpy.zeros(shape) for shape in ((IMAGES, FOUND, 4), (IMAGES, FOUND), (IMAGES, FOUND)))
kinds -= 1
for n in range(IMAGES):
    count = draw.randint(0, MOST + 1)
    for m in range(count):
        x, y, w, h = *draw.randint(0, 40, 2), *draw.randint(8, 30, 2)
        right[n, m] = x, y, x + w, y + h, draw.randint(CLASSES)
    for m in range(draw.randint(1, FOUND + 1)):
        if count and draw.rand() < 0.75:
            *box, kind = right[n, draw.randint(count)]
            box = numpy.array(box) + draw.randint(-3, 4, 4)
            kind = kind if draw.rand() < 0.85 else draw.randint(CLASSES)
        else:
            x, y = draw.randint(0, 40, 2)
            box, kind = (x, y, x + 10, y + 12), draw.randint(CLASSES)
        found[n, m], scores[n, m], kinds[n, m] = box, round(draw.rand(), 4), kind


def coco():
    data, results = {"images": [], "annotations": [], "categories": [{"id": k + 1} for k in range(CLASSES)]}, []
    for n in range(IMAGES):
        data["images"].append({"id": n + 1})
        for left, top, low, bottom, kind in right[n][right[n, :, 4] >= 0]:
            data["annotations"].append({"id": len(data["annotations"]) + 1, "image_id": n + 1, "category_id": int(kind) + 1,
                                        "bbox": [left, top, low - left, bottom - top], "iscrowd": 0,
                                        "area": (low - left) * (bottom - top)})
        for (left, top, low, bottom), score, kind in zip(found[n], scores[n], kinds[n]):
            if kind >= 0:
                results.append({"image_id": n + 1, "category_id": int(kind) + 1, "score": score,
                                "bbox": [left, top, low - left, bottom - top]})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = data
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats[:2]


def overlap(a, b):
    low, high = numpy.maximum(a[:2], b[:2]), numpy.minimum(a[2:], b[2:])
    both = (high - low).clip(0).prod()
    return both / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - both)


def voc(eleven):
    total = []
    for kind in range(CLASSES):
        objects = {n: right[n][right[n, :, 4] == kind][:, :4] for n in range(IMAGES)}
        taken, hits = {n: set() for n in objects}, []
        order = sorted(((-scores[n, m], n, m) for n in range(IMAGES) for m in range(FOUND) if kinds[n, m] == kind))
        for _, n, m in order:
            shared = [overlap(found[n, m], box) for box in objects[n]]
            best = int(numpy.argmax(shared)) if shared else -1
            hit = best >= 0 and shared[best] >= 0.5 and best not in taken[n]
            if hit:
                taken[n].add(best)
            hits.append(hit)
        hits = numpy.cumsum(hits)
        recall, precision = hits / sum(map(len, objects.values())), hits / numpy.arange(1, len(hits) + 1)
        if eleven:
            total.append(numpy.mean([max(precision[recall >= i / 10], default=0) for i in range(11)]))
        else:
            recall, precision = numpy.array([0, *recall, 1]), numpy.array([0, *precision, 0])
            precision = numpy.maximum.accumulate(precision[::-1])[::-1]
            total.append(((recall[1:] - recall[:-1]) * precision[1:]).sum())
    return numpy.mean(total)


whole, half = coco()
path = pathlib.Path(__file__).with_name("precision.json")
path.write_text(json.dumps({"right": right.tolist(), "found": found.tolist(), "scores": scores.tolist(),
                            "kinds": kinds.tolist(), "coco": whole, "coco50": half, "voc": voc(False),
                            "voc07": voc(True)}) + "\n")
