"""More of the example networks, node by node; see networks.py."""

import numpy as np


def mobilenet_v1(g, x):
    def unit(x, path, channels, kernel=1, stride=1, groups=1):
        y = g.conv(x, f"{path}.0", channels, kernel, stride, (kernel - 1) // 2, groups=groups)
        return g.relu(g.batchnorm(y, f"{path}.1"))

    x = unit(x, "features.0", 32, 3, 2)
    for index, (channels, stride) in enumerate((
            (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1),
            (512, 1), (1024, 2), (1024, 1))):
        x = unit(x, f"features.{index + 1}.depthwise", x.channels, 3, stride, x.channels)
        x = unit(x, f"features.{index + 1}.pointwise", channels)
    return g.linear(g.flatten(g.global_avgpool(x)), "fc", 1000)


def mobilenet_v3(g, x):
    def hardsigmoid(x):
        return g.node("HardSigmoid", [x], alpha=1 / 6, beta=0.5)

    def hardswish(x):
        return g.node("HardSwish", [x])

    def unit(x, path, channels, kernel=1, stride=1, groups=1):
        y = g.conv(x, f"{path}.0", channels, kernel, stride, (kernel - 1) // 2, groups=groups)
        return g.batchnorm(y, f"{path}.1", eps=0.001)

    x = hardswish(unit(x, "features.0", 16, 3, 2))
    for index, (kernel, wide, channels, squeezed, act, stride) in enumerate((
            (3, 16, 16, 0, g.relu, 1), (3, 64, 24, 0, g.relu, 2), (3, 72, 24, 0, g.relu, 1),
            (5, 72, 40, 24, g.relu, 2), (5, 120, 40, 32, g.relu, 1), (5, 120, 40, 32, g.relu, 1),
            (3, 240, 80, 0, hardswish, 2), (3, 200, 80, 0, hardswish, 1), (3, 184, 80, 0, hardswish, 1),
            (3, 184, 80, 0, hardswish, 1), (3, 480, 112, 120, hardswish, 1), (3, 672, 112, 168, hardswish, 1),
            (5, 672, 160, 168, hardswish, 2), (5, 960, 160, 240, hardswish, 1), (5, 960, 160, 240, hardswish, 1))):
        path, at, y = f"features.{index + 1}.block", 0, x
        if wide != x.channels:
            y, at = act(unit(y, f"{path}.0", wide)), 1
        y = act(unit(y, f"{path}.{at}", wide, kernel, stride, wide))
        if squeezed:
            at += 1
            z = g.relu(g.conv(g.global_avgpool(y), f"{path}.{at}.fc1", squeezed, 1, bias=True))
            y = y * hardsigmoid(g.conv(z, f"{path}.{at}.fc2", wide, 1, bias=True))
        y = unit(y, f"{path}.{at + 1}", channels)
        x = x + y if stride == 1 and x.channels == channels else y
    x = g.flatten(g.global_avgpool(hardswish(unit(x, "features.16", 960))))
    return g.linear(hardswish(g.linear(x, "classifier.0", 1280)), "classifier.3", 1000)


def googlenet(g, x):
    def unit(x, path, channels, kernel=1, stride=1):
        y = g.conv(x, f"{path}.conv", channels, kernel, stride, kernel // 2)
        return g.relu(g.batchnorm(y, f"{path}.bn", eps=0.001))

    x = g.maxpool(unit(x, "conv1", 64, 7, 2), 3, 2, ceil=True)
    x = g.maxpool(unit(unit(x, "conv2", 64), "conv3", 192, 3), 3, 2, ceil=True)
    for path, one, reduce, three, reduce_more, more, pool in (
            ("3a", 64, 96, 128, 16, 32, 32), ("3b", 128, 128, 192, 32, 96, 64), ("4a", 192, 96, 208, 16, 48, 64),
            ("4b", 160, 112, 224, 24, 64, 64), ("4c", 128, 128, 256, 24, 64, 64), ("4d", 112, 144, 288, 32, 64, 64),
            ("4e", 256, 160, 320, 32, 128, 128), ("5a", 256, 160, 320, 32, 128, 128),
            ("5b", 384, 192, 384, 48, 128, 128)):
        if path == "4a":
            x = g.maxpool(x, 3, 2, ceil=True)
        elif path == "5a":
            x = g.maxpool(x, 2, 2, ceil=True)
        path = f"inception{path}"
        x = g.concat(unit(x, f"{path}.branch1", one),
                     unit(unit(x, f"{path}.branch2.0", reduce), f"{path}.branch2.1", three, 3),
                     unit(unit(x, f"{path}.branch3.0", reduce_more), f"{path}.branch3.1", more, 3),
                     unit(g.maxpool(x, 3, 1, 1), f"{path}.branch4.1", pool))
    return g.linear(g.flatten(g.global_avgpool(x)), "fc", 1000)


def shuffle(g, x, groups):
    n, c, h, w = x.array.shape
    x = g.node("Reshape", [x, g.constant(np.array([0, groups, c // groups, h, w], np.int64))])
    x = g.node("Transpose", [x], perm=[0, 2, 1, 3, 4])
    return g.node("Reshape", [x, g.constant(np.array([0, c, h, w], np.int64))])


def shufflenet_v2(g, x):
    def unit(x, path, conv, norm, channels, kernel=1, stride=1, relu=True):
        groups = channels if kernel > 1 else 1
        y = g.batchnorm(g.conv(x, f"{path}.{conv}", channels, kernel, stride, kernel // 2, groups=groups),
                        f"{path}.{norm}")
        return g.relu(y) if relu else y

    def branch(x, path, channels, stride):
        x = unit(x, path, 0, 1, channels)
        return unit(unit(x, path, 3, 4, channels, 3, stride, relu=False), path, 5, 6, channels)

    x = g.relu(g.batchnorm(g.conv(x, "conv1.0", 24, 3, 2, 1), "conv1.1"))
    x = g.maxpool(x, 3, 2, 1)
    for stage, channels, repeats in ((2, 116, 4), (3, 232, 8), (4, 464, 4)):
        half = channels // 2
        for index in range(repeats):
            path = f"stage{stage}.{index}"
            if index == 0:
                a = unit(x, f"{path}.branch1", 0, 1, x.channels, 3, 2, relu=False)
                a, b = unit(a, f"{path}.branch1", 2, 3, half), branch(x, f"{path}.branch2", half, 2)
            else:
                a, b = (g.node("Slice", [x, *(g.constant(np.array([n], np.int64)) for n in (first, first + half, 1))])
                        for first in (0, half))
                b = branch(b, f"{path}.branch2", half, 1)
            x = shuffle(g, g.concat(a, b), 2)
    x = g.relu(g.batchnorm(g.conv(x, "conv5.0", 1024, 1), "conv5.1"))
    return g.linear(g.flatten(g.global_avgpool(x)), "fc", 1000)


def layernorm(g, x, path, eps):
    """Over the channels of a map, which ONNX normalises when they are the last axis."""
    x = g.node("Transpose", [x], perm=[0, 2, 3, 1])
    count = x.array.shape[3]
    x = g.node("LayerNormalization", [x, g.weight(f"{path}.weight", g.random.uniform(0.7, 1.3, count)),
                                      g.weight(f"{path}.bias", g.random.normal(0, 0.2, count))], axis=-1, epsilon=eps)
    return g.node("Transpose", [x], perm=[0, 3, 1, 2])


def convnext_tiny(g, x):
    def scaled(x, path):
        scale = g.weight(f"{path}.layer_scale", g.random.uniform(0.2, 0.5, x.channels))
        return x * g.node("Reshape", [scale, g.constant(np.array([-1, 1, 1], np.int64))])

    x = layernorm(g, g.conv(x, "features.0.0", 96, 4, 4, bias=True), "features.0.1", 1e-6)
    for stage, (channels, blocks) in enumerate(((96, 3), (192, 3), (384, 9), (768, 3))):
        if stage:
            x = layernorm(g, x, f"features.{2 * stage}.0", 1e-6)
            x = g.conv(x, f"features.{2 * stage}.1", channels, 2, 2, bias=True)
        for index in range(blocks):
            path = f"features.{2 * stage + 1}.{index}"
            y = g.conv(x, f"{path}.block.0", channels, 7, 1, 3, groups=channels, bias=True)
            y = g.conv(layernorm(g, y, f"{path}.block.2", 1e-6), f"{path}.block.3", 4 * channels, 1, bias=True)
            y = g.conv(g.node("Gelu", [y]), f"{path}.block.5", channels, 1, bias=True)
            x = x + scaled(y, path)
    x = layernorm(g, g.global_avgpool(x), "classifier.0", 1e-6)
    return g.linear(g.flatten(x), "classifier.2", 1000)


def resnet50_dilated(g, x):
    x = g.relu(g.batchnorm(g.conv(x, "backbone.conv1", 64, 7, 2, 3), "backbone.bn1"))
    x = g.maxpool(x, 3, 2, 1)
    before = 1
    for stage, stride, dilation, blocks in ((1, 1, 1, 3), (2, 2, 1, 4), (3, 1, 2, 6), (4, 1, 4, 3)):
        width = 32 << stage
        for index in range(blocks):
            path, first = f"backbone.layer{stage}.{index}", index == 0
            step, holes = (stride, before) if first else (1, dilation)
            y = g.relu(g.batchnorm(g.conv(x, f"{path}.conv1", width, 1), f"{path}.bn1"))
            y = g.relu(g.batchnorm(g.conv(y, f"{path}.conv2", width, 3, step, holes, holes), f"{path}.bn2"))
            y = g.batchnorm(g.conv(y, f"{path}.conv3", 4 * width, 1), f"{path}.bn3")
            if first:
                x = g.batchnorm(g.conv(x, f"{path}.downsample.0", 4 * width, 1, step), f"{path}.downsample.1")
            x = g.relu(y + x)
        before = dilation
    return x


def enlarged(g, x, scale, mode="linear"):
    height, width = scale if isinstance(scale, tuple) else (scale, scale)
    options = {"coordinate_transformation_mode": "half_pixel"} if mode == "linear" else {
        "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return g.node("Resize", [x, None, g.constant(np.array([1, 1, height, width], np.float32))], mode=mode, **options)


def fcn_resnet50(g, x):
    x = resnet50_dilated(g, x)
    x = g.relu(g.batchnorm(g.conv(x, "classifier.0", 512, 3, 1, 1), "classifier.1"))
    return enlarged(g, g.conv(x, "classifier.4", 21, 1, bias=True), 8)


def deeplab_v3(g, x):
    def unit(x, conv, norm, kernel=1, dilation=1):
        reach = dilation * (kernel // 2)
        return g.relu(g.batchnorm(g.conv(x, conv, 256, kernel, 1, reach, dilation), norm))

    x = resnet50_dilated(g, x)
    path = "classifier.0.convs"
    views = [unit(x, f"{path}.0.0", f"{path}.0.1")]
    views += [unit(x, f"{path}.{index}.0", f"{path}.{index}.1", 3, rate) for index, rate in ((1, 12), (2, 24), (3, 36))]
    whole = unit(g.global_avgpool(x), f"{path}.4.1", f"{path}.4.2")
    views.append(enlarged(g, whole, tuple(x.size), "nearest"))
    x = unit(g.concat(*views), "classifier.0.project.0", "classifier.0.project.1")
    x = unit(x, "classifier.1", "classifier.2", 3)
    return enlarged(g, g.conv(x, "classifier.4", 21, 1, bias=True), 8)


def dcgan(g, x):
    x = g.relu(g.batchnorm(g.conv_transpose(x, "main.0", 512, 4, bias=False), "main.1"))
    for index in (1, 2, 3):
        x = g.conv_transpose(x, f"main.{3 * index}", 512 >> index, 4, 2, 1, bias=False)
        x = g.relu(g.batchnorm(x, f"main.{3 * index + 1}"))
    return g.node("Tanh", [g.conv_transpose(x, "main.12", 3, 4, 2, 1, bias=False)])


def dcgan_discriminator(g, x):
    x = g.node("LeakyRelu", [g.conv(x, "main.0", 64, 4, 2, 1)], alpha=0.2)
    for index in (1, 2, 3):
        x = g.batchnorm(g.conv(x, f"main.{3 * index - 1}", 64 << index, 4, 2, 1), f"main.{3 * index}")
        x = g.node("LeakyRelu", [x], alpha=0.2)
    return g.flatten(g.conv(x, "main.11", 1, 4))


def autoencoder(g, x):
    x = g.relu(g.conv(x, "conv_1", 16, 3, 2, 1, bias=True))
    x = g.relu(g.conv(x, "conv_2", 32, 3, 2, 1, bias=True))
    x = g.linear(g.flatten(x), "code", 16)
    x = g.relu(g.linear(x, "linear_1", 32 * 7 * 7))
    x = g.node("Reshape", [x, g.constant(np.array([0, 32, 7, 7], np.int64))])
    x = g.relu(g.conv_transpose(x, "conv_transpose_1", 16, 4, 2, 1))
    return g.sigmoid(g.conv_transpose(x, "conv_transpose_2", 1, 4, 2, 1))


def pix2pix(g, x):
    x = g.conv(x, "conv_1", 64, 4, 2, 1)
    skips = [x]
    for index, times in enumerate((2, 4, 8, 8, 8, 8, 8)):
        x = g.conv(g.node("LeakyRelu", [x], alpha=0.2), f"down_{index + 1}.conv_1", 64 * times, 4, 2, 1)
        if index < 6:
            x = g.batchnorm(x, f"down_{index + 1}.batchnorm_1")
            skips.append(x)
    for index, skip in enumerate(reversed(skips)):
        x = g.conv_transpose(g.relu(x), f"up_{index + 1}.conv_transpose_1", skip.channels, 4, 2, 1, bias=False)
        x = g.concat(skip, g.batchnorm(x, f"up_{index + 1}.batchnorm_1"))
    return g.node("Tanh", [g.conv_transpose(g.relu(x), "conv_transpose_1", 3, 4, 2, 1)])


def cyclegan(g, x):
    def norm(x):
        ones, zeros = (g.constant(np.full(x.channels, value, np.float32)) for value in (1, 0))
        return g.node("InstanceNormalization", [x, ones, zeros], epsilon=1e-5)

    def conv(x, path, channels, kernel, stride=1):
        pads = kernel // 2
        if stride == 1:
            x, pads = g.node("Pad", [x, g.constant(np.array([0, 0, pads, pads] * 2, np.int64))], mode="reflect"), 0
        return g.conv(x, path, channels, kernel, stride, pads, bias=True)

    for index, (channels, kernel, stride) in enumerate(((64, 7, 1), (128, 3, 2), (256, 3, 2))):
        x = g.relu(norm(conv(x, f"unit_{index + 1}.conv_1", channels, kernel, stride)))
    for index in range(1, 10):
        y = g.relu(norm(conv(x, f"residual_{index}.unit_1.conv_1", 256, 3)))
        x = x + norm(conv(y, f"residual_{index}.conv_1", 256, 3))
    for index, channels in ((1, 128), (2, 64)):
        x = g.relu(norm(g.conv_transpose(x, f"conv_transpose_{index}", channels, 3, 2, 1, 1)))
    return g.node("Tanh", [conv(x, "conv_1", 3, 7)])


# Name: how it is built, the usual input, published count of trained parameters.
ARCHITECTURES = {
    "mobilenet_v1": (mobilenet_v1, (3, 224, 224), 4231976),
    "mobilenet_v3": (mobilenet_v3, (3, 224, 224), 5483032),
    # 13,004,888 less the auxiliary heads, which serve training alone.
    "googlenet": (googlenet, (3, 224, 224), 6624904),
    "shufflenet_v2": (shufflenet_v2, (3, 224, 224), 2278604),
    "convnext_tiny": (convnext_tiny, (3, 224, 224), 28589128),
    "fcn_resnet50": (fcn_resnet50, (3, 224, 224), None),
    "deeplab_v3": (deeplab_v3, (3, 224, 224), None),
    "dcgan": (dcgan, (100, 1, 1), 3576704),
    "dcgan_discriminator": (dcgan_discriminator, (3, 64, 64), 2765568),
    "autoencoder": (autoencoder, (1, 28, 28), None),
    "pix2pix": (pix2pix, (3, 256, 256), None),
    "cyclegan": (cyclegan, (3, 256, 256), None),
}
