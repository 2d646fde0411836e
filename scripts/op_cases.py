#!/usr/bin/env python3
"""Writes tests/data/ops: group and instance normalisation, some activations, padding and adaptive max pooling in float64,
as PyTorch computes them.

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
NORMS = {
    "group_norm_01": ((3, 6, 5, 4), {"num_groups": 3}, True, 0.0),
    "group_norm_02": ((2, 8, 7), {"num_groups": 1, "eps": 1e-3}, True, 0.0),
    "group_norm_03": ((4, 5, 3, 3), {"num_groups": 5}, False, 0.0),
    "group_norm_04": ((7, 12), {"num_groups": 4}, True, 0.0),
    "group_norm_05": ((2, 4, 9, 11), {"num_groups": 2}, True, 300.0),
    "instance_norm_01": ((3, 6, 5, 4), {}, True, 0.0),
    "instance_norm_02": ((2, 4, 9), {"eps": 1e-3}, False, 0.0),
    "instance_norm_03": ((2, 3, 9, 11), {}, True, 300.0),
}

functional = torch.nn.functional
ACTIVATIONS = {
    "selu_01": (functional.selu, {}),
    "celu_01": (functional.celu, {}),
    "celu_02": (functional.celu, {"alpha": 0.3}),
    "celu_03": (functional.celu, {"alpha": 2.5}),
    "gelu_tanh_01": (lambda x: functional.gelu(x, approximate="tanh"), {}),
    "mish_01": (functional.mish, {}),
    "softplus_01": (functional.softplus, {}),
    "softplus_02": (functional.softplus, {"beta": 2.0}),
    "softplus_03": (functional.softplus, {"beta": 0.5, "threshold": 1.5}),
    "hardtanh_01": (functional.hardtanh, {}),
    "hardtanh_02": (functional.hardtanh, {"min_val": -0.25, "max_val": 3.0}),
}

# Function of PyTorch, shape of x, its keywords, and the attributes of the case.
PADDED = {
    "pad_01": ((2, 3, 5, 7), {"pad": [3, 1, 0, 4], "mode": "constant", "value": -1.5}),
    "pad_02": ((2, 3, 5, 7), {"pad": [3, 1, 2, 4], "mode": "reflect"}),
    "pad_03": ((2, 3, 5, 7), {"pad": [9, 1, 2, 6], "mode": "replicate"}),
    "pad_04": ((2, 3, 5, 7), {"pad": [7, 1, 5, 4], "mode": "circular"}),
    "pad_05": ((2, 3, 6), {"pad": [5, 2], "mode": "reflect"}),
    "pad_06": ((2, 3, 6), {"pad": [6, 2], "mode": "circular"}),
}
POOLED = {
    "adaptive_max_pool2d_01": ((2, 3, 13, 11), {"output_size": [5, 4]}),
    "adaptive_max_pool2d_02": ((2, 3, 4, 6), {"output_size": [7, 1]}),
    "adaptive_max_pool2d_03": ((2, 3, 8, 6), {"output_size": 2}),
}
SLOPES = {"prelu_01": ((3, 5, 7), 1), "prelu_02": ((3, 5, 7), 5), "prelu_03": ((4, 6), 6)}


def norm_case(name):
    shape, attributes, affine, shift = NORMS[name]
    random = numpy.random.default_rng(list(name.encode()))
    draw = lambda shape: random.standard_normal(shape).astype(numpy.float32)
    given = {"in.x": draw(shape) + numpy.float32(shift)}
    if affine:
        given |= {"param.weight": draw(shape[1:2]), "param.bias": draw(shape[1:2])}

    def norm(x, weight=None, bias=None):
        if name.startswith("instance"):
            return functional.instance_norm(x, weight=weight, bias=bias, eps=attributes.get("eps", 1e-5))
        return functional.group_norm(x, attributes["num_groups"], weight, bias, attributes.get("eps", 1e-5))

    # A mean of 300 deviations leaves a deviation of f32 some two digits less.
    return case(name, norm, given, draw(shape), attributes, 1e-5 if shift == 0.0 else 1e-4)


def window_case(name):
    """Padding or pooling."""
    shape, attributes = (PADDED | POOLED)[name]
    function = functional.pad if name in PADDED else functional.adaptive_max_pool2d
    random = numpy.random.default_rng(list(name.encode()))
    x = random.standard_normal(shape).astype(numpy.float32)
    out = function(torch.tensor(x), **attributes)
    dout = random.standard_normal(out.shape).astype(numpy.float32)
    return case(name, lambda x: function(x, **attributes), {"in.x": x}, dout, attributes, 1e-5)


def slope_case(name):
    shape, slopes = SLOPES[name]
    random = numpy.random.default_rng(list(name.encode()))
    x = random.standard_normal(shape).astype(numpy.float32)
    x.flat[:4] = [0.0, -0.0, numpy.inf, -1e-30]
    given = {"in.x": x, "param.weight": random.standard_normal(slopes).astype(numpy.float32)}
    return case(name, functional.prelu, given, random.standard_normal(shape).astype(numpy.float32), {}, 1e-5)


def activation_case(name):
    function, attributes = ACTIVATIONS[name]
    random = numpy.random.default_rng(list(name.encode()))
    x = (random.standard_normal((3, 5, 7)) * 4.0).astype(numpy.float32)
    # 0, both ends of hardtanh, softplus's thresholds, and tails.
    x.flat[:12] = [0.0, -0.0, 1.0, -1.0, -0.25, 3.0, 20.0, -20.0, 10.0, 60.0, -60.0, 1e-6]
    if name.endswith("_01"):
        # NaN stands last, where PyTorch computes an element by itself, as on GPUs: the gradients of its vectors of four have
        # NaN on the other side of the comparison.
        x.flat[[40, 60, -1]] = [numpy.inf, -numpy.inf, numpy.nan]
    dout = random.standard_normal(x.shape).astype(numpy.float32)
    return case(name, lambda x: function(x, **attributes), {"in.x": x}, dout, attributes, 1e-5)


def case(name, function, given, dout, attributes, rtol):
    """The function's output and the gradients of all that it is given, under that of its output."""
    leaves = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in given.items()}
    out = function(*leaves.values())
    out.backward(torch.tensor(dout, dtype=torch.float64))
    expected = {"out": out.detach()}
    expected |= {f"grad.{name.split('.')[1]}": leaf.grad for name, leaf in leaves.items()}
    tensors = given | {"dout": dout} | {name: value.numpy().astype(numpy.float32) for name, value in expected.items()}
    about = {
        "format": 1,
        "name": f"op_{name}",
        "kind": "op",
        "rtol": rtol,
        "atol": 1e-6,
        "op": name.rsplit("_", 1)[0],
        "attrs": attributes,
        "mode": "train",
    }
    return tensors, about


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    cases = {name: norm_case for name in NORMS} | {name: activation_case for name in ACTIVATIONS}
    cases |= {name: window_case for name in PADDED | POOLED} | {name: slope_case for name in SLOPES}
    for name, build in cases.items():
        tensors, about = build(name)
        save_file(tensors, FOLDER / f"op_{name}.safetensors", metadata={"case": json.dumps(about)})


if __name__ == "__main__":
    main()
