#!/usr/bin/env python3
"""Writes gradients.npz, what torch says the gradients of gradient_cases.py are. Needs torch."""

import pathlib

import numpy
import torch
import torch.nn.functional as F

from gradient_cases import BATCH, CASES

tensors = {}
for number, (name, (_, shape, weights, function)) in enumerate(CASES.items()):
    torch.manual_seed(number)
    values = {"image": torch.randn(BATCH, *shape)}
    for weight, sizes in weights.items():
        values[weight] = torch.randn(*sizes) * (0.3 if len(sizes) > 1 else 0.5)
        if weight.endswith("running_var"):
            values[weight] = values[weight].abs() + 0.5
    given = [value.double().requires_grad_("running" not in key) for key, value in values.items()]
    loss = (function(F, *given) ** 2).sum()
    loss.backward()
    tensors[f"{name}/loss"] = loss.detach().float().reshape(1)
    for (key, value), leaf in zip(values.items(), given):
        tensors[f"{name}/{key}"] = value
        if leaf.grad is not None:
            tensors[f"{name}/grad:{key}"] = leaf.grad.float().contiguous()
numpy.savez_compressed(pathlib.Path(__file__).with_name("gradients.npz"), **{key: value.numpy() for key, value in tensors.items()})
