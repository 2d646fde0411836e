#!/usr/bin/env python3
"""Writes tests/data/hub: a small set of images in Parquet files as `datasets` of the Hugging Face hub writes them.

    scripts/parquet_case.py

Image i is 3x2 pixels of the red i; its class is `odd` or `even`, which the hub numbers 0 and 1. The last row of the test file has
no label, as hidden test sets have it. Needs pyarrow and pillow.
"""

import io
import json
import pathlib

import pyarrow
import pyarrow.parquet
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "hub"
FEATURES = {"image": {"_type": "Image"}, "label": {"names": ["odd", "even"], "_type": "ClassLabel"}}


def encoded(red):
    data = io.BytesIO()
    Image.new("RGB", (3, 2), (red, 1, 2)).save(data, "PNG")
    return data.getvalue()


def write(name, reds, hidden=(), compression="snappy", label="label"):
    rows = {
        "image": [{"bytes": encoded(red), "path": f"{red:03}.png" if red % 3 else None} for red in reds],
        label: [-1 if red in hidden else 1 - red % 2 for red in reds],
    }
    schema = pyarrow.schema(
        [("image", pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])), (label, pyarrow.int64())],
        metadata={"huggingface": json.dumps({"info": {"features": FEATURES}})})
    table = pyarrow.table(rows, schema=schema)
    pyarrow.parquet.write_table(table, ROOT / name, compression=compression, row_group_size=3)


def main():
    (ROOT / "data").mkdir(parents=True, exist_ok=True)
    write("data/train-00000-of-00002.parquet", range(0, 5))
    write("data/train-00001-of-00002.parquet", range(5, 9), compression="none")
    write("data/validation-00000-of-00001.parquet", range(9, 11))
    write("data/test-00000-of-00001.parquet", range(11, 14), hidden=[13])
    write("zstd.parquet", range(2), compression="zstd")
    write("unnamed.parquet", range(2), label="kind")


if __name__ == "__main__":
    main()
