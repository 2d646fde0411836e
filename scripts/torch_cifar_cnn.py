#!/usr/bin/env python3
"""Trains `cifar_cnn` in PyTorch with the settings of `--recipe cifar_cnn_study:best`, on the same images.

    scripts/torch_cifar_cnn.py CIFAR --epochs 12
    tilewright train --recipe cifar_cnn_study:best --data folder:CIFAR --epochs 12

CIFAR is a folder with `train/CLASS/*` and `test/CLASS/*`. Prints the test accuracy after each epoch. Needs torch, torchvision and
pillow.
"""

import argparse
import concurrent.futures
import pathlib
import time

import numpy
import torch
from PIL import Image
from torch import nn

from torch_steps import cifar_cnn


def read(folder):
    """Images as bytes, [N, 3, 32, 32], and labels, in the order of the file names."""
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    files = [(path, label) for label, name in enumerate(classes) for path in sorted((folder / name).iterdir())]

    def decode(file):
        with Image.open(file[0]) as image:
            return numpy.asarray(image.convert("RGB")).transpose(2, 0, 1)

    with concurrent.futures.ThreadPoolExecutor() as threads:
        images = numpy.stack(list(threads.map(decode, files)))
    return torch.from_numpy(images), torch.tensor([label for _, label in files])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(options.seed)
    (images, labels), (test, test_labels) = (
        [part.to(options.device) for part in read(options.folder / split)] for split in ("train", "test"))
    pixels = images.float() / 255
    mean, deviation = (f(pixels, dim=(0, 2, 3)).view(1, 3, 1, 1) for f in (torch.mean, torch.std))
    del pixels

    def prepared(batch):
        return (batch.float() / 255 - mean) / deviation

    net = cifar_cnn((128, 256, 512), 0.05, 0.4).to(options.device)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.002, weight_decay=1e-5)
    steps = -(-len(images) // options.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs * steps, eta_min=1e-6)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.15)
    begin = time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        net.train()
        for rows in torch.randperm(len(images), device=options.device).split(options.batch):
            optimizer.zero_grad()
            loss_of(net(prepared(images[rows])), labels[rows]).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5)
            optimizer.step()
            schedule.step()
        net.eval()
        with torch.no_grad():
            right = sum((net(prepared(x)).argmax(1) == y).sum().item()
                        for x, y in zip(test.split(500), test_labels.split(500)))
        print(f"epoch {epoch}: test accuracy {100 * right / len(test):.2f} %, {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
