#!/usr/bin/env python3
"""Writes tests/data/augmentations.json: what torchvision makes of a small image.

    pip install torch torchvision
    python3 scripts/torchvision_augment.py > tests/data/augmentations.json

Each case names the op, its row of numbers as `ChangeImages` takes it, and the pixels in float64.
"""

import json
import sys

import torch
import torchvision
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms import functional as F
from torchvision.transforms.functional import _get_inverse_affine_matrix

HEIGHT, WIDTH = 6, 9
image = torch.tensor(
    [[[(37 * i * i + 11 * j * j * j + 91 * c) % 256 for j in range(WIDTH)] for i in range(HEIGHT)] for c in range(2)],
    dtype=torch.float64,
)
cases = []


def case(op, row, pixels, **more):
    shape = list(pixels.shape)
    cases.append({"op": op, "row": row, "shape": shape, "pixels": pixels.flatten().tolist(), **more})


def crop(border, mode, padding, top, left, mirrored):
    # What is cut out of the padded image begins at (padding + top, padding + left).
    padded = F.pad(image, [padding] * 4, padding_mode=mode)
    cut = F.crop(padded, padding + top, padding + left, HEIGHT, WIDTH)
    case("crop", [top, left, int(mirrored)], F.hflip(cut) if mirrored else cut, border=border)


for border, mode in [("zero", "constant"), ("reflect", "reflect"), ("edge", "edge")]:
    for top, left, mirrored in [(0, 0, False), (2, -3, False), (-1, 4, True)]:
        crop(border, mode, 4, top, left, mirrored)
for box, size in [((0, 0, 6, 9), (6, 9)), ((1, 2, 4, 5), (6, 9)), ((0, 1, 6, 8), (3, 4)), ((2, 3, 1, 1), (6, 9)), ((0, 0, 5, 9), (8, 2))]:
    pixels = F.resized_crop(image, *box, list(size), InterpolationMode.BILINEAR, antialias=True)
    case("resized_crop", list(box), pixels)
for angle, translate, scale, shear in [(0.0, [0, 0], 1.0, 0.0), (20.0, [0, 0], 1.0, 0.0), (-35.0, [2, -1], 1.4, 0.0), (10.0, [-1, 1], 0.8, 12.0)]:
    pixels = F.affine(image, angle, translate, scale, [shear, 0.0], InterpolationMode.BILINEAR)
    matrix = _get_inverse_affine_matrix([0.0, 0.0], angle, [float(t) for t in translate], scale, [shear, 0.0])
    case("affine", matrix, pixels)
case("erase", [1, 3, 4, 2], F.erase(image, 1, 3, 4, 2, torch.zeros(1, dtype=torch.float64)))

# Of images that are mixed, all of them and the labels 0, 1 and 2.
batch = torch.stack([image, image.flip(-1), 255 - image])
labels = torch.tensor([0, 1, 2])
mixtures = []
for share, box in [(0.3, None), (0.85, None), (None, (2, 1, 6, 4)), (None, (0, 0, 9, 5))]:
    if box is None:
        transform, row = v2.MixUp(num_classes=3), [0, 0, HEIGHT, WIDTH, share]
        params = {"lam": share}
    else:
        left, top, right, bottom = box
        transform, row = v2.CutMix(num_classes=3), [top, left, bottom - top, right - left, 0]
        share = 1 - (bottom - top) * (right - left) / (HEIGHT * WIDTH)
        params = {"box": box, "lam_adjusted": share}
    params |= {"labels": labels, "batch_size": len(batch)}
    pixels, targets = transform.transform(batch.clone(), params), transform.transform(labels, params)
    mixtures.append({"row": row, "share": share, "pixels": pixels.flatten().tolist(), "targets": targets.tolist()})

json.dump(
    {"torchvision": torchvision.__version__, "image": image.flatten().tolist(), "shape": list(image.shape), "cases": cases, "batch": batch.flatten().tolist(), "mixtures": mixtures},
    sys.stdout,
)
print()
