#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Judges what a backend computed by Assay's golden files; needs NumPy alone.

    golden = assay_golden.Golden("denseformer.safetensors")
    x, weight = golden["input/ids"], golden["param/embed.token"]     # NumPy arrays
    ...                                                              # run the backend
    verdict = golden.compare("output", logits, precision="bf16")
    assert verdict.outcome == "pass", verdict

or, of files: python3 assay_golden.py GOLDEN THEIRS [--precision f32|tf32|bf16|fp16] [--json]
with exit status 0 (all pass), 1 (some fail), 2 (bad input, or nothing could be judged).

The rule and its numbers are those of `assay compare` and libassay, to the last bit: a tensor passes when
max|theirs - truth| <= max(2 B, 8 u S) with B the largest error of honest runs in the precision, u its unit roundoff and S
the tensor's scale; where the budget is over half of the truth's root mean square it is not judged. Gradients are unscaled.
Every file is checked before it is used; what is wrong raises ValueError.
"""
import argparse
import dataclasses
import json
import math
import os
import struct
import sys
import tempfile

import numpy as np

ROUNDOFF = {"f32": 2.0**-24, "tf32": 2.0**-11, "bf16": 2.0**-8, "fp16": 2.0**-11}
DTYPES = {"BOOL": "u1", "U8": "u1", "I8": "i1", "F8_E5M2": "u1", "F8_E4M3": "u1", "U16": "<u2", "I16": "<i2", "F16": "<f2",
          "BF16": "<u2", "U32": "<u4", "I32": "<i4", "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8"}
HEADER_MAX, AXES_MAX, INTEGER_MAX = 16 << 20, 8, 1 << 53
REALS, WHOLES = ("F32", "F64", "F16", "BF16"), ("I32", "I64")


def expect(holds, message):
    if not holds:
        raise ValueError(message)


def unique(pairs):
    """An object of JSON, whose keys must differ."""
    made = dict(pairs)
    expect(len(made) == len(pairs), "JSON: expected every key once in an object")
    return made


def no_constant(word):
    raise ValueError(f"JSON: expected a value, found {word}")


def parse_json(text):
    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
    except RecursionError:
        raise ValueError("JSON: nested too deep") from None


def is_natural(value):
    return type(value) is int and 0 <= value < INTEGER_MAX


def is_size(value):
    return type(value) in (int, float) and 0 <= value < math.inf


def widen(bits):
    """BF16, the upper halves of binary32 numbers, as float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def narrow(numbers):
    """float32 rounded to BF16, to nearest even, as uint16. NaN stays NaN."""
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    rounded = ((bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(numbers), np.uint16(0x7FC0), rounded)


@dataclasses.dataclass
class Tensor:
    dtype: str  # as in the file: "BF16"
    array: np.ndarray  # BF16 as float32


def read_entry(name, entry, data, end):
    """One tensor of a header, whose data must begin at `end`; returns it and where its data end."""
    expect(isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"},
           f"tensor {name!r}: expected dtype, shape and data_offsets")
    expect(name and not any(ord(c) < 0x20 or ord(c) == 0x7F for c in name),
           f"tensor {name!r}: expected a name without control characters")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    expect(isinstance(dtype, str) and dtype in DTYPES, f"tensor {name!r}: expected a dtype such as F32, found {dtype!r}")
    expect(isinstance(shape, list) and len(shape) <= AXES_MAX and all(map(is_natural, shape)),
           f"tensor {name!r}: expected at most {AXES_MAX} sizes as shape")
    expect(isinstance(offsets, list) and len(offsets) == 2 and all(map(is_natural, offsets)),
           f"tensor {name!r}: expected two integers as data_offsets")
    kind = np.dtype(DTYPES[dtype])
    expect(math.prod(max(n, 1) for n in shape) < 1 << 64, f"tensor {name!r}: expected fewer than 2^64 elements")
    size = math.prod(shape) * kind.itemsize
    expect(offsets[0] == end, f"tensor {name!r}: expected its data at offset {end}, found {offsets[0]}")
    expect(offsets[1] == end + size, f"tensor {name!r}: expected {size} bytes for its shape, found offsets {offsets}")
    expect(offsets[1] <= len(data), f"tensor {name!r}: expected data up to offset {offsets[1]}, found {len(data)} bytes")
    array = np.frombuffer(data, kind, math.prod(shape), end)
    expect(dtype != "BOOL" or np.all(array <= 1), f"tensor {name!r}: expected a BOOL of 0 or 1")
    array = array.astype(kind.newbyteorder("="))
    return Tensor(dtype, (widen(array) if dtype == "BF16" else array).reshape(shape)), offsets[1]


def read(path):
    """All tensors of a safetensors file (name -> Tensor, in the order of the file) and its metadata."""
    with open(path, "rb") as file:
        content = file.read()
    try:
        expect(len(content) >= 8, f"expected a safetensors file of 8 bytes or more, found {len(content)}")
        (length,) = struct.unpack_from("<Q", content)
        expect(length <= HEADER_MAX, f"expected a header of at most {HEADER_MAX} bytes, found a length of {length}")
        expect(length <= len(content) - 8, f"expected a header of {length} bytes, found only {len(content) - 8}")
        expect(content[8:9] == b"{" and length, "expected a header that begins with '{'")
        header, data = parse_json(content[8:8 + length].decode("utf-8")), content[8 + length:]
        metadata = header.pop("__metadata__", {})
        expect(isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values()),
               "__metadata__: expected strings")
        tensors, end = {}, 0
        for name, entry in header.items():
            tensors[name], end = read_entry(name, entry, data, end)
        expect(end == len(data), f"expected {end} bytes of data, found {len(data) - end} more")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return tensors, metadata


def write(path, tensors, metadata=None, bf16=()):
    """Writes arrays (name -> array of float16, float32, float64, int32 or int64); those named in `bf16` as BF16."""
    names = {np.dtype(DTYPES[d]): d for d in ("F16", "F32", "F64", "I32", "I64")}
    header, parts, end = ({"__metadata__": metadata} if metadata else {}), [], 0
    for name, given in tensors.items():
        array = np.asarray(given)
        expect(name in bf16 or array.dtype in names, f"tensor {name!r}: expected F16, F32, F64, I32 or I64, found {array.dtype}")
        dtype = "BF16" if name in bf16 else names[array.dtype]
        part = (narrow(array) if name in bf16 else array).astype(DTYPES[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [end, end + len(part)]}
        parts.append(part)
        end += len(part)
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    folder, last = os.path.split(os.path.abspath(path))
    with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{last}.", delete=False) as file:
        try:
            file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))
            file.flush()
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def rms(x):
    """Root of the mean square, evaluated as libassay does: parts of the largest, summed in order."""
    x = np.abs(x).ravel()
    most = float(x.max())
    if most == 0 or not math.isfinite(most):
        return most
    parts = x / most
    return most * math.sqrt(float(np.add.accumulate(parts * parts)[-1]) / x.size)


@dataclasses.dataclass
class Verdict:
    name: str
    type: str  # of the elements: "F32"
    outcome: str  # "pass", "fail" or "not judged"
    decision: bool
    finite: bool  # no NaN, no infinity
    same_bits: bool  # exactly the golden's f32/ numbers
    worst: tuple  # index of the largest error, of the first different decision
    expected: float
    found: float
    different: int = 0  # decisions that differ
    error: float = 0.0  # max|theirs - truth|
    rms: float = 0.0  # root of the mean square of theirs - truth
    budget: float = 0.0  # max(2 B, 8 u S)
    honest: float = 0.0  # B
    scale: float = 0.0  # S
    ulp: float = 0.0  # distance of the precision's numbers at max|truth|


class Golden:
    """A golden file of format 2. golden["param/embed.token"] is an array, golden.metadata the strings,
    golden.results the names that can be judged."""

    def __init__(self, path):
        self.tensors, self.metadata = read(path)
        try:
            self._check()
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def __getitem__(self, name):
        return self.tensors[name].array

    def _object(self, key):
        expect(self.metadata.get(key), f"metadata: expected the key {key!r} (is it a golden file?)")
        made = parse_json(self.metadata[key])
        expect(isinstance(made, dict), f"metadata {key!r}: expected an object")
        return made

    def _check(self):
        found = self.metadata.get("assay.format")
        expect(found == "2", f"assay.format: expected '2', found {found!r} (is it a golden file?)")
        for key in ("id", "setting", "configuration", "arithmetic"):
            expect(self.metadata.get(key), f"metadata: expected the key {key!r}")
        truths = [name[4:] for name in self.tensors if name.startswith("f64/")]
        singles = [name[4:] for name in self.tensors if name.startswith("f32/")]
        expect(truths and set(truths) == set(singles), "expected the same tensors in f32/ and f64/")
        for name, t in self.tensors.items():
            self._check_tensor(name, t)
        self.calibration, self.scales, self.budgets, self.pools = map(
            self._object, ("calibration", "scales", "budgets", "pools"))
        runs, loss_scale = self.calibration.get("runs"), self.calibration.get("loss_scale")
        expect(is_natural(runs) and runs and is_size(loss_scale) and loss_scale
               and self.calibration.get("precisions") == list(ROUNDOFF), "calibration: expected runs, precisions, loss_scale")
        expect(set(self.scales) == set(truths) and all(map(is_size, self.scales.values())), "scales: expected one per tensor")
        expect(set(self.budgets) == set(truths), "budgets: expected them for every tensor")
        for name, honest in self.budgets.items():
            expect(isinstance(honest, list) and len(honest) == len(ROUNDOFF) and all(map(is_size, honest)),
                   f"budgets: {name!r}: expected {len(ROUNDOFF)} numbers from 0")
        expect(set(self.pools) <= set(truths) and all(isinstance(v, str) and v for v in self.pools.values()),
               "pools: expected names")
        self.results = [n[4:] if n.startswith("f64/") else n for n in self.tensors if n.startswith(("f64/", "decision/"))]

    def _check_tensor(self, name, t):
        first, _, rest = name.partition("/")
        known = {"f32": ("F32",), "f64": ("F64",), "decision": ("I32",)}
        given = {kind: ("F32", "I32") for kind in ("input", "param", "buffer", "draw")}
        expect(rest and t.dtype in (known | given).get(first, ()), f"expected tensors of a golden file, found {name!r} {t.dtype}")
        expect(np.all(np.isfinite(t.array)), f"tensor {name!r}: expected numbers, found a NaN or an infinity")
        expect(first not in known or t.array.size > 0, f"tensor {name!r}: expected elements")
        expect(first != "f32" or t.array.shape == self[f"f64/{rest}"].shape, f"tensor {name!r}: expected the shape of f64/")
        expect(first != "f64" or rest in ("output", "loss") or rest.startswith(("grad/", "trace/")),
               f"expected output, loss, grad/ or trace/ in f64/, found {name!r}")

    def result(self, name):
        """The result's name without "f32/" or "f64/"; ValueError with the nearest names if there is none."""
        bare = name[4:] if name.startswith(("f32/", "f64/")) else name
        if bare in self.results and not (bare != name and bare.startswith("decision/")):
            return bare
        expect(name not in self.tensors, f"{name!r} is given to a backend: expected what it computes")
        import difflib
        near = difflib.get_close_matches(name, self.results)
        raise ValueError(f"unknown tensor {name!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))

    def compare(self, name, array, precision="f32", dtype=None):
        """Judges an array as `name`. `dtype` is its type in the file it came from (None: its own)."""
        expect(precision in ROUNDOFF, f"precision: expected {', '.join(ROUNDOFF)}, found {precision!r}")
        name, array = self.result(name), np.asarray(array)
        own = {"f2": "F16", "f4": "F32", "f8": "F64", "i4": "I32", "i8": "I64"}.get(array.dtype.str[1:], str(array.dtype))
        dtype, decision = dtype or own, name.startswith("decision/")
        wanted = WHOLES if decision else REALS
        expect(dtype in wanted, f"{name}: expected {', '.join(wanted)}, found {dtype}")
        truth = self[name if decision else f"f64/{name}"]
        expect(array.shape == truth.shape, f"{name}: expected the shape {list(truth.shape)}, found {list(array.shape)}")
        return (self._judge_decision if decision else self._judge_numbers)(name, dtype, array, truth, precision)

    def _judge_decision(self, name, dtype, array, truth, precision):
        other = array != truth
        different, worst = int(np.count_nonzero(other)), np.unravel_index(int(np.argmax(other)), truth.shape)
        outcome = "pass" if not different else "fail" if precision == "f32" else "not judged"
        return Verdict(name, dtype, outcome, True, True, not different, tuple(map(int, worst)), float(truth[worst]),
                       float(array[worst]), different)

    def _judge_numbers(self, name, dtype, array, truth, precision):
        u, honest = ROUNDOFF[precision], float(self.budgets[name][list(ROUNDOFF).index(precision)])
        scale, numbers = float(self.scales[name]), array.astype(np.float64)
        same = dtype == "F32" and array.tobytes() == self[f"f32/{name}"].tobytes()
        budget, bad = max(2 * honest, 8 * u * scale), ~np.isfinite(numbers)
        error = spread = math.inf
        if finite := not bad.any():
            with np.errstate(over="ignore"):
                apart = np.abs(numbers - truth)
            error, spread = float(apart.max()), rms(apart)
        worst = np.unravel_index(int(np.argmax(apart if finite else bad)), truth.shape)
        judged = budget <= 0.5 * rms(truth)
        outcome = "fail" if not finite else "not judged" if not judged else "pass" if error <= budget else "fail"
        most = float(np.abs(truth).max())
        ulp = 2 * u * math.ldexp(1, math.frexp(most)[1] - 1) if most else 0.0
        return Verdict(name, dtype, outcome, False, finite, same, tuple(map(int, worst)), float(truth[worst]),
                       float(numbers[worst]), 0, error, spread, budget, honest, scale, ulp)

    def compare_file(self, path, precision="f32"):
        """Verdicts of all tensors of a safetensors file: decisions first, then in the golden's order."""
        tensors, _ = read(path)
        verdicts = {}
        try:
            expect(tensors, "expected tensors, found none")
            for name, t in tensors.items():
                v = self.compare(name, t.array, precision, t.dtype)
                expect(v.name not in verdicts, f"{v.name}: expected it once, found it under two names")
                verdicts[v.name] = v
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        order = {name: i for i, name in enumerate(self.results)}
        return sorted(verdicts.values(), key=lambda v: (not v.decision, order[v.name]))


def outcome_of(verdicts):
    outcomes = [v.outcome for v in verdicts]
    return "fail" if "fail" in outcomes else "pass" if "pass" in outcomes else "not judged"


def share(a, b):
    return 0.0 if a == 0 else math.inf if b == 0 else a / b


def as_json(golden, verdicts, precision):
    def number(x):
        return x if math.isfinite(x) else None

    def row(v):
        made = {"name": v.name, "type": v.type, "verdict": v.outcome, "same_bits": v.same_bits, "worst": list(v.worst),
                "expected": number(v.expected), "found": number(v.found)}
        if v.decision:
            return made | {"different": v.different}
        return made | {"max_error": number(v.error), "rms_error": number(v.rms), "budget": v.budget, "honest": v.honest,
                       "scale": v.scale, "max_in_budgets": number(share(v.error, v.budget)), "finite": v.finite,
                       "rms_in_budgets": number(share(v.rms, v.budget)), "max_in_ulps": number(share(v.error, v.ulp))}

    return {"id": golden.metadata["id"], "setting": golden.metadata["setting"], "precision": precision,
            "verdict": outcome_of(verdicts), "tensors": [row(v) for v in verdicts]}


def print_table(verdicts, precision, path):
    width = max(len(v.name) for v in verdicts)
    print(f"{'tensor':{width}}  max error / budget  rms / budget  ulp       verdict")
    for v in verdicts:
        numbers = f"{v.different} differ" if v.decision else (
            f"{share(v.error, v.budget):<18.3g}  {share(v.rms, v.budget):<12.3g}  {share(v.error, v.ulp):<8.3g}")
        where = f"  at {list(v.worst)}, expected {v.expected:.9g}, found {v.found:.9g}" if v.outcome == "fail" else ""
        print(f"{v.name:{width}}  {numbers:42}  {v.outcome}{where}")
    count = {o: sum(v.outcome == o for v in verdicts) for o in ("pass", "fail", "not judged")}
    print(f"{path}: {count['pass']} pass, {count['fail']} fail, {count['not judged']} not judged as {precision}")


def main():
    parser = argparse.ArgumentParser(description="Judges what a backend computed by a golden file.")
    parser.add_argument("golden")
    parser.add_argument("theirs")
    parser.add_argument("--precision", choices=list(ROUNDOFF), default="f32", help="the arithmetic of THEIRS (f32)")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    choice = parser.parse_args()
    try:
        golden = Golden(choice.golden)
        verdicts = golden.compare_file(choice.theirs, choice.precision)
    except (OSError, ValueError) as error:
        print(f"assay_golden: {error}", file=sys.stderr)
        return 2
    if choice.json:
        print(json.dumps(as_json(golden, verdicts, choice.precision), indent=1))
    else:
        print_table(verdicts, choice.precision, choice.theirs)
    return {"pass": 0, "fail": 1, "not judged": 2}[outcome_of(verdicts)]


if __name__ == "__main__":
    sys.exit(main())
