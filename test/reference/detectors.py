"""The example networks that find objects: maps as ONNX nodes, the boxes of them in NumPy; see networks.py."""

import numpy as np

import detect


def stages(g, x, path):
    def norm(x, path):
        return g.batchnorm(x, path)

    x = g.relu(norm(g.conv(x, f"{path}.conv1", 64, 7, 2, 3), f"{path}.bn1"))
    x = g.maxpool(x, 3, 2, 1)
    maps = []
    for stage, (channels, stride) in enumerate(((64, 1), (128, 2), (256, 2), (512, 2))):
        for index in range(2):
            at, step = f"{path}.layer{stage + 1}.{index}", stride if index == 0 else 1
            y = g.relu(norm(g.conv(x, f"{at}.conv1", channels, 3, step, 1), f"{at}.bn1"))
            y = norm(g.conv(y, f"{at}.conv2", channels, 3, 1, 1), f"{at}.bn2")
            if step > 1 or x.channels != channels:
                x = norm(g.conv(x, f"{at}.downsample.0", channels, 1, step), f"{at}.downsample.1")
            x = g.relu(y + x)
        maps.append(x)
    return maps


def pyramid(g, x, channels):
    maps = stages(g, x, "fpn.backbone")
    x = g.conv(maps[3], "fpn.inner.2", channels, 1, bias=True)
    result = [g.conv(x, "fpn.layer.2", channels, 3, 1, 1, bias=True)]
    for level in (1, 0):
        larger = g.node("Resize", [x, None, g.constant(np.array([1, 1, 2, 2], np.float32))], mode="nearest",
                        coordinate_transformation_mode="asymmetric", nearest_mode="floor")
        x = larger + g.conv(maps[level + 1], f"fpn.inner.{level}", channels, 1, bias=True)
        result.insert(0, g.conv(x, f"fpn.layer.{level}", channels, 3, 1, 1, bias=True))
    return result


def head(g, x, path, parts, anchors, kernel=1, spread=0.5, rare=None):
    """A map of which each number varies by about `spread`; of those of `rare` few are positive."""
    kernel = (kernel, kernel)
    channels = parts * anchors
    w = g.random.normal(0, 1, (channels, x.channels, *kernel)) / np.sqrt(x.channels * kernel[0] * kernel[1])
    w *= spread / x.array.std()
    options = {"kernel_shape": kernel, "pads": [kernel[0] // 2] * 4}
    free = g.node("Conv", [x, g.constant(w.astype(np.float32))], **options).array
    g.nodes.pop()
    bias = -free.mean((0, 2, 3))
    for part in rare or ():
        own = np.arange(anchors) * parts + part
        bias[own] = -np.quantile(free[:, own], 0.9985, (0, 2, 3))
    return g.node("Conv", [x, g.weight(f"{path}.weight", w), g.weight(f"{path}.bias", bias)], **options)


def fpn_yolo(g, x):
    sizes = [[(10, 13), (16, 30), (33, 23)], [(30, 61), (62, 45), (59, 119)], [(116, 90), (156, 198), (250, 220)]]
    maps = []
    for level, y in enumerate(pyramid(g, x, 128)):
        y = g.batchnorm(g.conv(y, f"head.{level}.conv", 256, 3, 1, 1), f"head.{level}.norm")
        y = g.node("LeakyRelu", [y], alpha=0.1)
        maps.append(head(g, y, f"head.{level}.boxes", 25, 3, spread=1.5, rare=[4]))

    def finish(*maps):
        found = [detect.yolo(y, anchors, 256 / y.shape[3]) for y, anchors in zip(maps, sizes)]
        boxes, scores = (np.concatenate(parts, 1) for parts in zip(*found))
        return named(detect.detect(detect.clip(boxes, 256, 256), scores, 50, least=0.5, margin=detect.MARGIN_BEHIND))
    return maps, finish


def fpn_ssd(g, x):
    maps = []
    for level, y in enumerate(pyramid(g, x, 128)):
        maps.append(head(g, y, f"head.{level}.classes", 21, 4, 3, spread=1.5, rare=range(1, 21)))
        maps.append(head(g, y, f"head.{level}.boxes", 4, 4, 3, spread=2.0))

    def finish(*maps):
        boxes, scores = [], []
        for level in range(3):
            classes, located = maps[2 * level:2 * level + 2]
            size = 32 * 2 ** level
            shapes = [(size, size), (1.41 * size, 1.41 * size), (1.41 * size, 0.71 * size), (0.71 * size, 1.41 * size)]
            anchors = detect.anchor_boxes(*classes.shape[2:], shapes, 256 / classes.shape[3])
            boxes.append(detect.decode(detect.rows(located, 4), anchors, (0.1, 0.1, 0.2, 0.2)))
            p = np.exp(detect.rows(classes, 21).astype(np.float64))
            scores.append((p / p.sum(2, keepdims=True))[..., 1:])
        return named(detect.detect(detect.clip(np.concatenate(boxes, 1), 256, 256), np.concatenate(scores, 1), 50,
                                   least=0.5, margin=detect.MARGIN_BEHIND))
    return maps, finish


def region_proposals(g, x):
    y = g.relu(g.conv(stages(g, x, "backbone")[2], "rpn.conv", 256, 3, 1, 1, bias=True))
    maps = [head(g, y, "rpn.boxes", 4, 9, spread=0.3), head(g, y, "rpn.objects", 1, 9, spread=2.0, rare=[0])]
    shapes = [(side * wide, side / wide) for side in (64, 128, 256) for wide in (0.71, 1, 1.41)]

    def finish(located, objects):
        boxes = detect.decode(detect.rows(located, 4), detect.anchor_boxes(16, 16, shapes, 16))
        scores = detect.sigmoid(detect.rows(objects, 1)[..., 0])
        boxes, scores, count = detect.proposals(detect.clip(boxes, 256, 256), scores, 50, least=0.5, size=8,
                                                margin=detect.MARGIN_BEHIND)
        return {"boxes": boxes, "scores": scores, "count": count}
    return maps, finish


def named(results):
    return dict(zip(("boxes", "scores", "classes", "count"), results))


# Name: how it is built, the usual input, published count of trained parameters.
DETECTORS = {
    "fpn_yolo": (fpn_yolo, (3, 256, 256), None),
    "fpn_ssd": (fpn_ssd, (3, 256, 256), None),
    "region_proposals": (region_proposals, (3, 256, 256), None),
}
