"""Torch's training step: forward, cross-entropy, backward, SGD with momentum. A process of its own, which answers
orders of training.py, a line of JSON each: seconds to run, answered by the times of the steps and the peak of memory.

    torch_training.py NETWORK FORM THREADS

FORM is eager or compile, -channels_last and -bf16 behind it.
"""

import json
import os
import resource
import sys
import time

import torch
import torchvision
from torch import nn

TASKS = {"resnet18": (32, (3, 32, 32)), "resnet50": (8, (3, 224, 224)), "lenet5": (64, (1, 28, 28)), "mlp": (64, (784,))}


def model(name):
    if name == "resnet18":
        net = torchvision.models.resnet18(num_classes=10)
        net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
        return net
    if name == "resnet50":
        return torchvision.models.resnet50()
    if name == "lenet5":
        return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
                             nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
                             nn.Linear(84, 10))
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


def stepper(name, form):
    batch, shape = TASKS[name]
    torch.manual_seed(0)
    net = model(name).train()
    images, labels = torch.randn(batch, *shape), torch.randint(0, 10, (batch,))
    if "channels_last" in form and len(shape) == 3:
        net, images = net.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    forward = torch.compile(net) if "compile" in form else net

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled="bf16" in form):
            loss = nn.functional.cross_entropy(forward(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main(name, form, threads):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(threads)])
    torch.set_num_threads(int(threads))
    step = stepper(name, form)
    step()
    print(json.dumps({"version": torch.__version__}), flush=True)
    for line in sys.stdin:
        times, end = [], time.perf_counter() + json.loads(line)
        while len(times) < 2 or time.perf_counter() < end:
            start = time.perf_counter()
            step()
            times.append(1e3 * (time.perf_counter() - start))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"times": times, "peak_mb": peak}), flush=True)


main(*sys.argv[1:])
