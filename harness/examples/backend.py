#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A backend in NumPy to compare with the golden `reference`: the pre-LN encoder, forward only.

    backend.py GOLDEN MINE.safetensors [--type float32|float16] [--eps EPS]

Reads inputs and weights from the golden file, computes, and writes output, loss and trace. `--eps` is the norms' (1e-5);
another one is an error to be found.
"""
import argparse
import math
import os
import sys

import numpy as np

# The module is in the package's data folder, or in harness/ of the sources; PYTHONPATH comes before both.
here = os.path.dirname(os.path.abspath(__file__))
sys.path += [os.path.join(here, ".."), os.path.join(here, "..", "..", "..", "assay")]
import assay_golden  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("golden")
parser.add_argument("mine")
parser.add_argument("--type", choices=("float32", "float16"), default="float32", help="of all arithmetic")
parser.add_argument("--eps", type=float, default=1e-5, help="of the norms")
choice = parser.parse_args()

try:
    golden = assay_golden.Golden(choice.golden)
except (OSError, ValueError) as error:
    sys.exit(f"backend.py: {error}")
if (golden.metadata["id"], golden.metadata["setting"]) != ("reference", "default"):
    sys.exit("backend.py: this backend computes the golden reference.safetensors")
kind = np.dtype(choice.type).type
configuration = dict(word.split("=") for word in golden.metadata["configuration"].split())
heads, head_width, layers = (int(configuration[key]) for key in ("heads", "head_width", "layers"))
ids, label = golden["input/ids"], golden["input/label"]
valid = ids != 0  # [b, n]
trace = {}
erf = np.vectorize(math.erf, otypes=[kind])


def param(name):
    return golden["param/" + name].astype(kind)


def linear(path, x):
    return x @ param(path + ".weight") + param(path + ".bias")


def norm(path, x):
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred * centred).mean(-1, keepdims=True)
    return centred / np.sqrt(variance + kind(choice.eps)) * param(path + ".gain") + param(path + ".bias")


def softmax(scores):
    power = np.exp(scores - scores.max(-1, keepdims=True))
    return power / power.sum(-1, keepdims=True)


def gelu(x):
    return x * kind(0.5) * (1 + erf(x / kind(math.sqrt(2))))


def attention(path, x):  # x: [b, n, d]
    b, n, _ = x.shape
    query, key, value = (linear(f"{path}.{part}", x).reshape(b, n, heads, head_width).swapaxes(1, 2)
                         for part in ("query", "key", "value"))
    scores = query @ key.swapaxes(2, 3) / kind(math.sqrt(head_width))
    # Padding sees all alike: where every score is the same, the softmax is uniform.
    allowed = valid[:, None, :, None] & valid[:, None, None, :]
    weights = softmax(np.where(allowed, scores, np.finfo(kind).min))
    return linear(path + ".output", (weights @ value).swapaxes(1, 2).reshape(b, n, heads * head_width))


x = param("embed.token")[ids] + param("embed.positions")[:ids.shape[1]]
trace["trace/embed"] = x
for i in range(layers):
    x = x + attention(f"block.{i}.mixer", norm(f"block.{i}.norm1", x))
    x = x + linear(f"block.{i}.ffn.out", gelu(linear(f"block.{i}.ffn.in", norm(f"block.{i}.norm2", x))))
    trace[f"trace/block.{i}"] = x
output = linear("head.output", norm("final", x).mean(1))
loss = -np.log(softmax(output)[np.arange(len(label)), label]).mean()
assay_golden.write(choice.mine, {"output": output, "loss": loss, **trace})
