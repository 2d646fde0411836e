#!/usr/bin/env python3
"""Reads the events of a run folder with TensorBoard itself, and holds them against the run's tables and pictures.

    python3 -m venv venv && venv/bin/pip install tensorboard
    venv/bin/python scripts/check-tensorboard.py runs/lenet5-1

Prints what there is, and ends with status 1 where a scalar, a picture, a histogram or a setting is not what the run says.
"""

import csv
import pathlib
import struct
import sys
import tomllib

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2


def expect(holds, what):
    if not holds:
        sys.exit(f"not as the run says: {what}")


def scalars(events, run):
    """Every row of steps.csv and epochs.csv is there."""
    with open(run / "steps.csv", encoding="utf-8") as table:
        steps = list(csv.DictReader(table))
    for tag, column in [("train/loss", "loss"), ("train/accuracy", "accuracy"), ("train/lr", "lr")]:
        found = {event.step: event.value for event in events.Scalars(tag)}
        expect(len(found) == len(steps), f"{tag} has {len(found)} values, steps.csv {len(steps)} rows")
        for row in steps:
            expected = struct.unpack("f", struct.pack("f", float(row[column])))[0]
            expect(found[int(row["step"])] == expected, f"{tag} of step {row['step']}")
    with open(run / "epochs.csv", encoding="utf-8") as table:
        epochs = list(csv.DictReader(table))
    part = "validation" if epochs[0]["validation_loss"] else "test"
    for what in ["loss", "accuracy"]:
        found = [event.value for event in events.Scalars(f"{part}/{what}")]
        expected = [float(row[f"{part}_{what}"]) for row in epochs]
        same = all(abs(a - b) < 1e-6 * max(1, abs(b)) for a, b in zip(found, expected, strict=True))
        expect(same, f"{part}/{what}")
    return len(steps), len(epochs)


def pictures(events, run):
    tags = events.Tags()["images"]
    for tag in tags:
        [image] = events.Images(tag)
        name = {"augmentation": "augment"}.get(tag.split("/")[1], tag.split("/")[1])
        data = (run / f"{name}.png").read_bytes()
        size = struct.unpack(">II", data[16:24])
        expect(image.encoded_image_string == data, f"{tag} is not {name}.png")
        expect((image.width, image.height) == size, f"the size of {tag}")
    expect({"pictures/confusion", "pictures/reliability"} <= set(tags), "pictures are missing")
    return tags


def histograms(events, epochs):
    tags = events.Tags()["histograms"]
    expect(tags, "there is no histogram")
    for tag in tags:
        found = events.Histograms(tag)
        expect(len(found) == epochs, f"{tag} has {len(found)} histograms of {epochs} epochs")
        for event in found:
            held = event.histogram_value
            expect(sum(held.bucket) == held.num > 0, f"the counts of {tag}")
            expect(held.min <= held.sum / held.num <= held.max, f"the mean of {tag}")
    return tags


def settings(events, run):
    def told(tag):
        content = events.summary_metadata[tag].plugin_data.content
        return plugin_data_pb2.HParamsPluginData.FromString(content)

    start = told("_hparams_/session_start_info").session_start_info
    end = told("_hparams_/session_end_info").session_end_info
    config = tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))
    for name in ["lr", "batch", "epochs", "seed"]:
        expect(start.hparams[name].number_value == config[name], f"the setting {name}")
    expect(start.hparams["model"].string_value == config["model"], "the model")
    expect(end.status == 1, "the run has not ended")
    return len(start.hparams)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    run = pathlib.Path(sys.argv[1])
    events = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0, "histograms": 0, "tensors": 0})
    events.Reload()
    steps, epochs = scalars(events, run)
    images = pictures(events, run)
    weights = histograms(events, epochs)
    count = settings(events, run)
    print(f"{steps} steps, {epochs} epochs, {', '.join(images)}, {len(weights)} histograms an epoch, {count} settings")


if __name__ == "__main__":
    main()
