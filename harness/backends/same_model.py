#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Is a backend's model the golden's? Compares what it computed in binary64 with the golden's
binary64 tensors. This says nothing about its arithmetic: that is what `assay compare` judges."""

import argparse
import sys

import numpy

import golden_io

# Per block and direction some ten ops, each a sum of at most 64 terms: fewer than 700 roundings;
# four blocks, forward and backward: fewer than 6000 of 1.1e-16. Rounding stays below this, and a
# step done in binary32 (6e-8) or a formula with another constant does not.
BOUND = 1e-12
# A gradient that is zero in exact arithmetic (that of attention's key bias) holds only what
# rounding left: a tensor counts as at least this part of the largest of its kind.
SMALLEST = 1e-3


def worst(truth, theirs):
    """(largest error in units of the tensor's scale, its name), over all of the golden's tensors"""
    largest = {}
    for name, x in truth.items():
        kind = name.partition("/")[0]
        largest[kind] = max(largest.get(kind, 0.0), abs(x).max())
    errors = []
    for name, x in truth.items():
        if name not in theirs:
            raise ValueError(f"{name}: expected a tensor of shape {x.shape}, found none")
        if theirs[name].shape != x.shape:
            raise ValueError(f"{name}: expected shape {x.shape}, found {theirs[name].shape}")
        scale = max(abs(x).max(), SMALLEST * largest[name.partition("/")[0]])
        error = abs(theirs[name] - x).max() / scale if scale else abs(theirs[name]).max()
        errors.append((error if numpy.isfinite(error) else numpy.inf, name))
    return max(errors)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("golden")
    parser.add_argument("theirs", help="what a backend wrote with --precision f64")
    options = parser.parse_args()
    try:
        _, tensors = golden_io.read(options.golden)
        truth = {name[4:]: x for name, x in tensors.items() if name.startswith("f64/")}
        if not truth:
            raise ValueError(f"{options.golden}: expected a golden file, found no f64/ tensors")
        error, name = worst(truth, golden_io.read(options.theirs)[1])
    except OSError as reason:
        print(f"same_model: {reason.filename}: {reason.strerror}", file=sys.stderr)
        return 2
    except ValueError as reason:
        print(f"same_model: {reason}", file=sys.stderr)
        return 2
    print(f"{len(truth)} tensors, largest error {error:.1e} of the scale, in {name}; "
          f"expected at most {BOUND:.0e}")
    return 0 if error <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
