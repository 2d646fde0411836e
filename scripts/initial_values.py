#!/usr/bin/env python3
"""Writes tests/data/initial_values.txt: the statistics of torchvision's networks as they start.

tests/suite/initial_values.rs holds this project's networks against it. A line is

    MODEL NAME SHAPE mean std kurtosis
    MODEL NAME SHAPE = VALUE

for all parameters and running statistics whose names are equal but for their numbers, written #, and whose
shapes are equal; the second form where all elements are equal. `kurtosis` is the fourth moment over the
squared variance: 1.8 if uniform, 3 if normal. `MODEL:ATTRIBUTE=VALUE` is a network with an option set.

Needs torch and torchvision, some 4 GB of memory and a few minutes:

    scripts/initial_values.py
"""

import re
from pathlib import Path

import torch
import torchvision

# The members of a family that has one set of rules; what else tells them apart is in their shapes.
MODELS = [
    "alexnet", "vgg11", "vgg11_bn", "googlenet:aux_logits=true", "resnet18", "resnet50", "resnext50_32x4d",
    "wide_resnet50_2", "resnet18:zero_init_residual=true", "resnet50:zero_init_residual=true", "densenet121",
    "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "shufflenet_v2_x1_0",
    "efficientnet_b0", "efficientnet_b5", "vit_b_16", "convnext_tiny",
]  # fmt: skip


def network(text):
    """torchvision's network of that name with the option behind the colon."""
    name, _, option = text.partition(":")
    key, _, value = option.partition("=")
    options = {key: value == "true"} if key else {}
    if name == "googlenet":
        options["init_weights"] = True
    return getattr(torchvision.models, name)(**options)


def statistics(tensors):
    """A line's numbers, of all elements of the tensors."""
    values = torch.cat([tensor.flatten() for tensor in tensors]).double()
    if bool((values == values[0]).all()):
        return f"= {values[0].item():.9g}"
    mean = values.mean()
    centred = values - mean
    variance = centred.square().mean()
    kurtosis = centred.pow(4).mean() / variance.square()
    return f"{mean.item():.3e} {variance.sqrt().item():.5e} {kurtosis.item():.3f}"


def main():
    torch.manual_seed(0)
    version = torchvision.__version__.split("+")[0]
    lines = [f"# Written by scripts/initial_values.py from torchvision {version}; do not edit."]
    for text in MODELS:
        groups = {}
        for name, tensor in network(text).state_dict().items():
            if not name.endswith("num_batches_tracked"):
                key = (re.sub(r"[0-9]+", "#", name), "x".join(map(str, tensor.shape)))
                groups.setdefault(key, []).append(tensor)
        lines += [f"{text} {name} {shape} {statistics(group)}" for (name, shape), group in groups.items()]
        print(text, len(groups), flush=True)
    file = Path(__file__).resolve().parent.parent / "tests/data/initial_values.txt"
    file.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
