#!/usr/bin/env python3
"""Writes tests/data/ops: group normalisation in float64, as PyTorch computes it.

    pip install numpy safetensors torch
    python3 scripts/op_cases.py

The form of a case is that of tests/data/conformance, which `tilewright verify` reads.
"""

import json
import pathlib

import numpy
import torch
from safetensors.numpy import save_file

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests/data/ops"

# Shape of x, attributes, whether there are weight and bias, and what is added to x.
CASES = {
    "group_norm_01": ((3, 6, 5, 4), {"num_groups": 3}, True, 0.0),
    "group_norm_02": ((2, 8, 7), {"num_groups": 1, "eps": 1e-3}, True, 0.0),
    "group_norm_03": ((4, 5, 3, 3), {"num_groups": 5}, False, 0.0),
    "group_norm_04": ((7, 12), {"num_groups": 4}, True, 0.0),
    "group_norm_05": ((2, 4, 9, 11), {"num_groups": 2}, True, 300.0),
}


def case(name):
    shape, attributes, affine, shift = CASES[name]
    random = numpy.random.default_rng(list(name.encode()))
    draw = lambda shape: random.standard_normal(shape).astype(numpy.float32)
    given = {"in.x": draw(shape) + numpy.float32(shift)}
    if affine:
        given |= {"param.weight": draw(shape[1:2]), "param.bias": draw(shape[1:2])}
    leaves = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in given.items()}
    out = torch.nn.functional.group_norm(
        leaves["in.x"],
        attributes["num_groups"],
        leaves.get("param.weight"),
        leaves.get("param.bias"),
        attributes.get("eps", 1e-5),
    )
    given["dout"] = draw(shape)
    out.backward(torch.tensor(given["dout"], dtype=torch.float64))
    expected = {"out": out.detach()}
    expected |= {f"grad.{name.split('.')[1]}": leaf.grad for name, leaf in leaves.items()}
    tensors = given | {name: value.numpy().astype(numpy.float32) for name, value in expected.items()}
    about = {
        "format": 1,
        "name": f"op_{name}",
        "kind": "op",
        # A mean of 300 deviations leaves a deviation of f32 some two digits less.
        "rtol": 1e-5 if shift == 0.0 else 1e-4,
        "atol": 1e-6,
        "op": name.rsplit("_", 1)[0],
        "attrs": attributes,
        "mode": "train",
    }
    return tensors, about


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in CASES:
        tensors, about = case(name)
        save_file(tensors, FOLDER / f"op_{name}.safetensors", metadata={"case": json.dumps(about)})


if __name__ == "__main__":
    main()
