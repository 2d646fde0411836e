#!/usr/bin/env python3
"""Weights there and back: PyTorch -> tilewright -> PyTorch and onnxruntime.

For each model: a torchvision network with random weights and random running statistics is saved with
torch.save and as safetensors; `tilewright import` makes a checkpoint of each; `tilewright predict` must give
PyTorch's logits for a random image; `tilewright export` must give what load_state_dict(strict=True) takes,
bit for bit; and the exported ONNX, with batch norms and folded, must give the same logits in onnxruntime for
a batch of one and of three. The largest differences are printed, relative to the largest logit; a difference
above --bound ends the script with status 1.

Needs torch, torchvision, safetensors, onnx, onnxruntime, numpy and Pillow:

    scripts/torch_round_trip.py [--device cpu] [MODEL ...]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file

FAMILIES = ["resnet18", "vgg11_bn", "mobilenet_v3_small", "densenet121", "shufflenet_v2_x1_0", "convnext_tiny"]
SIZES = {f"efficientnet_b{n}": size for n, size in enumerate([224, 240, 288, 300, 380, 456, 528, 600])}
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def tilewright(*arguments):
    """Runs the command; its JSON result."""
    command = [BINARY, *map(str, arguments), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{ended.stderr}")
    return json.loads(ended.stdout.splitlines()[-1])


def network(name, classes):
    """torchvision's network with weights and statistics that are no longer 0 and 1."""
    options = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
    model = getattr(torchvision.models, name)(num_classes=classes, **options).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def difference(ours, theirs):
    """Largest difference as a share of the largest value."""
    theirs = np.asarray(theirs, dtype=np.float64)
    return float(np.abs(np.asarray(ours, dtype=np.float64) - theirs).max() / np.abs(theirs).max())


def round_trip(name, folder, device, classes=10):
    """Differences of one model, by step."""
    model = network(name, classes)
    state = model.state_dict()
    torch.save(state, folder / "weights.pth")
    save_file(state, folder / "weights.safetensors")
    size = SIZES.get(name, 224)
    pixels = np.random.randint(0, 256, (3, size, size, 3), dtype=np.uint8)
    images = (torch.tensor(pixels).permute(0, 3, 1, 2) / 255 - torch.tensor(MEAN)[:, None, None])
    images = images / torch.tensor(STD)[:, None, None]
    Image.fromarray(pixels[0]).save(folder / "image.png")
    with torch.no_grad():
        expected = model(images).numpy()

    found = {}
    for kind in ["pth", "safetensors"]:
        checkpoint = folder / f"{kind}.checkpoint"
        tilewright("import", name, folder / f"weights.{kind}", "--out", checkpoint,
                   "--normalize", "imagenet", "--crop-share", 1)
        predicted = tilewright("predict", checkpoint, folder / "image.png", "--device", device)
        found[kind] = difference(predicted["predictions"][0]["logits"], expected[0])
    if (folder / "pth.checkpoint").read_bytes() != (folder / "safetensors.checkpoint").read_bytes():
        sys.exit(f"{name}: .pth and .safetensors give different checkpoints")

    tilewright("export", folder / "pth.checkpoint", folder / "back.safetensors")
    back = load_file(folder / "back.safetensors")
    model.load_state_dict(back, strict=True)
    for key, tensor in state.items():
        if not key.endswith("num_batches_tracked") and not torch.equal(tensor, back[key]):
            sys.exit(f"{name}: `{key}` did not come back as it was")

    for kind, options in [("onnx", []), ("folded", ["--fold-batch-norm"])]:
        file = folder / f"{kind}.onnx"
        tilewright("export", folder / "pth.checkpoint", file, *options)
        onnx.checker.check_model(str(file), full_check=True)
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        for batch in [1, 3]:
            logits = session.run(["logits"], {"images": images[:batch].numpy()})[0]
            found[f"{kind} x{batch}"] = difference(logits, expected[:batch])
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=FAMILIES)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--binary", default=BINARY)
    parser.add_argument("--bound", type=float, default=1e-4)
    arguments = parser.parse_args()
    globals()["BINARY"] = arguments.binary
    torch.manual_seed(0)
    np.random.seed(0)
    failed = []
    for name in arguments.models:
        with tempfile.TemporaryDirectory() as folder:
            found = round_trip(name, Path(folder), arguments.device)
        print(f"{name:<20}", "  ".join(f"{step} {value:.1e}" for step, value in found.items()), flush=True)
        if not max(found.values()) <= arguments.bound:
            failed.append(name)
    if failed:
        sys.exit(f"above {arguments.bound}: {', '.join(failed)}")


BINARY = str(Path(__file__).resolve().parent.parent / "target/release/tilewright")

if __name__ == "__main__":
    main()
