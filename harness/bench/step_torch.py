#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""PyTorch's side of the training step: the model that its users get from nn.TransformerEncoderLayer,
from our initial weights, on the same samples.

    step_torch.py FILE            commands on the standard input, as `step` takes them
    step_torch.py FILE --double N the losses of N steps in binary64
"""

import json
import struct
import sys
import time


def peak_resident():
    """Bytes; of this program alone, as in step.c."""
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def read_archive(path):
    """Metadata, and tensors by name, of a safetensors file."""
    import torch
    kinds = {"F32": torch.float32, "I32": torch.int32}
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    numbers = {k: float(v) for k, v in header.pop("__metadata__").items()}
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = torch.frombuffer(data[begin:end], dtype=kinds[entry["dtype"]]).reshape(entry["shape"])
    return numbers, tensors


def make_model(number, weight):
    """The reference model in PyTorch's layers. Ours are [in, out], PyTorch's [out, in]."""
    import torch
    from torch import nn

    def size(name):
        return int(number[name])

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            width = size("width")
            self.token = nn.Embedding(size("vocab"), width)
            self.positions = nn.Parameter(torch.empty(size("length"), width))
            layer = nn.TransformerEncoderLayer(
                width, size("heads"), size("hidden"), dropout=0.0, activation="gelu",
                layer_norm_eps=number["norm_eps"], batch_first=True, norm_first=True)
            final = nn.LayerNorm(width, eps=number["norm_eps"])
            self.stack = nn.TransformerEncoder(layer, size("layers"), norm=final)
            self.head = nn.Linear(width, size("classes"))

        def forward(self, ids):
            return self.head(self.stack(self.token(ids) + self.positions).mean(dim=1))

    model = Model()
    rest = dict(weight)

    def take(name):
        return rest.pop(name)

    def linear(name):
        return {"weight": take(f"{name}.weight").T, "bias": take(f"{name}.bias")}

    def norm(name):
        return {"weight": take(f"{name}.gain"), "bias": take(f"{name}.bias")}

    state = {"token.weight": take("embed.token"), "positions": take("embed.positions")}
    parts = {"stack.norm": norm("final"), "head": linear("head.output")}
    for i in range(size("layers")):
        ours, theirs = f"block.{i}", f"stack.layers.{i}"
        queries = [linear(f"{ours}.mixer.{part}") for part in ("query", "key", "value")]
        for kind in ("weight", "bias"):
            state[f"{theirs}.self_attn.in_proj_{kind}"] = torch.cat([part[kind] for part in queries])
        parts[f"{theirs}.self_attn.out_proj"] = linear(f"{ours}.mixer.output")
        parts[f"{theirs}.linear1"] = linear(f"{ours}.ffn.in")
        parts[f"{theirs}.linear2"] = linear(f"{ours}.ffn.out")
        parts[f"{theirs}.norm1"] = norm(f"{ours}.norm1")
        parts[f"{theirs}.norm2"] = norm(f"{ours}.norm2")
    state.update({f"{part}.{kind}": value for part, pair in parts.items() for kind, value in pair.items()})
    if rest:
        raise ValueError(f"weights without a place in PyTorch's model: {sorted(rest)}")
    model.load_state_dict(state, strict=True)
    return model


def main():
    start = peak_resident()
    import torch
    if len(sys.argv) not in (2, 4) or (len(sys.argv) == 4 and sys.argv[2] != "--double"):
        print(__doc__, file=sys.stderr)
        return 2
    number, tensor = read_archive(sys.argv[1])
    torch.set_num_threads(int(number["threads"]))
    ids, label = tensor.pop("ids").long(), tensor.pop("label").long()
    model = make_model(number, tensor)
    if len(sys.argv) == 4:
        model = model.double()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=number["rate"],
                                  betas=(number["beta1"], number["beta2"]),
                                  eps=number["eps"], weight_decay=number["decay"])
    imported = peak_resident()

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(model(ids), label)
        loss.backward()
        optimizer.step()
        return loss.item()

    if len(sys.argv) == 4:
        print(json.dumps({"subject": "double", "losses": [step() for _ in range(int(sys.argv[3]))]}))
        return 0
    print(json.dumps({"subject": "library", "PyTorch": torch.__version__}), flush=True)
    for line in sys.stdin:
        if line == "step\n":
            began = time.perf_counter()
            loss = step()
            print(json.dumps({"subject": "step", "seconds": time.perf_counter() - began, "loss": loss}),
                  flush=True)
        elif line == "memory\n":
            print(json.dumps({"subject": "memory", "start_bytes": start, "imported_bytes": imported,
                              "peak_bytes": peak_resident()}), flush=True)
        else:
            print(f"step_torch.py: expected step or memory, found {line!r}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
