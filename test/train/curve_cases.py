"""Networks, optimizers and forms of the loss whose values, step by step, are held against torch's.

Weights and pictures are drawn from generators whose numbers never change.
"""

import numpy

STEPS, BATCH = 50, 16
SINGLE = 10  # steps that f32 follows

# Layers as the language has them; shapes of the weights by name.
NETWORKS = {
    "lenet": ("""
  input image: f32[N, 1, 28, 28]
  logits = image -> conv(6, 5) -> relu -> maxpool(2) -> conv(16, 5, pad=valid) -> relu -> maxpool(2)
                 -> flatten -> linear(120) -> relu -> linear(84) -> relu -> linear(10)
  output logits
""", (1, 28, 28), {"conv_1": (6, 1, 5, 5), "conv_2": (16, 6, 5, 5), "linear_1": (120, 400), "linear_2": (84, 120),
                   "linear_3": (10, 84)}),
    "residual": ("""
  input image: f32[N, 3, 12, 12]
  x = image -> conv(16, 3) -> batchnorm -> relu
  y = x -> conv(16, 3) -> batchnorm -> relu -> conv(16, 3) -> batchnorm
  z = relu(x + y) -> conv(32, 3, stride=2) -> batchnorm -> relu
  logits = z -> global_avgpool -> flatten -> linear(10)
  output logits
""", (3, 12, 12), {"conv_1": (16, 3, 3, 3), "batchnorm_1": (16,), "conv_2": (16, 16, 3, 3), "batchnorm_2": (16,),
                   "conv_3": (16, 16, 3, 3), "batchnorm_3": (16,), "conv_4": (32, 16, 3, 3), "batchnorm_4": (32,),
                   "linear_1": (10, 32)}),
}

# The optimizer's line, its rate, and the weight decay.
OPTIMIZERS = {
    "sgd": ("sgd", 0.05, 0),
    "momentum": ("momentum(0.9)", 0.02, 1e-2),
    "nesterov": ("nesterov(0.9)", 0.02, 1e-2),
    "adagrad": ("adagrad", 0.01, 0),
    "rmsprop": ("rmsprop", 0.001, 0),
    "adam": ("adam", 0.001, 1e-2),
    "adamw": ("adamw", 0.001, 1e-2),
    "sam": ("momentum(0.9) -> sam(rho=0.05)", 0.02, 1e-2),
    "clip_norm": ("momentum(0.9)", 0.02, 1e-2),
    "clip_value": ("momentum(0.9)", 0.02, 1e-2),
    "accumulate": ("momentum(0.9)", 0.02, 1e-2),
    "weights": ("momentum(0.9)", 0.02, 1e-2),
    "smoothing": ("momentum(0.9)", 0.02, 1e-2),
    "ignore": ("momentum(0.9)", 0.02, 1e-2),
    "all": ("momentum(0.9)", 0.02, 1e-2),
}
RHO, NORM, VALUE, PARTS = 0.05, 0.5, 0.01, 2
MORE = {"clip_norm": f"clip norm({NORM})", "clip_value": f"clip value({VALUE})", "accumulate": f"accumulate {PARTS}"}
# What the loss is told: as torch names it.
CLASSES = {"weight": [0.5, 1, 2, 0.25, 1.5, 1, 0.75, 3, 1, 0.1]}
SMOOTH, IGNORED = {"label_smoothing": 0.1}, {"ignore_index": 3}
LOSSES = {"weights": CLASSES, "smoothing": SMOOTH, "ignore": IGNORED, "all": CLASSES | SMOOTH | IGNORED}
WORDS = {"weight": "weights", "label_smoothing": "smoothing", "ignore_index": "ignore"}
# Statistics of a batch are those of its parts.
CASES = [f"{network}/{name}" for network in NETWORKS for name in OPTIMIZERS
         if (network, name) not in (("lenet", "clip_norm"), ("lenet", "clip_value"), ("residual", "accumulate"))
         and (network, name in LOSSES) != ("lenet", True)]


def parts(optimizer):
    """Steps in which one batch is taken."""
    return PARTS if optimizer == "accumulate" else 1


def model(network, optimizer):
    line, rate, decay = OPTIMIZERS[optimizer]
    told = "".join(f", {WORDS[key]}={value}" for key, value in LOSSES.get(optimizer, {}).items())
    return f"""model net {{{NETWORKS[network][0]}}}

train net {{
  data      npy("images.npy", "labels.npy")
  batch     {BATCH // parts(optimizer)}
  epochs    {SINGLE}
  loss      cross_entropy(logits, label{told})
  optimizer {line}
  rate      {rate}
  decay     {decay}
  {MORE.get(optimizer, "")}
}}
"""


def data(network):
    """Pictures, labels and weights in double precision."""
    draw = numpy.random.RandomState(len(network))
    _, shape, layers = NETWORKS[network]
    images, labels = draw.standard_normal((BATCH, *shape)), draw.randint(0, 10, BATCH)
    weights = {}
    for name, size in layers.items():
        norm = name.startswith("batchnorm")
        fan = numpy.prod(size[1:]) if len(size) > 1 else 1
        weights[f"{name}.weight"] = 1 + 0.1 * draw.standard_normal(size) if norm else draw.standard_normal(size) / fan ** 0.5
        weights[f"{name}.bias"] = 0.1 * draw.standard_normal(size[:1])
        if norm:
            weights[f"{name}.running_mean"], weights[f"{name}.running_var"] = numpy.zeros(size), numpy.ones(size)
    # What f32 holds, so that both begin alike.
    images, *values = (array.astype(numpy.float32).astype(numpy.float64) for array in (images, *weights.values()))
    return images, labels, dict(zip(weights, values))
