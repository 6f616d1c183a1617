#!/usr/bin/env python3
"""Writes turns.npz: what torch says of the losses and weights of turn_cases.py, in double precision."""

import pathlib

import numpy
import torch
import torch.nn.functional as F

from turn_cases import STEPS, data

images, noise, weights = data()
images, noise = torch.from_numpy(images).double(), torch.from_numpy(noise).double()
w = {name: torch.from_numpy(value).double() for name, value in weights.items()}
for name, value in w.items():
    value.requires_grad_("running" not in name)


def norm(name, x, keeps):
    """Statistics are kept in the step of the model that they belong to."""
    kept = [w[f"{name}.running_mean"], w[f"{name}.running_var"]] if keeps else [None, None]
    return F.batch_norm(x, *kept, w[f"{name}.weight"], w[f"{name}.bias"], True, 0.1, 1e-5)


def generate(keeps):
    x = norm("g.batchnorm_1", F.conv_transpose2d(noise, w["g.conv_transpose_1.weight"]), keeps)
    return F.conv_transpose2d(F.relu(x), w["g.conv_transpose_2.weight"], w["g.conv_transpose_2.bias"], 2, 1).tanh()


def judge(x, keeps):
    x = F.leaky_relu(F.conv2d(x, w["d.conv_1.weight"], w["d.conv_1.bias"], 2, 1), 0.2)
    x = norm("d.batchnorm_1", F.conv2d(x, w["d.conv_2.weight"], w["d.conv_2.bias"], 2, 1), keeps)
    return F.conv2d(F.leaky_relu(x, 0.2), w["d.conv_3.weight"], w["d.conv_3.bias"])


def entropy(x, target):
    return F.binary_cross_entropy_with_logits(x, torch.full_like(x, target))


def part(name):
    return [value for key, value in w.items() if key.startswith(name) and value.requires_grad]


optimizers = {name: torch.optim.Adam([{"params": [value]} for value in part(name)], rate, (0.5, 0.999))
              for name, rate in (("d.", 0.002), ("g.", 0.004))}
losses = {"d": [], "g": []}
for step in range(STEPS):
    # An epoch is a step; the first layer is frozen until the third.
    for group in optimizers["d."].param_groups[:2]:
        group["lr"] = 0.002 if step >= 2 else 0
    for name in "dg":
        if name == "d":
            loss = entropy(judge(images, True), 1) + entropy(judge(generate(False).detach(), True), 0)
            for value in part("d."):
                loss = loss + 0.01 * value.abs().sum() + 0.02 * (0.25 * value.abs() + 0.375 * value ** 2).sum()
        else:
            loss = entropy(judge(generate(True), False), 1)
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        optimizers[f"{name}."].step()
        losses[name].append(loss.item())
numpy.savez_compressed(pathlib.Path(__file__).with_name("turns.npz"), **losses,
                       **{name: value.detach().float().numpy() for name, value in w.items()})
