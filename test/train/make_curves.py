#!/usr/bin/env python3
"""Writes curves.npz: what torch says of the losses of curve_cases.py, in double precision."""

import pathlib

import numpy
import torch
import torch.nn.functional as F

from curve_cases import CASES, LOSSES, NORM, OPTIMIZERS, PARTS, RHO, STEPS, VALUE, data


def forward(network, x, w):
    def conv(n, x, **how):
        return F.conv2d(x, w[f"conv_{n}.weight"], w[f"conv_{n}.bias"], **how)

    def norm(n, x):
        name = f"batchnorm_{n}"
        return F.batch_norm(x, None, None, w[f"{name}.weight"], w[f"{name}.bias"], True, 0.1, 1e-5)

    def linear(n, x):
        return F.linear(x, w[f"linear_{n}.weight"], w[f"linear_{n}.bias"])

    if network == "lenet":
        x = F.max_pool2d(F.relu(conv(1, x, padding=2)), 2)
        x = F.max_pool2d(F.relu(conv(2, x)), 2).flatten(1)
        return linear(3, F.relu(linear(2, F.relu(linear(1, x)))))
    x = F.relu(norm(1, conv(1, x, padding=1)))
    y = norm(3, conv(3, F.relu(norm(2, conv(2, x, padding=1))), padding=1))
    z = F.relu(norm(4, conv(4, F.relu(x + y), padding=1, stride=2)))
    return linear(1, z.mean((2, 3)))


def optimizer_of(name, parameters):
    _, rate, decay = OPTIMIZERS[name]
    groups = [{"params": [p for p in parameters if p.dim() > 1], "weight_decay": decay},
              {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0}]
    kinds = {"adagrad": torch.optim.Adagrad, "rmsprop": torch.optim.RMSprop, "adam": torch.optim.Adam,
             "adamw": torch.optim.AdamW}
    if name in kinds:
        return kinds[name](groups, rate)
    return torch.optim.SGD(groups, rate, momentum=0 if name == "sgd" else 0.9, nesterov=name == "nesterov")


def climb(parameters):
    """To where the gradient is taken; returns the way back."""
    norm = torch.stack([p.grad.norm() for p in parameters]).norm()
    ways = [p.grad * (RHO / (norm + 1e-12)) for p in parameters]
    for parameter, way in zip(parameters, ways):
        parameter.data += way
        parameter.grad = None
    return ways


def losses(network, name):
    images, labels, weights = data(network)
    images, labels = torch.from_numpy(images), torch.from_numpy(labels).long()
    weights = {key: torch.from_numpy(value.copy()).requires_grad_("running" not in key) for key, value in weights.items()}
    parameters = [value for value in weights.values() if value.requires_grad]
    optimizer = optimizer_of(name, parameters)
    found = []
    told = dict(LOSSES.get(name, {}))
    if "weight" in told:
        told["weight"] = torch.tensor(told["weight"], dtype=torch.float64)

    def add_gradients(images, labels, share=1):
        loss = share * F.cross_entropy(forward(network, images, weights), labels, **told)
        loss.backward()
        return loss.item()

    for _ in range(STEPS):
        optimizer.zero_grad()
        pieces = PARTS if name == "accumulate" else 1
        found.append(sum(add_gradients(*piece, 1 / pieces) for piece in zip(images.chunk(pieces), labels.chunk(pieces))))
        if name == "sam":
            ways = climb(parameters)
            add_gradients(images, labels)
            for parameter, way in zip(parameters, ways):
                parameter.data -= way
        if name == "clip_norm":
            torch.nn.utils.clip_grad_norm_(parameters, NORM)
        if name == "clip_value":
            torch.nn.utils.clip_grad_value_(parameters, VALUE)
        optimizer.step()
    return numpy.array(found)


numpy.savez(pathlib.Path(__file__).with_name("curves.npz"),
            **{case: losses(*case.split("/")) for case in CASES})
