#!/usr/bin/env python3
"""Writes preprocessing.txt beside itself: what Pillow and torchvision's arithmetic make of pictures; needs pillow.

A line is: height and width of the picture, shorter side, crop, interpolation, and the bytes of the result in hexadecimal,
red plane, green plane, blue plane. The picture's byte at channel c, row y, column x is the formula below.
"""

from pathlib import Path

from PIL import Image

CASES = [
    (37, 50, 16, 14, "bilinear"),
    (50, 37, 16, 14, "bicubic"),
    (9, 30, 20, 17, "bilinear"),
    (30, 9, 20, 17, "bicubic"),
    (64, 64, 16, 16, "bicubic"),
    (21, 24, 11, 8, "bilinear"),
    (24, 21, 11, 8, "bicubic"),
    (13, 40, 12, 15, "bilinear"),
    (5, 90, 7, 6, "bicubic"),
]
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def picture(height, width):
    pixel = lambda x, y, c: (37 * x + 101 * y + 53 * c + 3 * (x * y % 97) + 200 * ((x // 3 + y // 4) % 2)) % 256
    image = Image.new("RGB", (width, height))
    image.putdata([tuple(pixel(x, y, c) for c in range(3)) for y in range(height) for x in range(width)])
    return image


def resize(image, size, interpolation):
    """torchvision.transforms.functional.resize of a PIL image, with one number."""
    width, height = image.size
    short, long = min(width, height), max(width, height)
    new_long = int(size * long / short)
    new = (size, new_long) if width <= height else (new_long, size)
    return image if new == image.size else image.resize(new, FILTERS[interpolation])


def center_crop(image, crop):
    """torchvision.transforms.functional.center_crop with one number."""
    width, height = image.size
    if crop > width or crop > height:
        left, top = (crop - width) // 2 if crop > width else 0, (crop - height) // 2 if crop > height else 0
        right = (crop - width + 1) // 2 if crop > width else 0
        bottom = (crop - height + 1) // 2 if crop > height else 0
        padded = Image.new("RGB", (width + left + right, height + top + bottom))
        padded.paste(image, (left, top))
        image, (width, height) = padded, padded.size
    top, left = int(round((height - crop) / 2.0)), int(round((width - crop) / 2.0))
    return image.crop((left, top, left + crop, top + crop))


lines = []
for height, width, short, crop, interpolation in CASES:
    result = center_crop(resize(picture(height, width), short, interpolation), crop)
    planes = b"".join(plane.tobytes() for plane in result.split())
    lines.append(f"{height} {width} {short} {crop} {interpolation} {planes.hex()}\n")
Path(__file__).with_suffix(".txt").write_text("".join(lines))
