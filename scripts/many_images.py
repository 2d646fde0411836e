"""Makes a folder of many JPEG files, to train on more images than memory holds: blurred colours under noise, by class.

    pip install pillow
    python3 scripts/many_images.py DIR --images 20000 --side 256
    tilewright train lenet5_modern --data folder:DIR --size 64x64 --data-memory 64M
"""

import argparse
import random
from pathlib import Path

from PIL import Image

CLASSES = 10
# One of so many images of a class is a test image.
TESTED = 20


def picture(label, number, side):
    """A pattern of the class in 8x8 colours, with as much noise of its own, drawn out smoothly."""
    pattern, own = random.Random(label), random.Random(number)
    colours = [(pattern.randrange(256) + own.randrange(256)) // 2 for _ in range(3 * 8 * 8)]
    return Image.frombytes("RGB", (8, 8), bytes(colours)).resize((side, side), Image.Resampling.BICUBIC)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=20000)
    parser.add_argument("--side", type=int, default=256)
    arguments = parser.parse_args()
    grain = Image.effect_noise((arguments.side, arguments.side), 40).convert("RGB")
    for number in range(arguments.images):
        label = number % CLASSES
        split = "test" if number // CLASSES % TESTED == 0 else "train"
        folder = arguments.folder / split / f"class{label}"
        folder.mkdir(parents=True, exist_ok=True)
        image = Image.blend(picture(label, number, arguments.side), grain, 0.3)
        image.save(folder / f"{number:06}.jpg", quality=90)


if __name__ == "__main__":
    main()
