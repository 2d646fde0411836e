#!/usr/bin/env python3
"""Writes tests/data/losses: losses with weights, ignored rows, probabilities and labels for each class, in float64, as
PyTorch computes them.

    pip install numpy safetensors torch
    python3 scripts/loss_cases.py

The form of a case is that of tests/data/conformance, which `tilewright verify` reads.
"""

import json
import pathlib

import numpy
import torch
from safetensors.numpy import save_file

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests/data/losses"
functional = torch.nn.functional
SMOOTHED = {"label_smoothing": 0.3}

# Loss, rows and classes, attributes, what the targets are, and the shapes of further inputs.
CASES = {
    "cross_entropy_w1": ("cross_entropy", (7, 5), {}, "classes", {"weight": (5,)}),
    "cross_entropy_w2": ("cross_entropy", (33, 10), SMOOTHED, "classes", {"weight": (10,)}),
    "cross_entropy_i1": ("cross_entropy", (9, 4), {"ignore_index": 2}, "classes", {}),
    "cross_entropy_i2": ("cross_entropy", (9, 4), {"ignore_index": -100}, "some ignored", {}),
    "cross_entropy_i3": ("cross_entropy", (12, 4), SMOOTHED | {"ignore_index": 1}, "classes", {"weight": (4,)}),
    "cross_entropy_p1": ("cross_entropy", (6, 7), {}, "probabilities", {}),
    "cross_entropy_p2": ("cross_entropy", (6, 7), SMOOTHED, "probabilities", {}),
    "cross_entropy_p3": ("cross_entropy", (16, 4), SMOOTHED, "probabilities", {"weight": (4,)}),
    "nll_w1": ("nll", (8, 6), {}, "classes", {"weight": (6,)}),
    "nll_i1": ("nll", (8, 6), {"ignore_index": 0}, "classes", {"weight": (6,)}),
    "nll_i2": ("nll", (8, 6), {"ignore_index": -1}, "some ignored", {}),
    "bce_01": ("bce", (5, 4), {}, "labels", {}),
    "bce_02": ("bce", (5, 4), {}, "labels", {"weight": (5, 1)}),
    "bce_with_logits_01": ("bce_with_logits", (5, 4), {}, "labels", {}),
    "bce_with_logits_02": ("bce_with_logits", (9, 3), {}, "labels", {"pos_weight": (3,)}),
    "bce_with_logits_03": ("bce_with_logits", (9, 3), {}, "labels", {"weight": (3,), "pos_weight": (1,)}),
    "bce_with_logits_04": ("bce_with_logits", (4, 6), {}, "labels", {"weight": (4, 6)}),
}

FUNCTIONS = {
    "cross_entropy": functional.cross_entropy,
    "nll": functional.nll_loss,
    "bce": functional.binary_cross_entropy,
    "bce_with_logits": functional.binary_cross_entropy_with_logits,
}


def case(name):
    loss, (rows, classes), attributes, kind, further = CASES[name]
    random = numpy.random.default_rng(list(name.encode()))
    logits = (random.standard_normal((rows, classes)) * 4.0).astype(numpy.float32)
    if loss == "bce":
        logits = random.uniform(0.0, 1.0, logits.shape).astype(numpy.float32)
        logits.flat[:2] = [0.0, 1.0]
    if loss == "bce_with_logits":
        logits.flat[:2] = [90.0, -90.0]
    if kind == "labels":
        target = random.integers(0, 2, logits.shape).astype(numpy.float32)
        target.flat[:4] = [0.0, 1.0, 0.25, 0.9]
    elif kind == "probabilities":
        target = random.dirichlet(numpy.ones(classes), rows).astype(numpy.float32)
    else:
        target = random.integers(0, classes, rows).astype(numpy.int32)
        if kind == "some ignored":
            target[::3] = attributes["ignore_index"]
    inputs = {key: random.uniform(0.1, 3.0, shape).astype(numpy.float32) for key, shape in further.items()}
    z = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    t = torch.tensor(target, dtype=torch.int64 if target.ndim == 1 else torch.float64)
    more = {key: torch.tensor(value, dtype=torch.float64) for key, value in inputs.items()}
    value = FUNCTIONS[loss](z, t, **attributes, **more)
    value.backward()
    tensors = {"in.logits": logits, "in.target": target} | {f"in.{key}": value for key, value in inputs.items()}
    tensors["loss"] = value.detach().numpy().astype(numpy.float32).reshape(1)
    tensors["grad.logits"] = z.grad.numpy().astype(numpy.float32)
    about = {
        "format": 1,
        "name": f"loss_{name}",
        "kind": "loss",
        "rtol": 2e-5,
        "atol": 1e-8,
        "loss": loss,
        "attrs": attributes,
    }
    return tensors, about


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in CASES:
        tensors, about = case(name)
        save_file(tensors, FOLDER / f"loss_{name}.safetensors", metadata={"case": json.dumps(about)})


if __name__ == "__main__":
    main()
