# SPDX-License-Identifier: Apache-2.0
"""Golden files for a backend in Python: safetensors read and written with NumPy alone.

    metadata, tensors = read("reference.safetensors")
    c = configuration(metadata)                         c.heads, c.position, c.norm_eps, ...
    write("theirs.safetensors", {"output": logits, "loss": loss})
"""

import json
import math
import os
import tempfile
import types

import numpy

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}
HEADER_MAX = 16 << 20


def read(path):
    """(metadata, tensors): two dictionaries, of strings and of arrays. BF16 becomes float32.
    ValueError says what is wrong with the file."""
    with open(path, "rb") as file:
        data = file.read()
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(len(data) - 8, HEADER_MAX):
        raise ValueError(f"{path}: expected a safetensors file, found no header")
    try:
        header = json.loads(data[8:8 + size])
        metadata = header.pop("__metadata__", {})
        return metadata, {name: _array(entry, data[8 + size:]) for name, entry in header.items()}
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as reason:
        raise ValueError(f"{path}: not a whole safetensors file: {reason!r}") from None


def _array(entry, data):
    begin, end = entry["data_offsets"]
    dtype, shape = numpy.dtype(DTYPES[entry["dtype"]]), entry["shape"]
    if not 0 <= begin <= end <= len(data) or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"expected data for shape {shape}, found bytes {begin} to {end}")
    array = numpy.frombuffer(data[begin:end], dtype).reshape(shape)
    if entry["dtype"] == "BF16":
        array = (array.astype("<u4") << 16).view("<f4")
    return array


def write(path, tensors, metadata=None):
    """Writes arrays by name, all at once or not at all. uint16 stands for the bits of BF16."""
    header, parts, offset = {}, [], 0
    if metadata:
        header["__metadata__"] = metadata
    for name, array in tensors.items():
        array = numpy.asarray(array)
        dtype = next((d for d, n in DTYPES.items() if numpy.dtype(n) == array.dtype), None)
        if dtype is None:
            raise ValueError(f"{name}: expected one of {', '.join(DTYPES)}, found {array.dtype}")
        parts.append(array.astype(DTYPES[dtype]).tobytes())
        header[name] = {"dtype": dtype, "shape": list(array.shape),
                        "data_offsets": [offset, offset + len(parts[-1])]}
        offset += len(parts[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    _replace(path, len(text).to_bytes(8, "little") + text + b"".join(parts))


def _replace(path, data):
    handle, scratch = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".theirs-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(scratch, path)
    except BaseException:
        os.unlink(scratch)
        raise


def configuration(metadata):
    """The golden's "name=value ..." as attributes: numbers as numbers, choices as text."""
    def value(text):
        for kind in int, float:
            try:
                return kind(text)
            except ValueError:
                pass
        return text
    if "configuration" not in metadata or "id" not in metadata:
        raise ValueError("expected a golden file, found no id and configuration in its metadata")
    fields = (field.partition("=") for field in metadata["configuration"].split())
    return types.SimpleNamespace(**{name: value(text) for name, _, text in fields})


def loss_scale(metadata):
    """By how much the loss is multiplied before an fp16 backward pass. Gradients are written
    divided by it again."""
    return json.loads(metadata.get("calibration", "{}")).get("loss_scale", 1)
