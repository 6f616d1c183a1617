"""Layers whose gradients are held against a reference framework's: each as a model of the language and as torch says it.

A case is a name, the model's lines behind `x = image`, the image's shape, and a function of torch that computes the same
from the image and the weights, which it takes in the order of `weights`.
"""

CASES = {
    "conv": ("output x -> conv(5, 3)", (3, 7, 6), {"conv_1.weight": (5, 3, 3, 3), "conv_1.bias": (5,)},
             lambda F, x, w, b: F.conv2d(x, w, b, padding=1)),
    "conv_stride": ("output x -> conv(4, 3, stride=2)", (3, 9, 8), {"conv_1.weight": (4, 3, 3, 3), "conv_1.bias": (4,)},
                    lambda F, x, w, b: F.conv2d(x, w, b, padding=1, stride=2)),
    "conv_dilated": ("output x -> conv(17, 3, dilation=2, bias=false)", (2, 8, 9), {"conv_1.weight": (17, 2, 3, 3)},
                     lambda F, x, w: F.conv2d(x, w, padding=2, dilation=2)),
    "conv_uneven": ("output x -> conv(4, (5, 2), stride=(1, 2), pad=(2, 0, 1, 1))", (3, 8, 7),
                    {"conv_1.weight": (4, 3, 5, 2), "conv_1.bias": (4,)},
                    lambda F, x, w, b: F.conv2d(F.pad(x, (0, 1, 2, 1)), w, b, stride=(1, 2))),
    "conv_grouped": ("output x -> conv(8, 3, groups=2)", (4, 6, 6), {"conv_1.weight": (8, 2, 3, 3), "conv_1.bias": (8,)},
                     lambda F, x, w, b: F.conv2d(x, w, b, padding=1, groups=2)),
    "depthwise": ("output x -> conv(18, 3, stride=2, groups=18)", (18, 7, 7),
                  {"conv_1.weight": (18, 1, 3, 3), "conv_1.bias": (18,)},
                  lambda F, x, w, b: F.conv2d(x, w, b, padding=1, stride=2, groups=18)),
    "conv_reflect": ("output x -> conv(3, 5, pad_mode=reflect)", (2, 7, 8), {"conv_1.weight": (3, 2, 5, 5), "conv_1.bias": (3,)},
                     lambda F, x, w, b: F.conv2d(F.pad(x, (2, 2, 2, 2), "reflect"), w, b)),
    "pointwise": ("output x -> conv(33, 1)", (20, 5, 5), {"conv_1.weight": (33, 20, 1, 1), "conv_1.bias": (33,)},
                  lambda F, x, w, b: F.conv2d(x, w, b)),
    "conv_transpose": ("output x -> conv_transpose(4, 3, stride=2, pad=1, output_pad=1)", (3, 5, 6),
                       {"conv_transpose_1.weight": (3, 4, 3, 3), "conv_transpose_1.bias": (4,)},
                       lambda F, x, w, b: F.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1)),
    "linear": ("output x -> flatten -> linear(7)", (3, 4, 5), {"linear_1.weight": (7, 60), "linear_1.bias": (7,)},
               lambda F, x, w, b: F.linear(x.flatten(1), w, b)),
    "batchnorm": ("output x -> batchnorm -> sigmoid", (5, 4, 6),
                  {"batchnorm_1.weight": (5,), "batchnorm_1.bias": (5,), "batchnorm_1.running_mean": (5,),
                   "batchnorm_1.running_var": (5,)},
                  lambda F, x, w, b, m, v: F.batch_norm(x, m.clone(), v.abs(), w, b, training=True).sigmoid()),
    "maxpool": ("output x -> maxpool(3, stride=2, pad=1)", (4, 9, 8), {}, lambda F, x: F.max_pool2d(x, 3, 2, 1)),
    "avgpool": ("output x -> avgpool(3, stride=2, pad=1, count_pad=false)", (4, 9, 8), {},
                lambda F, x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
    "global_avgpool": ("output x -> global_avgpool", (4, 5, 6), {}, lambda F, x: F.adaptive_avg_pool2d(x, 1)),
    "bilinear": ("output x -> upsample(2, mode=bilinear)", (3, 4, 5), {},
                 lambda F, x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)),
    "softmax": ("output x -> flatten -> softmax", (2, 2, 3), {}, lambda F, x: F.softmax(x.flatten(1), 1)),
    "gelu": ("output x -> gelu", (3, 4, 5), {}, lambda F, x: F.gelu(x)),
    "silu": ("output x -> silu", (3, 4, 5), {}, lambda F, x: F.silu(x)),
    "tanh": ("output x -> tanh", (3, 4, 5), {}, lambda F, x: x.tanh()),
    "shared": ("y = x -> conv(3, 3)\n  output relu(x * y + x)", (3, 6, 6), {"conv_1.weight": (3, 3, 3, 3), "conv_1.bias": (3,)},
               lambda F, x, w, b: F.relu(x * F.conv2d(x, w, b, padding=1) + x)),
    # Of one factor that is 0 and its derivative not, of two, of none.
    "product": ("nothing = x - stop(x)\n  output products(1 + 0.2 * x, nothing)", (3, 40, 12), {}, lambda F, x: 1 + sum(
        F.pad(((1 + 0.2 * x[:, :, :at]).prod(2) * (x - x.detach())[:, :, at:at + zeros].prod(2)
               * (1 + 0.2 * x[:, :, at + zeros:]).prod(2)).tanh()[:, :, None], (0, 0, row, 2 - row))
        for row, (at, zeros) in enumerate(((5, 1), (9, 2), (0, 0))))),
}
# What stands before the model.
OPS = {
    "product": """op products(x, y)[n, c, i in 0..2, j] = 1 + tanh(product(
  if (i == 0 and k == 5) or (i == 1 and (k == 9 or k == 10)) { y[n, c, k, j] } else { x[n, c, k, j] } for k))
""",
}
BATCH = 3


def model(name):
    """The case's model, whose loss is the sum of the squares of its output."""
    lines, shape, _, _ = CASES[name]
    sizes = ", ".join(str(size) for size in shape)
    return f"{OPS.get(name, '')}model case {{\n  input image: f32[N, {sizes}]\n  x = image\n  {lines}\n}}\n"
