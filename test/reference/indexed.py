"""Ops in index notation and what the library writes in it, against NumPy."""

import numpy as np

import detect
from graph import Value


class Whole:
    """An input of whole numbers below `most`, of this shape without the batch."""

    def __init__(self, most, *shape):
        self.most, self.shape = most, shape


def windows(x, size, mode="constant", stride=1):
    """Every window of x, with a border of size // 2: n, c, y, x, window's y, window's x."""
    reach = size // 2
    padded = np.pad(x, ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode=mode)
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size), (2, 3))[:, :, ::stride, ::stride]


def log_softmax(x):
    x = x - x.max(1, keepdims=True)
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def at_label(x, label):
    return np.take_along_axis(x, label[:, None], 1)[:, 0]


def one_hot(label, classes):
    return np.moveaxis(np.eye(classes, dtype=np.float32)[label], -1, 1)


def image_mean(x):
    return x.reshape(len(x), -1).mean(1)[:, None]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


CONTRAST = "op contrast(x)[n, c, i, j] = x[n, c, i, j] - mean(x[n, c, i + u, j + v] for u in -1..1, v in -1..1)"
SCALE = ("op scale_shift(x, weight a: f32[x.channels], weight b: f32[x.channels])[n, c, i, j] ="
         " a[c] * x[n, c, i, j] + b[c]")
HALF = ("op half_{0}(x)[n, c, i in 0..floor((x.height - 1) / 2), j in 0..floor((x.width - 1) / 2)] edge={0} ="
        " max(x[n, c, 2 * i + u, 2 * j + v] for u in -1..1, v in -1..1)")
WIDE = "op wide(x)[n, c, i, j] = sum(abs(x[n, c, i + u, j + v]) for u in -4..4, v in -3..3)"
FLIP = "op flip(x)[n, c, i, j in 0..x.width - 1] = x[n, c, i, x.width - 1 - j]"
NEAR = "op near(x)[n, c, i, j] = max(x[n, k + c - 1, i, j] for k in 0..2) * min(x[n, c, i, v] for v)"
CHOOSE = "op choose(x)[n, c, i, j] = if (i + j) % 2 == 0 and x[n, c, i, j] > 0 { x[n, c, i, j] } else { c - i }"
PRODUCT = "op products(x, weight w: f32[7, x.channels])[n, o] = sum(x[n, k] * w[o, k] for k)"
CROSS = ("op cross(x, weight w: f32[{1}, x.channels, 3, 5])[n, c in 0..{1} - 1, i in 0..floor((x.height - 1) / {2}),"
         " j in 0..floor((x.width - 1) / {2})] edge={0} = sum(x[n, k, {2} * i + u - 1, {2} * j + v - 2] * w[c, k, u, v]"
         " for k, u in 0..2, v in 0..4)")
GRAM = ("op gram(x)[n, c, i, j] = sum(sum(x[n, c, u, v] * x[n, b, u, v] for u, v) * x[n, b, i, j] for b)"
        " / (x.height * x.width)")
DILATED = ("op dilated(x, weight w: f32[x.channels, 7, 7])[n, c, i, j] ="
           " max(x[n, c, i + u - 3, j + v - 3] + w[c, u, v] for u in 0..6, v in 0..6)")
BILATERAL = """op bilateral(x, s = 0.5)[n, c, i, j] {
  near = sum(exp(-s * (x[n, c, i + u, j + v] - x[n, c, i, j]) ** 2) for u in -3..3, v in -3..3)
  return sum(exp(-s * (x[n, c, i + u, j + v] - x[n, c, i, j]) ** 2) * x[n, c, i + u, j + v] for u in -3..3, v in -3..3) / near
}"""
MIXED = "op mixed(x, weight w: f32[9, x.channels, x.height])[n, o in 0..8, a in 0..4] = sum(x[n, c, i, j] * w[o, c, i] * (j + a) for c, i, j)"
CROSSED = "op crossed(x, y)[n, c, i in 0..x.width - 1, j in 0..y.width - 1] = sum(x[n, c, k, i] * y[n, c, k, j] for k)"
BLENDED = """op blended(s, x)[n, c, i in 0..x.height - 1, j] =
  sum(s[n, c, k, j] * x[n, c, i, k] for k) - max(s[n, c, k, j] for k) + x[n, c, i, 0]"""
PICK = "op pick(x, label)[n] = x[n, label[n]] + 0.5 * label[n]"


def weight(g, name, *shape):
    return g.weight(name, g.random.normal(0, 1, shape)).array


def operations(grid):
    def add(name, body, shapes, reference, prelude=(), **options):
        grid.add(name, body, shapes, lambda g, *inputs: tuple(
            Value(g, "", np.asarray(result, np.float32)) for result in reference(g, *(x.array for x in inputs))),
            prelude=list(prelude), **options)

    def contrast(x):
        return x - windows(x, 3).mean((4, 5))

    for channels, size in ((3, (13, 13)), (16, (7, 7)), (20, (17, 31)), (32, (28, 20))):
        add("index_stencil", "contrast", (channels, *size), lambda g, x: [contrast(x)], [CONTRAST])
    add("index_fused", "conv(20, 1) -> relu -> contrast -> relu", (5, 14, 14), lambda g, x: [np.maximum(contrast(np.maximum(
        np.einsum("nchw,oc->nohw", x, weight(g, "conv_1.weight", 20, 5, 1, 1)[:, :, 0, 0])
        + weight(g, "conv_1.bias", 20)[:, None, None], 0)), 0)], [CONTRAST])
    add("index_weights", "scale_shift", (17, 7, 9), lambda g, x: [
        x * weight(g, "scale_shift_1.a", 17)[:, None, None] + weight(g, "scale_shift_1.b", 17)[:, None, None]], [SCALE])
    for edge, mode in (("zero", "constant"), ("replicate", "edge"), ("reflect", "reflect"), ("circular", "wrap")):
        add(f"index_edge_{edge}", f"half_{edge}", (17, 13, 17),
            lambda g, x, mode=mode: [windows(x, 3, mode, 2).max((4, 5))], [HALF.format(edge)])
    add("index_wide_window", "wide", (5, 13, 17), lambda g, x: [np.lib.stride_tricks.sliding_window_view(
        np.pad(abs(x), ((0, 0), (0, 0), (4, 4), (3, 3))), (9, 7), (2, 3)).sum((4, 5))], [WIDE])
    add("index_wide_window", "wide", (16, 13, 17), lambda g, x: [np.lib.stride_tricks.sliding_window_view(
        np.pad(abs(x), ((0, 0), (0, 0), (4, 4), (3, 3))), (9, 7), (2, 3)).sum((4, 5))], [WIDE])
    borders = (("zero", "constant"), ("replicate", "edge"), ("reflect", "reflect"), ("circular", "wrap"))
    for (edge, mode), shape, outside, stride in zip(borders * 2, [(5, 19, 23), (16, 28, 28), (3, 31, 17), (20, 12, 50)] * 2,
                                                    (7, 32, 12, 5, 16, 4, 33, 6), (1, 1, 2, 1, 2, 1, 1, 3)):
        def cross(g, x, mode=mode, outside=outside, stride=stride):
            padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)), mode=mode)
            window = np.lib.stride_tricks.sliding_window_view(padded, (3, 5), (2, 3))[:, :, ::stride, ::stride]
            return [np.einsum("nkijuv,ckuv->ncij", window, weight(g, "cross_1.w", outside, x.shape[1], 3, 5))]
        add(f"index_products_{edge}", "cross", shape, cross, [CROSS.format(edge, outside, stride)])
    for shape in ((12, 9, 11), (64, 14, 14), (20, 31, 33)):
        add("index_sum_of_sums", "gram", shape, lambda g, x: [
            np.einsum("ncuv,nbuv,nbij->ncij", x, x, x, optimize=True) / x[0, 0].size], [GRAM])
    for shape in ((3, 40, 41), (32, 14, 14)):
        add("index_max_window", "dilated", shape, lambda g, x: [
            (windows(x, 7) + weight(g, "dilated_1.w", x.shape[1], 7, 7)[:, None, None]).max((4, 5))], [DILATED])

        def bilateral(g, x):
            near = np.exp(-0.5 * (windows(x, 7) - x[..., None, None]) ** 2)
            return [(near * windows(x, 7)).sum((4, 5)) / near.sum((4, 5))]
        add("index_two_sums", "bilateral", shape, bilateral, [BILATERAL])
    for shapes in ([(5, 40, 37), (5, 40, 41)], [(3, 33, 48), (3, 33, 11)]):
        def blended(g, x, y):
            s = np.maximum(np.einsum("ncki,nckj->ncij", x, y), 0)
            return [np.einsum("nckj,ncik->ncij", s, x) - s.max(2, keepdims=True) + x[..., :1]]
        add("index_chain", "return blended(crossed(x, y) -> relu, x)", shapes, blended, [CROSSED, BLENDED])
    for shape in ((8, 7, 7), (5, 30, 33)):
        add("index_sum_of_maps", "mixed", shape, lambda g, x: [np.einsum(
            "ncij,oci,ja->noa", x, weight(g, "mixed_1.w", 9, *x.shape[1:3]), np.add.outer(np.arange(x.shape[3]), np.arange(5)))],
            [MIXED])
    add("index_flip", "flip", (17, 7, 9), lambda g, x: [x[..., ::-1]], [FLIP])
    add("index_channels", "near", (17, 7, 9), lambda g, x: [
        np.maximum(np.maximum(np.pad(x, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1], x),
                   np.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0)))[:, 1:]) * x.min(3, keepdims=True)], [NEAR])
    add("index_condition", "choose", (17, 7, 9), lambda g, x: [
        np.where((np.add.outer(np.arange(7), np.arange(9)) % 2 == 0) & (x > 0), x,
                 np.arange(17)[:, None, None] - np.arange(7)[:, None])], [CHOOSE])
    add("index_rows", "flatten -> products", (33, 1, 1), lambda g, x: [
        x[:, :, 0, 0] @ weight(g, "products_1.w", 7, 33).T], [PRODUCT])
    add("index_data", "return pick(x -> flatten, y)", [(10, 1, 1), Whole(10)], lambda g, x, y: [
        at_label(x[:, :, 0, 0], y)[:, None] + 0.5 * y[:, None]], [PICK])


# Whole numbers as boxes: left, top, width and height, and a class, now and then none.
BOXES = ("op as_boxes(y)[n, m, k in 0..4] = if k == 4 { y[n, m, 4] % 4 - 1 } else if k < 2 { y[n, m, k] }"
         " else { y[n, m, k - 2] + y[n, m, k] + 5 }")
FEATURES = "block features(x) { return square(x), x -> maxpool(2) }"


def as_boxes(y):
    y = y.astype(np.float64)
    return np.concatenate([y[..., :2], y[..., :2] + y[..., 2:4] + 5, y[..., 4:] % 4 - 1], 2)


def overlaps(a, b):
    """Intersection over union of all boxes of two lists."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:4], b[None, :, 2:4])
    both = (high - low).clip(0).prod(2)
    size = [(c[:, 2:4] - c[:, :2]).prod(1) for c in (a, b)]
    return both / (size[0][:, None] + size[1] - both)


def binary(x, target):
    return (1 - target) * x + np.log1p(np.exp(-abs(x))) + np.maximum(-x, 0)


def yolo_loss(map, boxes, anchors, stride, ignore=0.5):
    """Of one picture and one map: channels, rows, columns."""
    parts = len(map) // len(anchors)
    x = map.reshape(len(anchors), parts, *map.shape[1:])
    rows, columns = np.mgrid[:map.shape[1], :map.shape[2]]
    real = boxes[boxes[:, 4] >= 0]
    shapes = np.array([(0, 0, *a) for a in anchors], float)
    total, target = 0, np.full(x[:, 0].shape, -1)
    for m, (left, top, right, bottom, _) in enumerate(real):
        a = overlaps(np.array([[0, 0, right - left, bottom - top]]), shapes)[0].argmax()
        target[a, int((top + bottom) / 2 / stride), int((left + right) / 2 / stride)] = m
    for a, (width, height) in enumerate(anchors):
        middle = np.stack([(sigmoid(x[a, 0]) + columns) * stride, (sigmoid(x[a, 1]) + rows) * stride])
        size = np.stack([np.exp(x[a, 2]) * width, np.exp(x[a, 3]) * height])
        found = np.concatenate([middle - size / 2, middle + size / 2]).reshape(4, -1).T
        most = overlaps(found, real).max(1, initial=0).reshape(rows.shape)
        for i in np.ndindex(rows.shape):
            values, m = x[(a, slice(None), *i)], target[(a, *i)]
            if m < 0:
                total += binary(values[4], 0) * (most[i] < ignore)
                continue
            left, top, right, bottom, kind = real[m]
            total += binary(values[4], 1) + binary(values[5:], np.arange(parts - 5) == kind).sum()
            total += 5 * ((sigmoid(values[0]) - (left + right) / 2 / stride + i[1]) ** 2
                          + (sigmoid(values[1]) - (top + bottom) / 2 / stride + i[0]) ** 2
                          + (values[2] - np.log((right - left) / width)) ** 2
                          + (values[3] - np.log((bottom - top) / height)) ** 2)
    return total / max(len(real), 1)


def ssd_loss(scores, deltas, anchors, boxes, variances=(0.1, 0.1, 0.2, 0.2), least=0.5, negatives=3):
    """Of one picture: anchors x classes, anchors x 4."""
    real = boxes[boxes[:, 4] >= 0]
    owner = np.full(len(anchors), -1)
    if len(real):
        both = overlaps(anchors, real)
        owner = np.where(both.max(1) >= least, both.argmax(1), -1)
        for m in range(len(real)):
            if both[:, m].max() > 0:
                owner[both[:, m].argmax()] = m
    kind = np.where(owner < 0, 0, real[owner, 4].astype(int) + 1) if len(real) else np.zeros(len(anchors), int)
    most = scores.max(1, keepdims=True)
    entropy = (most + np.log(np.exp(scores - most).sum(1, keepdims=True)))[:, 0] - scores[np.arange(len(scores)), kind]
    found = owner >= 0
    others = np.sort(entropy[~found])[::-1][:negatives * found.sum()]
    place = 0
    for a in np.nonzero(found)[0]:
        middle, size = [((box[2:4] + sign * box[:2]) / scale) for box, sign, scale in (
            (anchors[a], 1, 2), (anchors[a], -1, 1))]
        goal = real[owner[a]]
        wanted = np.concatenate([((goal[:2] + goal[2:4]) / 2 - middle) / size,
                                 np.log((goal[2:4] - goal[:2]) / size)]) / variances
        d = abs(deltas[a] - wanted)
        place += np.where(d < 1, 0.5 * d * d, d - 0.5).sum()
    return (place + entropy[found].sum() + others.sum()) / max(found.sum(), 1)


def losses(grid):
    def add(name, body, shapes, reference, prelude=()):
        grid.add(name, body, shapes, lambda g, *inputs: Value(
            g, "", np.asarray(reference(*(x.array for x in inputs)), np.float32)), prelude=list(prelude))

    classes, pixels = [(10, 1, 1), Whole(10)], [(5, 7, 9), Whole(5, 7, 9)]
    one, maps = [(1, 7, 9), Whole(2, 7, 9)], [(5, 7, 9), (5, 7, 9)]

    def entropy(x, label, smoothing=0.0):
        p = log_softmax(x)
        return -(1 - smoothing) * at_label(p, label) - smoothing * p.mean(1)

    def focal(x, label, gamma=2):
        p = at_label(log_softmax(x), label)
        return -(1 - np.exp(p)) ** gamma * p

    for name, function in (("", entropy), ("(smoothing=0.1)", lambda x, y: entropy(x, y, 0.1))):
        arguments = name[1:-1]
        add("loss_entropy", f"return cross_entropy(x -> flatten, y{', ' if arguments else ''}{arguments})", classes,
            lambda x, y, f=function: f(x[:, :, 0, 0], y)[:, None])
        add("loss_entropy_map", f"return cross_entropy(x, y{', ' if arguments else ''}{arguments})", pixels,
            lambda x, y, f=function: image_mean(f(x, y)))
    vectors = [(12, 1, 1)] * 3

    def flat(*tensors):
        return [x[:, :, 0, 0] for x in tensors]

    def distance(x, y):
        return np.sqrt(((x - y + 1e-6) ** 2).sum(1, keepdims=True))

    def triplet(*tensors):
        x, y, z = flat(*tensors)
        return np.maximum(distance(x, y) - distance(x, z) + 1, 0)

    def contrastive(x, y, same):
        d, same = distance(*flat(x, y)), same[:, None]
        return same * d ** 2 + (1 - same) * np.maximum(12 - d, 0) ** 2

    def cosine(x, y):
        x, y = flat(x, y)
        return ((x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1))[:, None]

    add("loss_triplet", "return triplet(x -> flatten, y -> flatten, z -> flatten)", vectors, triplet)
    add("loss_contrastive", "return contrastive(x -> flatten, y -> flatten, z, margin=12)", [*vectors[:2], Whole(2)],
        contrastive)
    add("loss_cosine", "return cosine_similarity(x -> flatten, y -> flatten)", vectors[:2], cosine)
    add("loss_perceptual", "return perceptual(x, y, features)", [(5, 8, 6)] * 2, lambda x, y: (
        image_mean((x * x - y * y) ** 2)
        + image_mean((x.reshape(-1, 5, 4, 2, 3, 2).max((3, 5)) - y.reshape(-1, 5, 4, 2, 3, 2).max((3, 5))) ** 2)), [FEATURES])
    objects = Whole(19, 4, 5)
    add("loss_yolo", "return yolo_loss([x], [[(8, 8), (14, 12)]], [8], as_boxes(y))", [(16, 6, 6), objects],
        lambda x, y: np.array([[yolo_loss(map, boxes, ((8, 8), (14, 12)), 8)] for map, boxes in zip(
            x.astype(np.float64), as_boxes(y))]), [BOXES])
    def pooled(x):
        return x.reshape(*x.shape[:2], 3, 2, 3, 2).max((3, 5))

    def ssd(scores, deltas, boxes):
        anchors = np.concatenate([detect.anchor_boxes(*map.shape[2:], size, stride) for map, size, stride in zip(
            scores, (((8, 8), (14, 12)), ((22, 22), (30, 19))), (8, 16))])
        scores, deltas = (np.concatenate([detect.rows(map, 4) for map in maps], 1).astype(np.float64)
                          for maps in (scores, deltas))
        return np.array([[ssd_loss(*one, anchors, box)] for *one, box in zip(scores, deltas, as_boxes(boxes))])

    heads = [(8, 6, 6), (8, 6, 6), objects]
    add("loss_ssd", "return ssd_loss([x], [y], [anchor_boxes(x, [(8, 8), (14, 12)], 8)], as_boxes(z))", heads,
        lambda x, y, z: ssd([x], [y], z), [BOXES])
    add("loss_ssd_maps", """s = x -> maxpool(2)
  return ssd_loss([x, s], [y, y -> maxpool(2)], [anchor_boxes(x, [(8, 8), (14, 12)], 8),
                  anchor_boxes(s, [(22, 22), (30, 19)], 16)], as_boxes(z))""", heads,
        lambda x, y, z: ssd([x, pooled(x)], [y, pooled(y)], z), [BOXES])

    def largest(x, count):
        x, count = np.floor(2 * x[:, :, 0, 0]), np.ceil(np.clip(4 * count[:, :, 0, 0], 0, x.shape[1]))
        place = np.argsort(np.argsort(-x, kind="stable"), kind="stable")
        return (place < count).astype(np.float32)

    add("largest_of_rows", "return largest(floor(2 * x) -> flatten, 4 * y -> flatten)", [(37, 1, 1), (1, 1, 1)], largest)
    add("loss_focal", "return focal(x -> flatten, y)", classes, lambda x, y: focal(x[:, :, 0, 0], y)[:, None])
    add("loss_focal_map", "return focal(x, y)", pixels, lambda x, y: image_mean(focal(x, y)))
    add("loss_mse", "return mse(x, y)", maps, lambda x, y: image_mean((x - y) ** 2))
    add("loss_mean", "return mean((x - y) ** 2) + mean([x, y] -> mean -> global_avgpool -> flatten)", maps,
        lambda x, y: image_mean((x - y) ** 2) + image_mean((x + y) / 2))
    add("loss_l1", "return l1(x, y)", maps, lambda x, y: image_mean(abs(x - y)))

    def huber(d, delta):
        return np.where(abs(d) < delta, 0.5 * d * d, delta * (abs(d) - 0.5 * delta))

    add("loss_huber", "return huber(x, y, delta=0.7)", maps, lambda x, y: image_mean(huber(x - y, 0.7)))
    add("loss_smooth_l1", "return smooth_l1(x, y, beta=0.5)", maps, lambda x, y: image_mean(huber(x - y, 0.5) / 0.5))
    add("loss_bce", "return bce(sigmoid(x), sigmoid(y))", maps, lambda x, y: image_mean(
        -sigmoid(y) * np.log(sigmoid(x)) - (1 - sigmoid(y)) * np.log(1 - sigmoid(x))))
    add("loss_bce_logits", "return bce_with_logits(x, 1, positive=3)", (5, 7, 9),
        lambda x: image_mean(-3 * np.log(sigmoid(x))))
    add("loss_sigmoid_focal", "return sigmoid_focal(x, 0)", (5, 7, 9),
        lambda x: image_mean(-0.75 * sigmoid(x) ** 2 * np.log(1 - sigmoid(x))))

    def dice(p, t):
        return (1 - (2 * (p * t).sum((2, 3)) + 1) / (p.sum((2, 3)) + t.sum((2, 3)) + 1)).mean(1)[:, None]

    add("loss_dice", "return dice(x, y)", pixels, lambda x, y: dice(np.exp(log_softmax(x)), one_hot(y, 5)))
    add("loss_dice_two", "return dice(x, y)", one, lambda x, y: dice(sigmoid(x), y[:, None]))

    def iou(p, t):
        both = (p * t).sum((2, 3))
        return (1 - (both + 1) / (p.sum((2, 3)) + t.sum((2, 3)) - both + 1)).mean(1)[:, None]

    add("loss_iou", "return iou(x, y)", pixels, lambda x, y: iou(np.exp(log_softmax(x)), one_hot(y, 5)))
    add("loss_iou_two", "return iou(x, y)", one, lambda x, y: iou(sigmoid(x), y[:, None]))
    add("metric_accuracy", "return accuracy(x -> flatten, y)", classes,
        lambda x, y: (x[:, :, 0, 0].argmax(1) == y)[:, None])
    add("metric_accuracy", "return accuracy(x -> flatten, y, k=5)", classes, lambda x, y: (
        np.argsort(-x[:, :, 0, 0], 1)[:, :5] == y[:, None]).any(1)[:, None])
    add("metric_accuracy_map", "return accuracy(x, y)", pixels, lambda x, y: image_mean(x.argmax(1) == y))

    add("metric_psnr", "return psnr(x, y)", maps, lambda x, y: -10 * np.log10(image_mean((x - y) ** 2)))


def standardised(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def cubic(t):
    t = abs(t)
    return np.where(t <= 1, (1.25 * t - 2.25) * t * t + 1, np.where(t < 2, ((-0.75 * t + 3.75) * t - 6) * t + 3, 0))


def bicubic(x, scale, align):
    """Along both axes, with a matrix for each."""
    def matrix(size):
        whole, result = size * scale, np.zeros((size * scale, size))
        for i in range(whole):
            place = i * (size - 1) / (whole - 1) if align else (i + 0.5) / scale - 0.5
            for u in range(-1, 3):
                at = int(np.floor(place)) + u
                result[i, min(max(at, 0), size - 1)] += cubic(place - at)
        return result

    return np.einsum("ih,nchw,jw->ncij", matrix(x.shape[2]), x, matrix(x.shape[3]))


def library(grid):
    def add(name, body, shapes, reference, **options):
        grid.add(f"lib_{name}", body, shapes, lambda g, *inputs: tuple(
            Value(g, "", np.ascontiguousarray(result, np.float32))
            for result in reference(g, *(x.array for x in inputs))), **options)

    def affine(g, name, x):
        shape = (-1, *[1] * (x.ndim - 2))
        return x * weight(g, f"{name}_1.weight", x.shape[1]).reshape(shape) + weight(
            g, f"{name}_1.bias", x.shape[1]).reshape(shape)

    maps, wide = (18, 7, 9), (32, 14, 14)
    for shape, groups in ((maps, 6), (wide, 4), (wide, 32), ((16, 5, 5), 1)):
        add("groupnorm", f"groupnorm({groups})", shape, lambda g, x, groups=groups: [affine(
            g, "groupnorm", standardised(x.reshape(len(x), groups, -1), 2).reshape(x.shape))])
    for shape in (maps, wide, (3, 31, 17)):
        add("instancenorm", "instancenorm", shape, lambda g, x: [standardised(x, (2, 3))])
        add("instancenorm_affine", "instancenorm(affine=true)", shape,
            lambda g, x: [affine(g, "instancenorm", standardised(x, (2, 3)))])
        add("layernorm", "layernorm", shape, lambda g, x: [affine(g, "layernorm", standardised(x, 1))])
    add("layernorm_features", "flatten -> layernorm", (40, 1, 1),
        lambda g, x: [affine(g, "layernorm", standardised(x[:, :, 0, 0], 1))])
    add("layernorm_plain", "layernorm(eps=1e-3, affine=false)", maps, lambda g, x: [standardised(x, 1, 1e-3)])
    for size in (3, 4, 5):
        def response(g, x, size=size):
            padded = np.pad(x * x, ((0, 0), (size // 2, size - 1 - size // 2), (0, 0), (0, 0)))
            total = sum(padded[:, i:i + x.shape[1]] for i in range(size))
            return [x / (2 + 0.1 / size * total) ** 0.75]
        add("local_response_norm", f"local_response_norm({size}, alpha=0.1, k=2)", maps, response)

    def shuffled(x, r):
        n, c, h, w = x.shape
        return x.reshape(n, c // r ** 2, r, r, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // r ** 2, h * r, w * r)

    add("pixel_shuffle", "pixel_shuffle(3)", maps, lambda g, x: [shuffled(x, 3)])
    add("pixel_shuffle", "pixel_shuffle(2)", wide, lambda g, x: [shuffled(x, 2)])
    add("pixel_unshuffle", "pixel_shuffle(3) -> pixel_unshuffle(3)", maps, lambda g, x: [x])
    add("channel_shuffle", "channel_shuffle(3)", maps, lambda g, x: [
        x.reshape(len(x), 3, 6, 7, 9).swapaxes(1, 2).reshape(x.shape)])
    add("transpose", "return transpose(x, (2, 3, 1)), transpose(x, (3, 1, 2)), transpose(x, (1, 3, 2))", maps,
        lambda g, x: [x.transpose(0, 2, 3, 1), x.transpose(0, 3, 1, 2), x.transpose(0, 1, 3, 2)])
    add("crop", "return crop(x, 5), crop(x, (3, 4), top=2, left=0)", maps,
        lambda g, x: [x[:, :, 1:6, 2:7], x[:, :, 2:5, 0:4]])
    add("slice", "return slice(x, 3, 7), slice(x -> flatten, 100, 120)", maps,
        lambda g, x: [x[:, 3:8], x.reshape(len(x), -1)[:, 100:121]])
    add("split", "a, b, c = x -> split(3)\nreturn a + c, b", maps, lambda g, x: [x[:, :6] + x[:, 12:], x[:, 6:12]])
    add("reshape", "return reshape(x, (7, 6, 27)), reshape(x -> flatten, (14, 9, 9))", maps,
        lambda g, x: [x.reshape(-1, 7, 6, 27), x.reshape(-1, 14, 9, 9)])
    add("lp_pool", "return lp_pool(x, 2), lp_pool(x, 3, stride=2, p=3)", maps, lambda g, x: [
        np.sqrt((windows(np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1))), 1)[:, :, :6, :8].reshape(
            len(x), 18, 3, 2, 4, 2) ** 2).sum((3, 5))),
        np.lib.stride_tricks.sliding_window_view(abs(x) ** 3, (3, 3), (2, 3))[:, :, ::2, ::2].sum((4, 5)) ** (1 / 3)])

    def cells(x, h, w):
        def ends(i, size, count):
            return i * size // count, -(-(i + 1) * size // count)
        return np.stack([np.stack([x[:, :, slice(*ends(i, x.shape[2], h)), slice(*ends(j, x.shape[3], w))].max((2, 3))
                                   for j in range(w)], 2) for i in range(h)], 2)

    for size in (3, (4, 5), (7, 1)):
        h, w = size if isinstance(size, tuple) else (size, size)
        add("adaptive_maxpool", f"adaptive_maxpool({size})", maps, lambda g, x, h=h, w=w: [cells(x, h, w)])
    for align in (False, True):
        add("upsample_bicubic", f"upsample_bicubic(3, align_corners={str(align).lower()})", (5, 7, 9),
            lambda g, x, align=align: [bicubic(x, 3, align)])
    add("reductions", "return mean_over(x, channels=true), sum_over(x, height=true, width=true), max_over(x, width=true),"
        " min_over(x, channels=true, height=true)", maps, lambda g, x: [
            x.mean(1, keepdims=True), x.sum((2, 3), keepdims=True), x.max(3, keepdims=True),
            x.min((1, 2), keepdims=True)])
    add("matmul", "return matmul(x, y)", [(3, 7, 9), (3, 9, 5)], lambda g, x, y: [x @ y])

    def conv1(g, name, x, outside, bias=True):
        result = np.einsum("nchw,oc->nohw", x, weight(g, f"{name}.weight", outside, x.shape[1], 1, 1)[:, :, 0, 0])
        return result + weight(g, f"{name}.bias", outside)[:, None, None] if bias else result

    def attention(g, x, heads):
        q, k, v = (conv1(g, f"self_attention_1.{part}", x, x.shape[1]).reshape(len(x), heads, -1, x[0, 0].size)
                   for part in ("query", "key", "value"))
        scores = np.einsum("nhda,nhdb->nhab", q, k) / np.sqrt(q.shape[2])
        p = np.exp(scores - scores.max(3, keepdims=True))
        p /= p.sum(3, keepdims=True)
        return conv1(g, "self_attention_1.out", np.einsum("nhab,nhdb->nhda", p, v).reshape(x.shape), x.shape[1])

    # Scores of a size that is met in networks: the softmax of large ones multiplies what bf16 rounds off.
    add("self_attention", "self_attention(heads=3)", (12, 5, 7), lambda g, x: [attention(g, x, 3)], scale=0.25)
    add("self_attention", "self_attention", (16, 8, 8), lambda g, x: [attention(g, x, 1)], scale=0.25)
    add("self_attention", "self_attention(heads=4)", (24, 13, 15), lambda g, x: [attention(g, x, 4)], scale=0.25)
    add("self_attention", "self_attention(heads=2)", (64, 12, 10), lambda g, x: [attention(g, x, 2)], scale=0.25)
    def gated(g, x, kernel):
        both = np.pad(np.concatenate([x.max(1, keepdims=True), x.mean(1, keepdims=True)], 1),
                      ((0, 0), (0, 0), *((kernel // 2, kernel // 2),) * 2))
        window = np.lib.stride_tricks.sliding_window_view(both, (kernel, kernel), (2, 3))
        return x * sigmoid(np.einsum("ncijuv,ocuv->noij", window, weight(
            g, "spatial_attention_1.conv.weight", 1, 2, kernel, kernel)))

    def weighed(g, x, inside):
        first = weight(g, "channel_attention_1.mlp.fc1.weight", inside, x.shape[1], 1, 1)[:, :, 0, 0]
        second = weight(g, "channel_attention_1.mlp.fc2.weight", x.shape[1], inside, 1, 1)[:, :, 0, 0]
        return x * sigmoid(sum(np.maximum(y @ first.T, 0) @ second.T for y in (x.mean((2, 3)), x.max((2, 3)))))[..., None, None]

    def separated(g, x, outside):
        w = weight(g, "separable_conv_1.depthwise.weight", x.shape[1], 1, 3, 3)[:, 0]
        inner = np.einsum("ncijuv,cuv->ncij", windows(x, 3, "constant", 2), w)
        return conv1(g, "separable_conv_1.pointwise", inner, outside)

    def across(q, k, v, heads):
        q, k, v = (t.reshape(len(t), heads, -1, t.shape[3]) for t in (q, k, v))
        scores = np.einsum("nhda,nhdb->nhab", q, k) / np.sqrt(q.shape[2])
        p = np.exp(scores - scores.max(3, keepdims=True))
        return np.einsum("nhab,nhdb->nhda", p / p.sum(3, keepdims=True), v).reshape(len(q), -1, 1, q.shape[3])

    add("attention", "return attention(x, y, z, 4)", [(12, 1, 50), (12, 1, 60), (12, 1, 60)],
        lambda g, q, k, v: [across(q, k, v, 3)], scale=0.5)
    add("spatial_attention", "spatial_attention(5)", maps, lambda g, x: [gated(g, x, 5)])
    add("channel_attention", "channel_attention(4)", maps, lambda g, x: [weighed(g, x, 4)], scale=0.25)
    add("separable_conv", "separable_conv(7, 3, stride=2)", maps, lambda g, x: [separated(g, x, 7)])
    add("pad", "return pad(x, (1, 2, 3, 4)), pad(x, 2, mode=reflect), pad(x, (2, 1), mode=circular), pad(x, 3, mode=replicate)",
        maps, lambda g, x: [np.pad(x, ((0, 0), (0, 0), *around), mode) for around, mode in (
            (((1, 3), (2, 4)), "constant"), (((2, 2),) * 2, "reflect"), (((2, 2), (1, 1)), "wrap"), (((3, 3),) * 2, "edge"))])
    add("activations", "return selu(x), celu(x, alpha=0.5), logsigmoid(x), tanhshrink(x), hardshrink(x), softshrink(x)",
        maps, lambda g, x: [
            1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
            np.where(x > 0, x, 0.5 * np.expm1(x / 0.5)), -np.log1p(np.exp(-x)), x - np.tanh(x),
            np.where(abs(x) > 0.5, x, 0), np.sign(x) * np.maximum(abs(x) - 0.5, 0)])
    def unpooled(v, x, k):
        result = np.zeros_like(x)
        for i in range(v.shape[2]):
            for j in range(v.shape[3]):
                window = x[:, :, k * i:k * i + k, k * j:k * j + k].reshape(len(x), x.shape[1], -1)
                at = window.argmax(2)
                n, c = np.indices(at.shape)
                result[n, c, k * i + at // k, k * j + at % k] = v[:, :, i, j]
        return result

    def fractional(x, h, w, k):
        def places(size, count):
            step = (size - k) / (count - 1)
            return [size - k if i == count - 1 else int(np.floor((i + 0.5) * step) - np.floor(0.5 * step))
                    for i in range(count)]
        return np.stack([np.stack([x[:, :, y:y + k, z:z + k].max((2, 3)) for z in places(x.shape[3], w)], 2)
                         for y in places(x.shape[2], h)], 2)

    def expectation(x, k, stride):
        window = np.lib.stride_tricks.sliding_window_view(x, (k, k), (2, 3))[:, :, ::stride, ::stride]
        return (window ** 2).sum((4, 5)) / window.sum((4, 5))

    add("max_unpool", "return max_unpool(x, y, 2)", [(5, 3, 4), (5, 7, 9)], lambda g, v, x: [unpooled(v, x, 2)])
    add("fractional_maxpool", "fractional_maxpool((5, 6))", (5, 11, 13), lambda g, x: [fractional(x, 5, 6, 2)])
    add("stochastic_pool", "abs -> stochastic_pool(3, 2)", (5, 11, 13), lambda g, x: [expectation(abs(x), 3, 2)])
    add("dropped", "dropout2d -> stochastic_depth(0.2) -> dropout(0.1, of=channels)", maps, lambda g, x: [x])

    def convolved(g, name, x, outside, kernel, stride, pad, dilation, groups):
        """Over any number of axes, of the sizes that the lists have."""
        rank = len(kernel)
        w = weight(g, f"{name}.weight", outside, x.shape[1] // groups, *kernel)
        x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in pad)])
        reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
        window = np.lib.stride_tricks.sliding_window_view(x, reach, tuple(range(2, 2 + rank)))
        window = window[(slice(None), slice(None), *(slice(None, None, s) for s in stride),
                         *(slice(None, None, d) for d in dilation))]
        parts = np.split(window, groups, 1)
        own = tuple(range(2 + rank, 2 + 2 * rank))
        y = [np.moveaxis(np.tensordot(part, v, ((1, *own), (1, *range(2, 2 + rank)))), -1, 1)
             for part, v in zip(parts, np.split(w, groups, 0))]
        return np.concatenate(y, 1) + weight(g, f"{name}.bias", outside).reshape(-1, *[1] * rank)

    for channels, outside, size, k, s, p, d, groups in ((7, 12, 31, 3, 1, 1, 1, 1), (16, 32, 50, 5, 2, 0, 2, 1),
                                                        (12, 24, 27, 4, 3, 2, 1, 4)):
        add("conv1d", f"conv1d({outside}, {k}, {s}, {p}, {d}, {groups})", (channels, size),
            lambda g, x, o=outside, *, a=((k,), (s,), (p,), (d,)), groups=groups: [
                convolved(g, "conv1d_1", x, o, *a, groups)])
    for channels, outside, size, k, s, p, d, groups in (
            (3, 5, (6, 7, 8), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 1),
            (8, 12, (5, 9, 11), (1, 3, 2), (2, 1, 3), (0, 2, 1), (1, 2, 1), 2)):
        add("conv3d", f"conv3d({outside}, {k}, {s}, {p}, {d}, {groups})", (channels, *size),
            lambda g, x, o=outside, *, a=(k, s, p, d), groups=groups: [convolved(g, "conv3d_1", x, o, *a, groups)])
    add("prelu", "prelu", maps, lambda g, x: [
        np.where(x >= 0, x, x * weight(g, "prelu_1.weight", 18)[:, None, None])])
    add("prelu_one", "prelu(1)", maps, lambda g, x: [np.where(x >= 0, x, x * weight(g, "prelu_1.weight", 1))])


def detection(grid):
    def add(name, body, shapes, reference, **options):
        grid.add(f"detect_{name}", body, shapes, lambda g, *inputs: tuple(
            Value(g, "", np.ascontiguousarray(result, np.float32)) for result in reference(*(x.array for x in inputs))),
            **options)

    anchors, sizes = [(10, 13), (16, 30), (33, 23)], [(24, 24), (34, 17)]

    def joined(x, y):
        return [np.concatenate(parts, 1) for parts in zip(detect.yolo(x, anchors, 8), detect.yolo(y, anchors, 16))]

    add("yolo", f"return yolo_boxes(x, {anchors}, 8), yolo_scores(x, {anchors})", (24, 4, 5),
        lambda x: detect.yolo(x, anchors, 8))
    add("anchors", f"return clip_boxes(decode_boxes(box_rows(x, 4), anchor_boxes(x, {sizes}, 16), (0.1, 0.1, 0.2, 0.2)), 48, 64)",
        (8, 3, 4), lambda x: [detect.clip(detect.decode(
            detect.rows(x, 4), detect.anchor_boxes(3, 4, sizes, 16), (0.1, 0.1, 0.2, 0.2)), 48, 64)])
    for count, candidates, threshold, least in ((10, 40, 0.5, 0.2), (30, 30, 0.3, 0.05), (5, 400, 0.2, 0.6)):
        add("classes", f"""b = join_boxes([yolo_boxes(x, {anchors}, 8), yolo_boxes(y, {anchors}, 16)])
            s = join_boxes([yolo_scores(x, {anchors}), yolo_scores(y, {anchors})])
            return detect(b, s, {count}, {candidates}, {threshold}, {least})""", [(24, 4, 5), (24, 2, 3)],
            lambda x, y, a=(count, candidates, threshold, least): detect.detect(*joined(x, y), *a))
    for count, candidates, threshold, least, size in ((10, 40, 0.5, -9, -1), (40, 40, 0.4, 0.3, 12)):
        add("proposals", f"""b = decode_boxes(box_rows(x, 4), anchor_boxes(x, {anchors}, 8))
            return proposals(b, anchor_scores(y), {count}, {candidates}, {threshold}, {least}, {size})""",
            [(12, 5, 6), (3, 5, 6)],
            lambda x, y, a=(count, candidates, threshold, least, size): detect.proposals(
                detect.decode(detect.rows(x, 4), detect.anchor_boxes(5, 6, anchors, 8)), detect.rows(y, 1)[:, :, 0], *a))
