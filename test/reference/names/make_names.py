#!/usr/bin/env python3
"""Writes torchvision.json and timm.json: names and shapes of the state dicts of the
architectures in examples/, as torchvision and timm make them.

    make_names.py [torchvision|timm ...]

Needs torch, and the package that is asked; neither weights nor pictures are made.
"""

import json
import pathlib
import sys

import torch

FOLDER = pathlib.Path(__file__).parent

# Example -> the model's name there.
TORCHVISION = {"vgg16": "vgg16", "resnet18": "resnet18", "resnet50": "resnet50", "mobilenet_v2": "mobilenet_v2",
               "mobilenet_v3": "mobilenet_v3_large", "densenet121": "densenet121", "squeezenet": "squeezenet1_1",
               "inception_v3": "inception_v3", "googlenet": "googlenet", "efficientnet_b0": "efficientnet_b0",
               "shufflenet_v2": "shufflenet_v2_x1_0", "convnext_tiny": "convnext_tiny",
               "fcn_resnet50": "fcn_resnet50", "deeplab_v3": "deeplabv3_resnet50"}
TIMM = {"vgg16": "vgg16", "resnet18": "resnet18", "resnet50": "resnet50", "mobilenet_v1": "mobilenetv1_100",
        "mobilenet_v2": "mobilenetv2_100", "mobilenet_v3": "mobilenetv3_large_100", "densenet121": "densenet121",
        "inception_v3": "inception_v3", "efficientnet_b0": "efficientnet_b0", "convnext_tiny": "convnext_tiny"}


def torchvision_model(name):
    import torchvision
    extra = {"init_weights": False} if name in ("inception_v3", "googlenet") else {}
    if name in ("fcn_resnet50", "deeplabv3_resnet50"):
        extra = {"weights_backbone": None}
    return torchvision.models.get_model(name, weights=None, **extra)


def timm_model(name):
    import timm
    return timm.create_model(name, pretrained=False)


def main():
    sources = {"torchvision": (TORCHVISION, torchvision_model), "timm": (TIMM, timm_model)}
    for source in sys.argv[1:] or sources:
        models, make = sources[source]
        result = {}
        for example, name in models.items():
            with torch.device("meta"):
                state = make(name).state_dict()
            result[example] = {key: list(value.shape) for key, value in state.items()
                               if not key.endswith("num_batches_tracked")}
            print(source, example, len(result[example]))
        text = ",\n".join(f" {json.dumps(example)}: {json.dumps(names)}" for example, names in sorted(result.items()))
        (FOLDER / f"{source}.json").write_text("{\n" + text + "\n}\n")


main()
