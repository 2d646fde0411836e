#!/usr/bin/env python3
"""Training steps in tilewright and in PyTorch, in turn on one machine, as a table of images per second.

    cargo build --release
    scripts/torch_steps.py                             # on the CPU, tilewright through a software adapter
    scripts/torch_steps.py --torch cuda --device NVIDIA
    scripts/torch_steps.py --torch cuda --device NVIDIA --precision f16 --torch-precision f16

Both run the same network from random images that are on the device already: forward, cross-entropy, backward
and Adam, in f32; on CUDA without TF32. In f16, PyTorch runs under autocast with a scaled loss. A figure is the
median of --rounds runs of each. Needs torch and torchvision.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import time

import torch
import torchvision
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parent.parent
CPU_BATCHES = {"lenet5": 64, "cifar_cnn": 64, "resnet18_cifar": 32, "mobilenet_v2": 8}
GPU_BATCHES = {"lenet5": 512, "cifar_cnn": 512, "resnet18_cifar": 512, "mobilenet_v2": 64}


def lenet5():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10))


def cifar_cnn(filters=(64, 128, 256), slope=0.1, dropout=0.5):
    layers, channels = [], 3
    for own in filters:
        layers += [nn.Conv2d(channels, own, 3, padding=1), nn.BatchNorm2d(own), nn.LeakyReLU(slope), nn.MaxPool2d(2)]
        channels = own
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(16 * channels, 512), nn.LeakyReLU(slope), nn.Dropout(dropout),
        nn.Linear(512, 256), nn.LeakyReLU(slope), nn.Dropout(dropout), nn.Linear(256, 10))


def resnet18_cifar():
    net = torchvision.models.resnet18(num_classes=10)
    net.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    net.maxpool = nn.Identity()
    return net


def mobilenet_v2():
    return torchvision.models.mobilenet_v2(num_classes=10)


MODELS = {"lenet5": (lenet5, (1, 28, 28)), "cifar_cnn": (cifar_cnn, (3, 32, 32)),
          "resnet18_cifar": (resnet18_cifar, (3, 32, 32)), "mobilenet_v2": (mobilenet_v2, (3, 224, 224))}


def in_torch(model, batch, device, precision, seconds):
    """Images a second, once the first steps are done."""
    half = precision == "f16"
    build, shape = MODELS[model]
    net = build().train().to(device)
    images = torch.randn(batch, *shape, device=device)
    labels = torch.randint(10, (batch,), device=device)
    optimizer = torch.optim.Adam(net.parameters())
    scaler = torch.amp.GradScaler(device, enabled=half)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None

    def step():
        optimizer.zero_grad()
        with torch.autocast(device, torch.float16, enabled=half):
            loss = nn.functional.cross_entropy(net(images), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        wait()

    for _ in range(3):
        step()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return batch / statistics.median(times)


def in_tilewright(options, model, batch):
    command = [options.program, "bench", "step", model, "--batch", str(batch), "--device", options.device,
               "--precision", options.precision, "--json"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(output.strip().splitlines()[-1])
    return result["device"], result["images_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help=f"of {', '.join(MODELS)}; all when none is named")
    parser.add_argument("--torch", choices=["cpu", "cuda"], default="cpu", help="PyTorch's device")
    parser.add_argument("--device", default="auto", help="tilewright's device")
    parser.add_argument("--precision", choices=["f32", "f16"], default="f32", help="what tilewright stores features in")
    parser.add_argument("--torch-precision", choices=["f32", "f16"], default="f32", help="f16: PyTorch under autocast")
    parser.add_argument("--batch", type=int, help="images in a step, of every model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="time for one run of PyTorch")
    parser.add_argument("--program", default=str(ROOT / "target" / "release" / "tilewright"))
    options = parser.parse_args()
    unknown = [model for model in options.models if model not in MODELS]
    if unknown:
        parser.error(f"no network here is called {', '.join(unknown)}; there are {', '.join(MODELS)}")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True

    batches = GPU_BATCHES if options.torch == "cuda" else CPU_BATCHES
    rows, device = [], ""
    for model in options.models or MODELS:
        batch = options.batch or batches[model]
        ours, theirs = [], []
        for _ in range(options.rounds):
            device, rate = in_tilewright(options, model, batch)
            ours.append(rate)
            theirs.append(in_torch(model, batch, options.torch, options.torch_precision, options.seconds))
        mine, other = statistics.median(ours), statistics.median(theirs)
        rows.append(f"| {model} batch {batch} | {mine:.1f} | {other:.1f} | {100 * mine / other:.0f} % |")

    name = torch.cuda.get_device_name() if options.torch == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"tilewright in {options.precision} on {device}; PyTorch {torch.__version__} in {options.torch_precision} on "
          f"{name}; images per second.\n")
    print("| step | tilewright | PyTorch | share |\n| --- | --- | --- | --- |")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
