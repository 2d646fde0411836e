#!/usr/bin/env python3
"""Writes the fixtures of tests/suite/interop.rs beside itself; needs torch, safetensors and numpy.

lenet5.pth, lenet5.safetensors: LeNet-5 for images of 1x12x12 and three classes, in f16 inside of a training
script's dict and in bf16; the weights are numbers that both types have. lenet5.json: its logits in f32.
odd.pth: tensors of several types and memory orders.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent


class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 3)

    def forward(self, x):
        x = nn.functional.avg_pool2d(self.conv1(x).sigmoid(), 2)
        x = nn.functional.avg_pool2d(self.conv2(x).sigmoid(), 2)
        x = self.fc2(self.fc1(x.flatten(1)).sigmoid()).sigmoid()
        return self.fc3(x)


torch.manual_seed(5)
model = LeNet5().eval()
with torch.no_grad():
    for parameter in model.parameters():
        # Multiples of 2^-10 up to 1/4 have at most eight significant bits: bf16 and f16 hold them.
        parameter.copy_((parameter.clamp(-0.249, 0.249) * 1024).round().bfloat16().float() / 1024)
        assert torch.equal(parameter, parameter.half().float()) and torch.equal(parameter, parameter.bfloat16().float())
    pixels = torch.arange(144).mul(37).remainder(256).reshape(1, 1, 12, 12)
    logits = model((pixels / 255 - 0.5) / 0.25)
state = model.state_dict()
torch.save({"epoch": 3, "state_dict": {k: v.half() for k, v in state.items()}}, HERE / "lenet5.pth")
save_file({k: v.bfloat16() for k, v in state.items()}, HERE / "lenet5.safetensors")
(HERE / "lenet5.json").write_text(json.dumps({"logits": logits[0].tolist()}) + "\n")

grid = torch.arange(12, dtype=torch.float32).reshape(3, 4)
norm = nn.BatchNorm2d(2)
torch.save(
    {
        "module.transposed": grid.t(),
        "module.column": grid[:, 1],
        "module.row": grid[1],
        "module.double": grid.double() / 2,
        "module.parameter": nn.Parameter(grid.bfloat16()),
        "module.scalar": torch.tensor(1.5),
        **{f"module.{k}": v for k, v in norm.state_dict().items()},
    },
    HERE / "odd.pth",
)
