"""What detectors do with boxes, in NumPy. Boxes are N x A x 4: left, top, right, bottom."""

import numpy as np

MARGIN = 2e-6  # decisions that rounding could turn are no test; behind a network, MARGIN_BEHIND
MARGIN_BEHIND = 2e-4


def decided(difference, margin):
    """Whether each is above 0, where none is so near that it could be either."""
    if difference.size and abs(difference).min() < margin:
        raise ValueError(f"a decision is as near as {abs(difference).min():.1e}: take another seed")
    return difference > 0


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def rows(x, parts):
    n, c, h, w = x.shape
    return x.reshape(n, c // parts, parts, h, w).transpose(0, 3, 4, 1, 2).reshape(n, -1, parts)


def corners(x, y, w, h):
    return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], -1)


def cells(height, width, anchors):
    """Column, row, and anchor of each box."""
    i, j, b = np.meshgrid(np.arange(height), np.arange(width), np.arange(len(anchors)), indexing="ij")
    sizes = np.array(anchors, np.float64)[b.ravel()]
    return j.ravel(), i.ravel(), sizes[:, 0], sizes[:, 1]


def yolo(x, anchors, stride):
    """Boxes, and the scores of their classes."""
    t = rows(x, x.shape[1] // len(anchors)).astype(np.float64)
    column, row, w, h = cells(*x.shape[2:], anchors)
    boxes = corners((sigmoid(t[..., 0]) + column) * stride, (sigmoid(t[..., 1]) + row) * stride,
                    np.exp(t[..., 2]) * w, np.exp(t[..., 3]) * h)
    return boxes, sigmoid(t[..., 4:5]) * sigmoid(t[..., 5:])


def anchor_boxes(height, width, sizes, stride):
    column, row, w, h = cells(height, width, sizes)
    return corners((column + 0.5) * stride, (row + 0.5) * stride, w, h)


def decode(d, anchors, variances=(1, 1, 1, 1)):
    d = d * np.array(variances, np.float64)
    w, h = anchors[:, 2] - anchors[:, 0], anchors[:, 3] - anchors[:, 1]
    return corners(anchors[:, 0] + w / 2 + d[..., 0] * w, anchors[:, 1] + h / 2 + d[..., 1] * h,
                   w * np.exp(d[..., 2].clip(max=4.135)), h * np.exp(d[..., 3].clip(max=4.135)))


def clip(boxes, height, width):
    return boxes.clip(0, np.array([width, height, width, height]))


def overlap(box, others):
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    both = (high - low).clip(0).prod(1)
    sizes = (others[:, 2:] - others[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - both
    return both / np.maximum(sizes, 1e-30)


def ranked(scores, candidates, least, margin):
    """The best in order. The order of those below `least` makes no difference."""
    order = np.argsort(-scores, kind="stable")
    first = scores[order[:candidates + 1]]
    gaps = np.where((first[:-1] > least) & (first[:-1] != first[1:]), first[:-1] - first[1:], 1)
    decided(gaps, margin)
    return order[:candidates]


def nms(boxes, candidate, threshold, margin):
    kept = []
    for k in range(len(boxes)):
        if candidate[k] and not (kept and decided(overlap(boxes[k], boxes[kept]) - threshold, margin).any()):
            kept.append(k)
    return kept


def padded(values, count, fill=0):
    result = np.full((count, *values.shape[1:]), fill, np.float32)
    result[:len(values)] = values
    return result


def detect(boxes, scores, count, candidates=400, threshold=0.5, least=0.05, margin=MARGIN):
    """Boxes, scores, classes, and how many, for every image."""
    results = []
    for box, score in zip(boxes, scores):
        label, score = score.argmax(1), score.max(1)
        order = ranked(score, candidates, least, margin)
        box, score, label = box[order], score[order], label[order]
        apart = box + label[:, None] * (2 * abs(box).max() + 1)
        kept = nms(apart, decided(score - least, margin), threshold, margin)[:count]
        results.append((padded(box[kept], count), padded(score[kept], count), padded(label[kept], count, -1),
                        np.array([len(kept)], np.float32)))
    return [np.stack(parts) for parts in zip(*results)]


def proposals(boxes, scores, count, candidates=400, threshold=0.7, least=0, size=0, margin=MARGIN):
    results = []
    for box, score in zip(boxes, scores):
        order = ranked(score, candidates, least, margin)
        box, score = box[order], score[order]
        candidate = decided(score - least, margin) & decided((box[:, 2:] - box[:, :2]).min(1) - size, margin)
        kept = nms(box, candidate, threshold, margin)[:count]
        results.append((padded(box[kept], count), padded(score[kept], count), np.array([len(kept)], np.float32)))
    return [np.stack(parts) for parts in zip(*results)]
