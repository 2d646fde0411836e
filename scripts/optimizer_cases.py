#!/usr/bin/env python3
"""Writes tests/data/optimizers: a few steps of optimizers in float64, as the libraries that they are known from take them.

    pip install numpy safetensors torch timm
    python3 scripts/optimizer_cases.py            # all, or those whose names begin with a word that is given

RAdam, Adadelta, Adamax and what is maximized are PyTorch's. LAMB is timm.optim.Lamb without its own clipping. Muon is torch.optim.Muon (PyTorch 2.9 or later) with its products in
float64 in place of bfloat16, for the filters and matrices between the first layer and the last; the other parameters are
torch.optim.AdamW's. The form of a case is that of tests/data/conformance, which `tilewright verify` reads.
"""

import json
import pathlib
import sys

import numpy
import torch
from safetensors.numpy import save_file

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests/data/optimizers"
STEPS = 4
# RAdam does without a variance for five.
STEPS_OF_RADAM = 8
# A first layer, a bias, a matrix that is wide and one that is tall, weights that start at 0, and a last layer.
SHAPES = [(4, 3, 2, 2), (6,), (5, 4, 3, 3), (24, 5), (13,), (5, 11)]
ZEROS = 4


def torch_optimizer(kind):
    return lambda parameters, lr, attributes: [kind(parameters, lr=lr, **attributes)]


def lamb(parameters, lr, attributes):
    import timm.optim  # Only this one needs timm.

    names = {name: attributes[name] for name in attributes if name != "clip_grad_norm"}
    return [timm.optim.Lamb(parameters, lr=lr, max_grad_norm=None, **names)]


def muon(parameters, lr, attributes):
    attributes = dict(attributes)
    adamw = {"lr": lr * attributes.pop("adamw_rate", 1.0), "weight_decay": attributes.get("weight_decay", 0.1)}
    if "adamw_betas" in attributes:
        adamw["betas"] = attributes.pop("adamw_betas")
    # Its matrices share their memory with the filters.
    hidden = [parameter for parameter in parameters[1:-1] if parameter.dim() in (2, 4)]
    matrices = [torch.nn.Parameter(parameter.data.flatten(1)) for parameter in hidden]
    rest = [parameter for parameter in parameters if all(parameter is not other for other in hidden)]

    class Hidden(torch.optim.Muon):
        def step(self):
            for matrix, parameter in zip(matrices, hidden):
                matrix.grad = parameter.grad.flatten(1)
            return super().step()

    return [Hidden(matrices, lr=lr, **attributes), torch.optim.AdamW(rest, **adamw)]


radam = torch_optimizer(torch.optim.RAdam)
adadelta = torch_optimizer(torch.optim.Adadelta)
adamax = torch_optimizer(torch.optim.Adamax)
sgd = torch_optimizer(torch.optim.SGD)
adamw = torch_optimizer(torch.optim.AdamW)

CASES = {
    "radam_01": (radam, 0.02, {}),
    "radam_02": (radam, 0.05, {"betas": [0.8, 0.95], "weight_decay": 0.1, "eps": 1e-3}),
    "adadelta_01": (adadelta, 1.0, {}),
    "adadelta_02": (adadelta, 0.5, {"rho": 0.6, "eps": 1e-3, "weight_decay": 0.1}),
    "adamax_01": (adamax, 0.02, {}),
    "adamax_02": (adamax, 0.05, {"betas": [0.8, 0.6], "eps": 1e-2, "weight_decay": 0.1}),
    "sgd_51": (sgd, 0.05, {"momentum": 0.9, "weight_decay": 0.1, "maximize": True}),
    "adamw_51": (adamw, 0.02, {"weight_decay": 0.1, "maximize": True}),
    "lamb_01": (lamb, 0.02, {}),
    "lamb_02": (lamb, 0.05, {"betas": [0.8, 0.95], "weight_decay": 0.0, "always_adapt": True, "trust_clip": True}),
    "lamb_03": (lamb, 0.01, {"weight_decay": 0.3, "eps": 1e-3, "clip_grad_norm": 2.0}),
    "lamb_04": (lamb, 0.01, {"weight_decay": 0.0}),
    "muon_01": (muon, 0.02, {}),
    "muon_02": (
        muon,
        0.005,
        {"momentum": 0.8, "nesterov": False, "adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.5, "adamw_rate": 0.5},
    ),
    "muon_03": (muon, 0.05, {"ns_steps": 3, "weight_decay": 0.0, "adamw_betas": [0.8, 0.95]}),
}


def case(name):
    build, lr, attributes = CASES[name]
    random = numpy.random.default_rng(list(name.encode()))
    tensors = {}
    parameters = []
    for index, shape in enumerate(SHAPES):
        start = random.standard_normal(shape).astype(numpy.float32) * (index != ZEROS)
        tensors[f"param.p{index}.init"] = start
        parameters.append(torch.nn.Parameter(torch.tensor(start, dtype=torch.float64)))
    optimizers = build(parameters, lr, attributes)
    steps = STEPS_OF_RADAM if build is radam else STEPS
    for step in range(steps):
        for index, parameter in enumerate(parameters):
            gradient = random.standard_normal(SHAPES[index]).astype(numpy.float32)
            tensors[f"grad.p{index}.{step}"] = gradient
            parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        if "clip_grad_norm" in attributes:
            torch.nn.utils.clip_grad_norm_(parameters, attributes["clip_grad_norm"])
        for optimizer in optimizers:
            optimizer.step()
        for index, parameter in enumerate(parameters):
            tensors[f"param.p{index}.{step}"] = parameter.detach().numpy().astype(numpy.float32)
    about = {
        "format": 1,
        "name": f"optimizer_{name}",
        "kind": "optimizer",
        "rtol": 1e-5,
        "atol": 1e-6,
        "optimizer": name.split("_")[0],
        "attrs": {"lr": lr, **attributes},
        "steps": steps,
    }
    return tensors, about


def main():
    torch.bfloat16 = torch.float64
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in CASES:
        if not name.startswith(tuple(sys.argv[1:]) or ""):
            continue
        tensors, about = case(name)
        save_file(tensors, FOLDER / f"optimizer_{name}.safetensors", metadata={"case": json.dumps(about)})


if __name__ == "__main__":
    main()
