#!/usr/bin/env python3
"""What scaling follows from a link, for training on several members. No measurement: a formula and its inputs.

    python3 scripts/scaling.py [--parameters N] [--statistics N] [--compute MS,...] [--members N,...] [--links GBIT,...]

A member sends, and receives, (W - 1) / W of the sums twice: a slice of them to each other member, then its own slice to each.
The host also copies them down from the device, adds, and copies them up. That goes in buckets, the first of which is there when
the backward pass, two thirds of a step, has begun, and runs beside the device's work but for the last bucket.
"""

import argparse


def numbers(text):
    return [float(word) for word in text.split(",")]


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    # ResNet-50: `tilewright summary resnet50`; a mean and a variance for each of its 26,560 normalised channels.
    options.add_argument("--parameters", type=int, default=25_557_032)
    options.add_argument("--statistics", type=int, default=2 * 26_560)
    options.add_argument("--compute", type=numbers, default=[100, 400], help="ms that a member's device needs for a step")
    options.add_argument("--members", type=numbers, default=[2, 4, 8])
    options.add_argument("--links", type=numbers, default=[10, 25, 100], help="Gbit/s of a machine, each way")
    options.add_argument("--bus", type=float, default=12.0, help="GB/s between device and host")
    options.add_argument("--host", type=float, default=4.0, help="GB/s at which the host scales, adds and packs the sums")
    options.add_argument("--bucket", type=float, default=8.4, help="MB of a bucket")
    given = options.parse_args()

    size = 4 * (given.parameters + given.statistics)
    copies = 1e3 * (2 * size / (given.bus * 1e9) + 2 * size / (given.host * 1e9))
    buckets = max(2, round(size / (given.bucket * 1e6)))
    print(f"sums: {size / 1e6:.1f} MB in {buckets} buckets; copies and sums on the host: {copies:.0f} ms per step\n")

    def step(ms, network):
        exchange, first = copies + network, ms / 3 + 2 / 3 * ms / buckets
        return max(ms + exchange / buckets, first + exchange)

    print("| members | sent by each, MB per step | " + " | ".join(
        f"{link:g} Gbit/s: network ms, efficiency at {', '.join(f'{ms:g}' for ms in given.compute)} ms" for link in given.links
    ) + " |")
    print("| --- |" + " --- |" * (1 + len(given.links)))
    for members in given.members:
        sent = 2 * (members - 1) / members * size
        row = [f"{members:g}", f"{sent / 1e6:.0f}"]
        for link in given.links:
            network = 1e3 * sent / (link * 1e9 / 8)
            shares = ", ".join(f"{100 * ms / step(ms, network):.0f} %" for ms in given.compute)
            row.append(f"{network:.0f} ms: {shares}")
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
