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
from torchvision.transforms import InterpolationMode, RandAugment, TrivialAugmentWide, v2
from torchvision.transforms.autoaugment import _apply_op
from torchvision.transforms import functional as F
from torchvision.transforms.functional import _get_inverse_affine_matrix

HEIGHT, WIDTH = 6, 9
image = torch.tensor(
    [[[(37 * i * i + 11 * j * j * j + 91 * c) % 256 for j in range(WIDTH)] for i in range(HEIGHT)] for c in range(3)],
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
    case("affine", [*matrix, 0.0], pixels)


def filled(transform, fill):
    """What `transform` makes of the image, with the fill for all that it does not cover. With a fill of its own torchvision counts
    what covers a pixel in part twice: once as it interpolates, and again as it blends with the fill."""
    return transform(image) + (1 - transform(torch.ones_like(image))) * fill


pixels = filled(lambda x: F.affine(x, 25.0, [1, 2], 0.7, [0.0, 0.0], InterpolationMode.BILINEAR), 200.0)
case("affine", [*_get_inverse_affine_matrix([0.0, 0.0], 25.0, [1.0, 2.0], 0.7, [0.0, 0.0]), 200.0], pixels)
case("erase", [1, 3, 4, 2], F.erase(image, 1, 3, 4, 2, torch.zeros(1, dtype=torch.float64)))
for size, sigma in [(3, 0.8), (5, 2.0), (7, 0.1)]:
    case("blur", [sigma], F.gaussian_blur(image, [size, size], [sigma, sigma]), size=size)


def coloured(function, *amount):
    """In floats from 0 to 1, or in bytes where torchvision takes nothing else."""
    if function in (F.posterize, F.equalize):
        return function(image.to(torch.uint8), *amount).double()
    return 255 * function(image / 255, *amount)


for name, function, amounts in [
    ("brightness", F.adjust_brightness, [0.3, 1.9]),
    ("contrast", F.adjust_contrast, [0.0, 0.6, 1.9]),
    ("saturation", F.adjust_saturation, [0.0, 0.6, 1.9]),
    ("hue", F.adjust_hue, [-0.5, -0.2, 0.07, 0.4]),
    ("posterize", F.posterize, [1, 3, 8]),
    ("solarize", F.solarize, [0, 100, 255]),
    ("sharpness", F.adjust_sharpness, [0.0, 0.5, 1.9]),
]:
    for amount in amounts:
        given = amount / 255 if name == "solarize" else amount
        case("colour", [amount], coloured(function, given), colour=name)
for name, function in [
    ("grey", lambda x: F.rgb_to_grayscale(x, 3)),
    ("invert", F.invert),
    ("autocontrast", F.autocontrast),
    ("equalize", F.equalize),
]:
    case("colour", [0], coloured(function), colour=name)

# Of more pixels than levels, which the small image has not.
large = torch.tensor(
    [[[(i * i // (c + 2) + 3 * j) % (97 + 60 * c) for j in range(30)] for i in range(20)] for c in range(3)],
    dtype=torch.float64,
)
equalized = {"image": large.flatten().tolist(), "shape": list(large.shape)}
equalized["pixels"] = F.equalize(large.to(torch.uint8)).double().flatten().tolist()

# What the policies' operations make of the image; a shear or a turn is bilinear.
policies = []
for operation, magnitudes in [
    ("Identity", [0.0]),
    ("ShearX", [0.25, -0.9]),
    ("ShearY", [0.3, -0.7]),
    ("TranslateX", [2.7, -3.9]),
    ("TranslateY", [1.2, -2.0]),
    ("Rotate", [20.0, -110.0]),
    ("Brightness", [0.7, -0.7]),
    ("Color", [0.7, -0.7]),
    ("Contrast", [0.7, -0.7]),
    ("Sharpness", [0.7, -0.7]),
    ("Posterize", [2.0, 6.0]),
    ("Solarize", [90.0]),
    ("AutoContrast", [0.0]),
    ("Equalize", [0.0]),
]:
    for magnitude in magnitudes:
        if operation in ("Posterize", "Equalize"):
            pixels = _apply_op(image.to(torch.uint8), operation, magnitude, InterpolationMode.BILINEAR, None)
        elif operation == "Solarize":
            pixels = 255 * _apply_op(image / 255, operation, magnitude / 255, InterpolationMode.BILINEAR, None)
        elif operation.startswith(("Shear", "Translate", "Rotate")):
            pixels = filled(lambda x: _apply_op(x, operation, magnitude, InterpolationMode.BILINEAR, None), 7.0)
        else:
            pixels = 255 * _apply_op(image / 255, operation, magnitude, InterpolationMode.BILINEAR, None)
        policies.append({"operation": operation, "magnitude": magnitude, "pixels": pixels.double().flatten().tolist()})


def magnitudes(space):
    """The least, the middle and the greatest, and whether their sign is drawn."""
    at = lambda values, bin: float(values[bin] if values.ndim else values)
    return {name: ([at(values, bin) for bin in (0, 15, 30)], signed) for name, (values, signed) in space.items()}


narrow = magnitudes(RandAugment()._augmentation_space(31, (HEIGHT, WIDTH)))
wide = magnitudes(TrivialAugmentWide()._augmentation_space(31))

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
    {"torchvision": torchvision.__version__, "image": image.flatten().tolist(), "shape": list(image.shape), "cases": cases, "equalized": equalized, "policies": policies, "magnitudes": {name: [narrow[name], wide[name]] for name in narrow}, "batch": batch.flatten().tolist(), "mixtures": mixtures},
    sys.stdout,
)
print()
