"""A generator and a discriminator that are trained in turn, and what they begin with."""

import numpy

STEPS, BATCH = 8, 6

MODEL = f"""
model generator {{
  input noise: f32[N, 8, 1, 1]
  output noise -> conv_transpose(4, 4, bias=false) -> batchnorm -> relu -> conv_transpose(1, 4, stride=2, pad=1) -> tanh
}}
model discriminator {{
  input image: f32[N, 1, 8, 8]
  output image -> conv(4, 4, stride=2, pad=1) -> leaky_relu(0.2) -> conv(6, 4, stride=2, pad=1) -> batchnorm
               -> leaky_relu(0.2) -> conv(1, 2, pad=valid)
}}
train gan {{
  models    g = generator, d = discriminator
  data      npy("images.npy", "noise.npy")
  input     target: f32[N, 8, 1, 1]
  batch     {BATCH}
  epochs    {STEPS}
  step d    minimize bce_with_logits(d(image), 1) + bce_with_logits(d(stop(g(target))), 0)
  step g    minimize bce_with_logits(d(g(target)), 1)
  optimizer adam(beta1=0.5)
  rate      0.002
  rate of g = 2 * base
  freeze    d.conv_1 until epoch 3
  penalty of d = l1(0.01), elastic(0.02, part=0.25)
}}
"""

SHAPES = {"g.conv_transpose_1.weight": (8, 4, 4, 4), "g.batchnorm_1": (4,), "g.conv_transpose_2.weight": (4, 1, 4, 4),
          "g.conv_transpose_2.bias": (1,), "d.conv_1.weight": (4, 1, 4, 4), "d.conv_1.bias": (4,),
          "d.conv_2.weight": (6, 4, 4, 4), "d.conv_2.bias": (6,), "d.batchnorm_1": (6,),
          "d.conv_3.weight": (1, 6, 2, 2), "d.conv_3.bias": (1,)}


def data():
    """Pictures, noise and weights."""
    draw = numpy.random.RandomState(1)
    images, noise = draw.standard_normal((BATCH, 1, 8, 8)), draw.standard_normal((BATCH, 8, 1, 1))
    weights = {}
    for name, shape in SHAPES.items():
        if "batchnorm" in name:
            weights[f"{name}.weight"] = 1 + 0.1 * draw.standard_normal(shape)
            weights[f"{name}.bias"] = 0.1 * draw.standard_normal(shape)
            weights[f"{name}.running_mean"], weights[f"{name}.running_var"] = numpy.zeros(shape), numpy.ones(shape)
        else:
            weights[name] = draw.standard_normal(shape) / max(numpy.prod(shape[1:]), 10) ** 0.5
    images, noise, *values = (array.astype(numpy.float32) for array in (images, noise, *weights.values()))
    return images, noise, dict(zip(weights, values))
