#!/usr/bin/env python3
"""The example networks as ONNX, with seeded weights and what ONNX Runtime makes of an input.

    networks.py resnet50 --out DIR [--seed 1] [--shape N,C,H,W]

writes resnet50.onnx, .safetensors, .input.npy and .expected.npy; of several inputs or
outputs .input.safetensors and .expected.safetensors. Every network is spelled out here a
second time, node by node, so that agreement with examples/*.cnn means something.
Batch norms stay in the ONNX file: ONNX Runtime folds them itself.
"""

import argparse
import pathlib
import sys

import numpy as np
import onnx

from architectures import ARCHITECTURES
from detectors import DETECTORS
from graph import Graph, session, write_safetensors


def lenet(g, x):
    x = g.relu(g.batchnorm(g.conv(x, "conv_1", 16, 5, pad=2), "batchnorm_1"))
    x = g.maxpool(x, 2)
    x = g.relu(g.batchnorm(g.conv(x, "conv_2", 32, 5, pad=2), "batchnorm_2"))
    x = g.maxpool(x, 2)
    x = g.relu(g.linear(g.flatten(x), "linear_1", 64))
    return g.linear(x, "linear_2", 10)


def lenet5(g, x):
    x = g.maxpool(g.relu(g.conv(x, "conv_1", 6, 5, pad=2, bias=True)), 2)
    x = g.maxpool(g.relu(g.conv(x, "conv_2", 16, 5, bias=True)), 2)
    x = g.relu(g.linear(g.flatten(x), "linear_1", 120))
    x = g.relu(g.linear(x, "linear_2", 84))
    return g.linear(x, "linear_3", 10)


def mlp(g, x):
    x = g.relu(g.linear(g.flatten(x), "linear_1", 256))
    x = g.relu(g.linear(x, "linear_2", 128))
    return g.linear(x, "linear_3", 10)


def resnet_stem(g, x):
    x = g.relu(g.batchnorm(g.conv(x, "conv1", 64, 7, 2, 3), "bn1"))
    return g.maxpool(x, 3, 2, 1)


def resnet_head(g, x):
    return g.linear(g.flatten(g.global_avgpool(x)), "fc", 1000)


def resnet18(g, x):
    x = resnet_stem(g, x)
    for stage in range(1, 5):
        channels = 32 << stage
        for index in range(2):
            path = f"layer{stage}.{index}"
            stride = 2 if stage > 1 and index == 0 else 1
            y = g.relu(g.batchnorm(g.conv(x, f"{path}.conv1", channels, 3, stride, 1), f"{path}.bn1"))
            y = g.batchnorm(g.conv(y, f"{path}.conv2", channels, 3, 1, 1), f"{path}.bn2")
            if stride == 2:
                x = g.batchnorm(g.conv(x, f"{path}.downsample.0", channels, 1, 2), f"{path}.downsample.1")
            x = g.relu(y + x)
    return resnet_head(g, x)


def resnet50(g, x):
    x = resnet_stem(g, x)
    for stage, blocks in zip(range(1, 5), (3, 4, 6, 3)):
        width = 32 << stage
        for index in range(blocks):
            path = f"layer{stage}.{index}"
            stride = 2 if stage > 1 and index == 0 else 1
            y = g.relu(g.batchnorm(g.conv(x, f"{path}.conv1", width, 1), f"{path}.bn1"))
            y = g.relu(g.batchnorm(g.conv(y, f"{path}.conv2", width, 3, stride, 1), f"{path}.bn2"))
            y = g.batchnorm(g.conv(y, f"{path}.conv3", 4 * width, 1), f"{path}.bn3")
            if index == 0:
                x = g.batchnorm(g.conv(x, f"{path}.downsample.0", 4 * width, 1, stride), f"{path}.downsample.1")
            x = g.relu(y + x)
    return resnet_head(g, x)


def vgg16(g, x):
    step = 0
    for channels in (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool",
                     512, 512, 512, "pool", 512, 512, 512, "pool"):
        if channels == "pool":
            x = g.maxpool(x, 2)
            step += 1
        else:
            x = g.relu(g.conv(x, f"features.{step}", channels, 3, 1, 1, bias=True))
            step += 2
    x = g.relu(g.linear(g.flatten(x), "classifier.0", 4096))
    x = g.relu(g.linear(x, "classifier.3", 4096))
    return g.linear(x, "classifier.6", 1000)


def mobilenet_v2(g, x):
    def unit(x, path, channels, kernel=1, stride=1, groups=1):
        y = g.conv(x, f"{path}.0", channels, kernel, stride, (kernel - 1) // 2, groups=groups)
        return g.relu6(g.batchnorm(y, f"{path}.1"))

    x = unit(x, "features.0", 32, 3, 2)
    step = 1
    for expand, channels, repeats, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
                                              (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for repeat in range(repeats):
            path = f"features.{step}.conv"
            wide, last = expand * x.channels, 1
            y = x
            if expand > 1:
                y, last = unit(y, f"{path}.0", wide), 2
            y = unit(y, f"{path}.{last - 1}", wide, 3, stride if repeat == 0 else 1, groups=wide)
            y = g.batchnorm(g.conv(y, f"{path}.{last}", channels, 1), f"{path}.{last + 1}")
            x = x + y if repeat > 0 else y
            step += 1
    x = unit(x, "features.18", 1280)
    return g.linear(g.flatten(g.global_avgpool(x)), "classifier.1", 1000)


def efficientnet_b0(g, x):
    def unit(x, path, channels, kernel=1, stride=1, groups=1):
        y = g.conv(x, f"{path}.0", channels, kernel, stride, (kernel - 1) // 2, groups=groups)
        return g.batchnorm(y, f"{path}.1")

    x = g.silu(unit(x, "features.0", 32, 3, 2))
    for stage, (expand, channels, kernel, repeats, stride) in enumerate((
            (1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 3, 2),
            (6, 112, 5, 3, 1), (6, 192, 5, 4, 2), (6, 320, 3, 1, 1)), start=1):
        for repeat in range(repeats):
            path = f"features.{stage}.{repeat}.block"
            wide, step = expand * x.channels, 0
            y = x
            if expand > 1:
                y, step = g.silu(unit(y, f"{path}.0", wide)), 1
            y = g.silu(unit(y, f"{path}.{step}", wide, kernel, stride if repeat == 0 else 1, groups=wide))
            gate = g.silu(g.conv(g.global_avgpool(y), f"{path}.{step + 1}.fc1", x.channels // 4, 1, bias=True))
            y = y * g.sigmoid(g.conv(gate, f"{path}.{step + 1}.fc2", wide, 1, bias=True))
            y = unit(y, f"{path}.{step + 2}", channels)
            x = x + y if repeat > 0 else y
    x = g.silu(unit(x, "features.8", 1280))
    return g.linear(g.flatten(g.global_avgpool(x)), "classifier.1", 1000)


def densenet121(g, x):
    def norm_relu(x, path):
        return g.relu(g.batchnorm(x, path))

    x = norm_relu(g.conv(x, "features.conv0", 64, 7, 2, 3), "features.norm0")
    x = g.maxpool(x, 3, 2, 1)
    for block, layers in zip(range(1, 5), (6, 12, 24, 16)):
        features = [x]
        for layer in range(1, layers + 1):
            path = f"features.denseblock{block}.denselayer{layer}"
            y = g.concat(*features) if layer > 1 else x
            y = g.conv(norm_relu(y, f"{path}.norm1"), f"{path}.conv1", 128, 1)
            features.append(g.conv(norm_relu(y, f"{path}.norm2"), f"{path}.conv2", 32, 3, 1, 1))
        x = g.concat(*features)
        if block < 4:
            path = f"features.transition{block}"
            x = g.avgpool(g.conv(norm_relu(x, f"{path}.norm"), f"{path}.conv", x.channels // 2, 1), 2)
    x = norm_relu(x, "features.norm5")
    return g.linear(g.flatten(g.global_avgpool(x)), "classifier", 1000)


def squeezenet(g, x):
    def conv(x, path, channels, kernel=1, stride=1, pad=0):
        return g.relu(g.conv(x, path, channels, kernel, stride, pad, bias=True))

    x = g.maxpool(conv(x, "features.0", 64, 3, 2), 3, 2, ceil=True)
    for step, squeeze, expand in ((3, 16, 64), (4, 16, 64), (6, 32, 128), (7, 32, 128),
                                  (9, 48, 192), (10, 48, 192), (11, 64, 256), (12, 64, 256)):
        if step in (6, 9):
            x = g.maxpool(x, 3, 2, ceil=True)
        path = f"features.{step}"
        x = conv(x, f"{path}.squeeze", squeeze)
        x = g.concat(conv(x, f"{path}.expand1x1", expand), conv(x, f"{path}.expand3x3", expand, 3, 1, 1))
    x = conv(x, "classifier.1", 1000)
    return g.flatten(g.global_avgpool(x))


def inception_v3(g, x):
    def unit(x, path, channels, kernel=1, stride=1, pad=0):
        y = g.conv(x, f"{path}.conv", channels, kernel, stride, pad)
        return g.relu(g.batchnorm(y, f"{path}.bn", eps=0.001))

    def pooled(x, path, channels):
        return unit(g.avgpool(x, 3, 1, 1), f"{path}.branch_pool", channels)

    x = unit(x, "Conv2d_1a_3x3", 32, 3, 2)
    x = unit(x, "Conv2d_2a_3x3", 32, 3)
    x = g.maxpool(unit(x, "Conv2d_2b_3x3", 64, 3, 1, 1), 3, 2)
    x = unit(x, "Conv2d_3b_1x1", 80)
    x = g.maxpool(unit(x, "Conv2d_4a_3x3", 192, 3), 3, 2)

    for path, pool in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
        a = unit(x, f"{path}.branch1x1", 64)
        b = unit(x, f"{path}.branch5x5_1", 48)
        b = unit(b, f"{path}.branch5x5_2", 64, 5, 1, 2)
        c = unit(x, f"{path}.branch3x3dbl_1", 64)
        c = unit(c, f"{path}.branch3x3dbl_2", 96, 3, 1, 1)
        c = unit(c, f"{path}.branch3x3dbl_3", 96, 3, 1, 1)
        x = g.concat(a, b, c, pooled(x, path, pool))

    a = unit(x, "Mixed_6a.branch3x3", 384, 3, 2)
    b = unit(x, "Mixed_6a.branch3x3dbl_1", 64)
    b = unit(b, "Mixed_6a.branch3x3dbl_2", 96, 3, 1, 1)
    b = unit(b, "Mixed_6a.branch3x3dbl_3", 96, 3, 2)
    x = g.concat(a, b, g.maxpool(x, 3, 2))

    row, column = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))
    for path, wide in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
        a = unit(x, f"{path}.branch1x1", 192)
        b = unit(x, f"{path}.branch7x7_1", wide)
        b = unit(b, f"{path}.branch7x7_2", wide, *row)
        b = unit(b, f"{path}.branch7x7_3", 192, *column)
        c = unit(x, f"{path}.branch7x7dbl_1", wide)
        c = unit(c, f"{path}.branch7x7dbl_2", wide, *column)
        c = unit(c, f"{path}.branch7x7dbl_3", wide, *row)
        c = unit(c, f"{path}.branch7x7dbl_4", wide, *column)
        c = unit(c, f"{path}.branch7x7dbl_5", 192, *row)
        x = g.concat(a, b, c, pooled(x, path, 192))

    a = unit(x, "Mixed_7a.branch3x3_1", 192)
    a = unit(a, "Mixed_7a.branch3x3_2", 320, 3, 2)
    b = unit(x, "Mixed_7a.branch7x7x3_1", 192)
    b = unit(b, "Mixed_7a.branch7x7x3_2", 192, *row)
    b = unit(b, "Mixed_7a.branch7x7x3_3", 192, *column)
    b = unit(b, "Mixed_7a.branch7x7x3_4", 192, 3, 2)
    x = g.concat(a, b, g.maxpool(x, 3, 2))

    for path in ("Mixed_7b", "Mixed_7c"):
        a = unit(x, f"{path}.branch1x1", 320)
        b = unit(x, f"{path}.branch3x3_1", 384)
        b = g.concat(unit(b, f"{path}.branch3x3_2a", 384, (1, 3), 1, (0, 1)),
                     unit(b, f"{path}.branch3x3_2b", 384, (3, 1), 1, (1, 0)))
        c = unit(x, f"{path}.branch3x3dbl_1", 448)
        c = unit(c, f"{path}.branch3x3dbl_2", 384, 3, 1, 1)
        c = g.concat(unit(c, f"{path}.branch3x3dbl_3a", 384, (1, 3), 1, (0, 1)),
                     unit(c, f"{path}.branch3x3dbl_3b", 384, (3, 1), 1, (1, 0)))
        x = g.concat(a, b, c, pooled(x, path, 192))
    return g.linear(g.flatten(g.global_avgpool(x)), "fc", 1000)


def unet(g, x):
    def double_conv(x, path, channels):
        x = g.relu(g.batchnorm(g.conv(x, f"{path}.conv_1", channels, 3, 1, 1), f"{path}.batchnorm_1"))
        return g.relu(g.batchnorm(g.conv(x, f"{path}.conv_2", channels, 3, 1, 1), f"{path}.batchnorm_2"))

    skips = []
    for level in range(1, 5):
        x = double_conv(x, f"double_conv_{level}", 16 << level)
        skips.append(x)
        x = g.maxpool(x, 2)
    x = double_conv(x, "double_conv_5", 512)
    for step in range(1, 5):
        channels = 512 >> step
        x = g.conv_transpose(x, f"conv_transpose_{step}", channels, 2, 2)
        x = double_conv(g.concat(skips.pop(), x), f"double_conv_{step + 5}", channels)
    return g.conv(x, "conv_1", 2, 1, bias=True)


def siamese(g, left, right):
    shared = {}

    def conv(x, path, channels):
        if path not in shared:
            shared[path] = [g.weight(f"{path}.weight", g.random.normal(0, 0.2, (channels, x.channels, 5, 5))),
                            g.weight(f"{path}.bias", g.random.normal(0, 0.1, channels))]
        return g.maxpool(g.relu(g.node("Conv", [x, *shared[path]], kernel_shape=[5, 5])), 2)

    def tower(x):
        x = g.flatten(conv(conv(x, "encoder.conv_1", 16), "encoder.conv_2", 32))
        if "linear" not in shared:
            shared["linear"] = [g.weight("encoder.linear_1.weight", g.random.normal(0, 0.05, (32, x.array.shape[1]))),
                                g.weight("encoder.linear_1.bias", g.random.normal(0, 0.1, 32))]
        return g.node("Gemm", [x, *shared["linear"]], transB=1)

    apart = g.node("Sub", [tower(left), tower(right)]) + g.constant(np.float32(1e-6))
    return g.node("ReduceL2", [apart, g.constant(np.array([1], np.int64))])


# Name: how it is built, the usual input, published count of trained parameters.
NETWORKS = {
    "lenet": (lenet, (1, 28, 28), None),
    "lenet5": (lenet5, (1, 28, 28), 61706),
    "mlp": (mlp, (1, 28, 28), 235146),
    "vgg16": (vgg16, (3, 224, 224), 138357544),
    "resnet18": (resnet18, (3, 224, 224), 11689512),
    "resnet50": (resnet50, (3, 224, 224), 25557032),
    "mobilenet_v2": (mobilenet_v2, (3, 224, 224), 3504872),
    "densenet121": (densenet121, (3, 224, 224), 7978856),
    "squeezenet": (squeezenet, (3, 224, 224), 1235496),
    # 27,161,264 less the 3,326,696 of the auxiliary head, which serves training alone.
    "inception_v3": (inception_v3, (3, 299, 299), 23834568),
    "efficientnet_b0": (efficientnet_b0, (3, 224, 224), 5288548),
    "unet": (unet, (3, 256, 256), None),
    "siamese": (siamese, ((1, 28, 28), (1, 28, 28)), None),
} | ARCHITECTURES | DETECTORS


SAMPLES = 6


def picture(random, shape):
    """Noise over blobs, each picture of its own contrast and tint."""
    batch, channels, height, width = shape
    coarse = random.normal(0, 1, (batch, channels, 7, 7))
    rows, columns = np.arange(height) * 7 // height, np.arange(width) * 7 // width
    blobs = coarse[:, :, rows][:, :, :, columns]
    contrast = random.uniform(0.5, 1.5, (batch, 1, 1, 1))
    tint = random.normal(0, 0.5, (batch, channels, 1, 1))
    return (contrast * (blobs + 0.5 * random.normal(0, 1, shape)) + tint).astype(np.float32)


def build(name, seed=1, size=None):
    """The network's graph; `size` is (channels, height, width), of each of several inputs."""
    make, usual, _ = NETWORKS[name]
    sizes = shapes(size or usual)
    graph = Graph(name, seed)
    # Statistics of one picture alone would make every other an outlier, and noise grow with depth.
    inputs = [graph.input(port, picture(np.random.default_rng(seed + 1000 + at), (SAMPLES, *shape)))
              for at, (port, shape) in enumerate(zip(["image"] if len(sizes) == 1 else ["left", "right"], sizes))]
    made = make(graph, *inputs)
    # Of what detectors compute, the graph has the maps; `finish` makes the results of them.
    values, graph.finish = made if isinstance(made, tuple) else ([made], None)
    for index, value in enumerate(values):
        graph.output(value, f"output_{index}" if index else "output")
    return graph


def shapes(usual):
    return usual if isinstance(usual[0], tuple) else (usual,)


def sample(graph, draw, batch, model=None, size=None):
    """Pictures for a network, and what comes out of them, both by their names."""
    given = {value.name: picture(draw, (batch, *(size or value.array.shape[1:]))) for value in graph.inputs}
    results = session(model or graph.model()).run(None, given)
    return given, graph.finish(*results) if graph.finish else {"output": results[0]}


def write(path, tensors):
    """One as .npy, several as .safetensors."""
    if len(tensors) == 1:
        np.save(f"{path}.npy", *tensors.values())
    else:
        write_safetensors(f"{path}.safetensors", tensors)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="+", choices=[*NETWORKS, "all"])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shape", help="N,C,H,W; else one picture of the usual size")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    wrong = False
    for name in list(NETWORKS) if "all" in args.name else args.name:
        _, usual, published = NETWORKS[name]
        batch, *size = map(int, args.shape.split(",")) if args.shape else (1,)
        size = tuple(size)
        graph = build(name, args.seed, size or None)
        model = graph.model()
        onnx.save(model, args.out / f"{name}.onnx")
        del model
        write_safetensors(args.out / f"{name}.safetensors", graph.weights)
        given, results = sample(graph, np.random.default_rng(args.seed + 2000), batch, str(args.out / f"{name}.onnx"),
                                size)
        write(args.out / f"{name}.input", given)
        write(args.out / f"{name}.expected", results)
        expected = next(iter(results.values()))
        count = f"{graph.parameters:,} parameters"
        if published and graph.parameters != published and not size:
            count, wrong = f"{count}, not the published {published:,}", True
        print(f"{name:16s} {count}; output {'x'.join(map(str, expected.shape))}, "
              f"mean {expected.mean():.3g}, deviation {expected.std():.3g}, largest {abs(expected).max():.3g}",
              flush=True)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
