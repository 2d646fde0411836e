#!/usr/bin/env python3
"""Writes tests/data/schedules: rates of learning-rate schedules in float64, as PyTorch has them.

    pip install numpy safetensors torch
    python3 scripts/schedule_cases.py

A schedule of a sequence is named as in CASES and made by the same function. The form of a case is that of
tests/data/conformance, which `tilewright verify` reads.
"""

import json
import pathlib

import numpy
import torch
from safetensors.numpy import save_file
from torch.optim import lr_scheduler

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests/data/schedules"
BASE_LR = 0.3
STEPS = 60


def cyclic(optimizer, base_lr, max_lr, step_size_down=0, **attributes):
    attributes["step_size_down"] = step_size_down or None
    return lr_scheduler.CyclicLR(optimizer, base_lr, max_lr, cycle_momentum=False, **attributes)


def sequential(optimizer, milestones, schedules):
    made = [FORMS[schedule["name"]](optimizer, **without_name(schedule)) for schedule in schedules]
    return lr_scheduler.SequentialLR(optimizer, made, milestones)


def without_name(schedule):
    return {name: value for name, value in schedule.items() if name != "name"}


FORMS = {
    "constant_factor": lr_scheduler.ConstantLR,
    "cosine": lr_scheduler.CosineAnnealingLR,
    "cyclic": cyclic,
    "exponential": lr_scheduler.ExponentialLR,
    "linear": lr_scheduler.LinearLR,
    "sequential": sequential,
    "step": lr_scheduler.StepLR,
}

CASES = {
    "constant_factor_01": {},
    "constant_factor_02": {"factor": 0.7, "total_iters": 12},
    "cyclic_01": {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 7},
    "cyclic_02": {"base_lr": 0.05, "max_lr": 0.4, "step_size_up": 4, "step_size_down": 9, "mode": "triangular2"},
    "cyclic_03": {"base_lr": 0.0, "max_lr": 1.0, "step_size_up": 5, "mode": "exp_range", "gamma": 0.97},
    "cyclic_04": {"base_lr": 0.1, "max_lr": 0.2},
    "sequential_01": {
        "milestones": [10],
        "schedules": [{"name": "constant_factor", "factor": 0.1, "total_iters": 10}, {"name": "exponential", "gamma": 0.9}],
    },
    "sequential_02": {
        "milestones": [5, 35],
        "schedules": [
            {"name": "linear", "start_factor": 0.1, "end_factor": 1.0, "total_iters": 5},
            {"name": "step", "step_size": 10, "gamma": 0.5},
            {"name": "cosine", "T_max": 25, "eta_min": 0.001},
        ],
    },
}


def case(name):
    form, attributes = name.rsplit("_", 1)[0], CASES[name]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE_LR)
    schedule = FORMS[form](optimizer, **attributes)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    about = {
        "format": 1,
        "name": f"schedule_{name}",
        "kind": "schedule",
        "rtol": 1e-10,
        "atol": 1e-15,
        "schedule": form,
        "attrs": attributes,
        "base_lr": BASE_LR,
        "steps": STEPS,
    }
    return {"lr": numpy.array(rates)}, about


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in CASES:
        tensors, about = case(name)
        save_file(tensors, FOLDER / f"schedule_{name}.safetensors", metadata={"case": json.dumps(about)})


if __name__ == "__main__":
    main()
