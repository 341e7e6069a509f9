#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looks for wrong results of PyTorch's binary32 convolutions through oneDNN: random shapes,
forward and gradients, against sums of products in binary64. Exit status 1 if one is wrong."""

import argparse
import itertools
import math
import random
import sys
import time

import numpy as np
import torch

SKIPPED = 77    # exit status
ROUNDOFF = 2.0 ** -24


def draw(rng):
    """A shape: x [b, in, *size], weight [out, in / groups, *kernel]"""
    dims = rng.choice((1, 2, 2, 3))
    groups = rng.choice((1, 1, 2, 3, 8))
    inputs, outputs = (groups * rng.randint(1, 24) for _ in range(2))
    if rng.random() < 0.3:
        groups = outputs = inputs
    kernel, stride, padding, dilation = ([rng.choice(choices) for _ in range(dims)] for choices in
                                         ((1, 2, 3, 4, 5, 7), (1, 1, 2, 3, 4), (0, 1, 2, 3),
                                          (1, 1, 1, 2)))
    size = [rng.randint(max(1, (k - 1) * d + 1 - 2 * p), (k - 1) * d + (20, 12, 5)[dims - 1])
            for k, d, p in zip(kernel, dilation, padding)]
    return {"x": [rng.choice((1, 2, 3, 8)), inputs, *size],
            "weight": [outputs, inputs // groups, *kernel], "stride": stride, "padding": padding,
            "dilation": dilation, "groups": groups}


def by_products(shape, x, weight, bias, d_output):
    """output and gradients of x, weight, bias by gathering and products, in binary64"""
    (samples, _, *size), (outputs, inputs, *kernel) = shape["x"], shape["weight"]
    groups, dims = shape["groups"], len(size)
    padded = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in shape["padding"])])
    d_padded, output = np.zeros_like(padded), np.zeros_like(d_output)
    d_weight, places = np.zeros_like(weight), d_output.shape[2:]
    for tap in itertools.product(*map(range, kernel)):
        where = (slice(None), slice(None), *(
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, s, n in zip(tap, shape["dilation"], shape["stride"], places)))
        # [samples, groups, channels of a group, places]
        seen = padded[where].reshape(samples, groups, inputs, -1)
        w = weight[(slice(None), slice(None), *tap)].reshape(groups, outputs // groups, inputs)
        dy = d_output.reshape(samples, groups, outputs // groups, -1)
        output += (w @ seen).reshape(output.shape)
        d_padded[where] += (w.swapaxes(1, 2) @ dy).reshape(padded[where].shape)
        d_weight[(slice(None), slice(None), *tap)] = \
            (dy @ seen.swapaxes(2, 3)).sum(0).reshape(outputs, inputs)
    inside = (slice(None), slice(None), *(slice(p, p + n) for p, n in zip(shape["padding"], size)))
    per_channel = (0, *range(2, 2 + dims))
    return (output + bias.reshape(-1, *[1] * dims), d_padded[inside], d_weight,
            d_output.sum(per_channel))


def by_torch(shape, x, weight, bias, d_output):
    given = [torch.tensor(a, dtype=torch.float32, requires_grad=True) for a in (x, weight, bias)]
    convolve = getattr(torch.nn.functional, f"conv{x.ndim - 2}d")
    output = convolve(*given, *(shape[key] for key in ("stride", "padding", "dilation", "groups")))
    # What a kernel leaves unwritten then shows.
    waste = [torch.full((2 ** i,), math.nan) for i in range(4, 20) for _ in range(4)]
    del waste
    output.backward(torch.tensor(d_output, dtype=torch.float32))
    return [output.detach().numpy()] + [a.grad.numpy() for a in given]


def wrong(shape, generator):
    """What is wrong with a shape's results, in words; None if nothing is"""
    def numbers(size):
        return generator.standard_normal(size).astype(np.float32).astype(np.float64)

    x, weight, bias = numbers(shape["x"]), numbers(shape["weight"]), numbers(shape["weight"][0])
    places = [(n + 2 * p - (k - 1) * d - 1) // s + 1 for n, p, k, d, s in zip(
        shape["x"][2:], shape["padding"], shape["weight"][2:], shape["dilation"], shape["stride"])]
    d_output = numbers([shape["x"][0], shape["weight"][0], *places])
    given = x, weight, bias, d_output
    truth, absolute = by_products(shape, *given), by_products(shape, *map(abs, given))
    per_output = math.prod(shape["weight"][1:]) + 1
    per_input = math.prod(shape["weight"]) // shape["weight"][1] // shape["groups"]
    per_weight = d_output.size // d_output.shape[1]
    for name, terms, a, s, b in zip(("output", "gradient of x", "gradient of weight",
                                     "gradient of bias"),
                                    (per_output, per_input, per_weight, per_weight),
                                    truth, absolute, by_torch(shape, *given)):
        # A sum of n products, in any order: at most n roundings of each term (Higham, section 3.1).
        bound = terms * ROUNDOFF / (1 - terms * ROUNDOFF) * s
        excess = np.where(np.isfinite(b), abs(b - a) - bound, np.inf)
        if excess.max() > 0:
            i = np.unravel_index(excess.argmax(), a.shape)
            return (f"{name} {[int(n) for n in i]}: expected {a[i]:.8g} to {bound[i]:.1e}, "
                    f"found {b[i]:.8g}")
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-onednn", action="store_true", help="for comparison")
    options = parser.parse_args()
    if not torch.backends.mkldnn.is_available():
        print("skipped: this PyTorch has no oneDNN", file=sys.stderr)
        return SKIPPED
    rng, generator = random.Random(options.seed), np.random.default_rng(options.seed)
    end, shapes, found = time.monotonic() + options.seconds, 0, 0
    with torch.backends.mkldnn.flags(enabled=not options.without_onednn):
        while time.monotonic() < end:
            shape = draw(rng)
            reason = wrong(shape, generator)
            shapes, found = shapes + 1, found + (reason is not None)
            if reason and found <= 10:
                print(f"{shape}\n    {reason}")
    print(f"PyTorch {torch.__version__}: {shapes} shapes, {found} wrong")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
