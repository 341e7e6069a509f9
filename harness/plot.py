#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws loss and accuracy of run records as PNG and SVG: a figure per suite, task, preset, data.
`plot.py tradeoff` draws accuracy against speed instead, `plot.py attention FILE.json` the maps of
`assay plot attention --json`, `plot.py measured FILE.json` a table of `assay measure`,
`plot.py bench FILE.json` a benchmark's measurements, --costs what
`assay cost` counted and timed against the number of tokens."""

import argparse
import csv
import itertools
import json
import math
import pathlib
import sys

FORMAT = "assay record 1"
BENCH_FORMAT = "assay bench 1"
MAPS_FORMAT = "assay attention 1"
MEASURED_FORMAT = "assay measurement 1"
# Okabe and Ito: told apart with every common form of colour blindness. More than seven variants
# differ by line style as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
# What is drawn of costs: columns of `assay cost --csv`.
COSTS = (("mixing_multiply_adds", "multiply-adds of mixing"), ("peak_bytes", "peak memory, bytes"),
         ("seconds", "time of a pass, seconds"))
STYLES = ("-", (0, (6, 2)), (0, (2, 1)), (0, (6, 1, 1, 1)))


class Failure(Exception):
    """A message for the user; the program ends with status 2."""


def record_files(paths):
    for path in map(pathlib.Path, paths):
        if path.is_dir():
            files = sorted(path.rglob("*.json"), key=lambda f: f.as_posix().encode())
            yield from (f for f in files if not any(p[0] == "." for p in f.relative_to(path).parts))
        else:
            yield path


def read_record(path):
    """What a figure needs of the record in a file; None for a table or a failure that was written beside it."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as reason:
        raise Failure(f"{path}: {reason.strerror}")
    except ValueError as reason:
        raise Failure(f"{path}: expected JSON: {reason}")
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT:
        if isinstance(found, str) and found.startswith(("assay table", "assay failure")):
            return None
        raise Failure(f'{path}: expected the format "{FORMAT}", found {json.dumps(found)}')
    try:
        cell, data = record["cell"], record["data"]
        section = (cell["suite"], cell["task"], cell["preset"], data["source"],
                   record["arithmetic"], record["profile"])
        row = (cell["variant"], cell["setting"])
        points = [(p["step"], p["loss"], p.get("accuracy", math.nan)) for p in record["curve"]]
        baselines = {b["name"]: b["correct"] / b["count"] for b in record["baselines"]}
        state = (record["final_sha256"], data["sha256"])
        metrics, cost = record["metrics"], record["cost"]
        reached = (100 * metrics["test_correct"] / metrics["test_count"],
                   cost["steps_per_second"], cost["peak_bytes"])
        return section, row, cell["seed"], (points, reached), baselines, state
    except (KeyError, TypeError, ZeroDivisionError) as reason:
        raise Failure(f"{path}: not a whole run record: {reason!r}")


def collect(paths):
    """{section: ({row: {seed: (points, reached)}}, {baseline: [accuracy, one per data set]})}"""
    sections, states, drawn = {}, {}, set()
    for path in record_files(paths):
        found = read_record(path)
        if found is None:
            continue
        section, row, seed, outcome, baselines, state = found
        first, known = states.setdefault((section, row, seed), (path, state))
        if known != state:
            raise Failure(f"{first} and {path}: two records of one cell whose results differ")
        rows, chances = sections.setdefault(section, ({}, {}))
        rows.setdefault(row, {})[seed] = outcome
        if (section, state[1]) not in drawn:
            drawn.add((section, state[1]))
            for name, accuracy in baselines.items():
                chances.setdefault(name, []).append(accuracy)
    if not sections:
        raise Failure("expected run records (*.json), found none")
    return sections


def over_seeds(seeds, column):
    """Steps, mean, lowest and highest over the seeds that have a value there."""
    values = {}
    for points, _ in seeds.values():
        for point in points:
            if not math.isnan(point[column]):
                values.setdefault(point[0], []).append(point[column])
    steps = sorted(values)
    return (steps, [math.fsum(values[s]) / len(values[s]) for s in steps],
            [min(values[s]) for s in steps], [max(values[s]) for s in steps])


def smooth(values, window):
    """Mean over the last `window` values (fewer at the start): losses of single steps are noisy."""
    return [math.fsum(values[max(0, i + 1 - window):i + 1]) / (i + 1 - max(0, i + 1 - window))
            for i in range(len(values))]


def name_of(row):
    return row[0] if row[1] == "default" else f"{row[0]} ({row[1]})"


def levels_of(chances):
    """[(mean accuracy of a trivial baseline, its name)], ascending"""
    return sorted((100 * math.fsum(v) / len(v), name) for name, v in chances.items())


def draw(plt, section, rows, chances, window):
    suite, task, preset, source, arithmetic, profile = section
    figure, (loss, accuracy) = plt.subplots(1, 2, figsize=(11, 5.2), sharex=True)
    looks = itertools.cycle([(c, s) for s in STYLES for c in COLOURS])
    for (row, seeds), (colour, style) in zip(sorted(rows.items()), looks):
        name = name_of(row)
        for axes, column, scale, span in ((loss, 1, 1, window), (accuracy, 2, 100, 1)):
            steps, mean, low, high = over_seeds(seeds, column)
            mean, low, high = ([scale * v for v in smooth(values, span)]
                               for values in (mean, low, high))
            axes.plot(steps, mean, color=colour, linestyle=style, markersize=4,
                      marker="o" if len(steps) <= 30 else None,
                      label=name if axes is loss else None)
            if len(seeds) > 1:
                axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
    for (level, name), style in zip(levels_of(chances), itertools.cycle(("--", "-.", ":"))):
        accuracy.axhline(level, color="#555555", linestyle=style, linewidth=1.6,
                         label=f"trivial: {name}")
    loss.set_ylabel("training loss" + (f" (mean of {window} points)" if window > 1 else ""))
    accuracy.set_ylabel("validation accuracy, %", labelpad=10)
    for axes in (loss, accuracy):
        axes.set_xlabel("step")
        axes.grid(True, color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
    origin = "generated data" if source == "generator" else f"real data: {source}"
    most = max(len(seeds) for seeds in rows.values())
    shade = f"; line: mean, band: range of {most} seeds" if most > 1 else ""
    made = f"{origin}; arithmetic {arithmetic}, {profile}{shade}"
    figure.suptitle(f"{suite} / {task}, preset {preset} ({made})", fontsize=13, parse_math=False)
    handles = [h for axes in (loss, accuracy) for h in axes.get_legend_handles_labels()[0]]
    columns = min(3, max(1, len(handles)))
    lines = -(-len(handles) // columns)
    legend = figure.legend(handles=handles, loc="lower center", ncol=columns, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    figure.tight_layout(rect=(0, (0.1 + 0.26 * lines) / 5.2, 1, 1))
    return figure


def file_names(sections):
    """suite-task-preset, with data, arithmetic and profile where figures differ only in those."""
    def plain(part):
        return "".join(c if c.isascii() and (c.isalnum() or c in "._") else "_" for c in part)
    for parts in (3, 4, 6):
        names = {section: "-".join(map(plain, section[:parts])) for section in sections}
        if len(set(names.values())) == len(names):
            return names
    raise Failure("two figures would have the same file name")


def draw_tradeoff(plt, section, rows, chances):
    """Means over seeds; the area of a mark is the peak memory, the bar the range of the seeds."""
    suite, task, preset, _, _, _ = section
    figure, axes = plt.subplots(figsize=(8.5, 6))
    looks = itertools.cycle([(c, m) for m in "osD^" for c in COLOURS])
    columns = {row: list(zip(*(reached for _, reached in seeds.values()))) for row, seeds in rows.items()}
    means = {row: [math.fsum(c) / len(c) for c in columns[row]] for row in sorted(rows)}
    largest = max(memory for _, _, memory in means.values()) or 1
    for (row, (accuracy, speed, memory)), (colour, marker) in zip(means.items(), looks):
        axes.vlines(speed, min(columns[row][0]), max(columns[row][0]), color=colour, linewidth=1.2)
        axes.scatter(speed, accuracy, s=600 * memory / largest, color=colour, marker=marker,
                     alpha=0.6, linewidth=0)
        axes.plot([], [], linestyle="", marker=marker, color=colour, markersize=8, label=name_of(row))
    for (level, name), style in zip(levels_of(chances), itertools.cycle(("--", "-.", ":"))):
        axes.axhline(level, color="#555555", linestyle=style, linewidth=1.4, label=f"trivial: {name}")
    axes.set_xlabel("training steps per second, as measured")
    axes.set_ylabel("test accuracy, %")
    axes.set_title(f"{suite} / {task}, preset {preset}; area: peak memory, largest "
                   f"{largest / 2**20:.1f} MiB", fontsize=12, parse_math=False)
    axes.margins(0.12)
    axes.grid(True, color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    legend = axes.legend(frameon=False, fontsize=10, ncol=3, loc="upper center",
                         bbox_to_anchor=(0.5, -0.13))
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def read_maps(path):
    """The maps in a file; "-" is the standard input."""
    try:
        maps = json.loads(sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8"))
    except ValueError as reason:
        raise Failure(f"{path}: expected JSON: {reason}")
    if not isinstance(maps, dict) or maps.get("format") != MAPS_FORMAT:
        raise Failure(f'{path}: expected the format "{MAPS_FORMAT}"')
    return maps


def draw_attention(plt, maps):
    """A row per block, a column per head; queries go down, keys to the right."""
    layers, tokens, padding = maps["layers"], maps["tokens"], maps["padding"]
    columns = max(len(layer["heads"]) for layer in layers)
    figure, grid = plt.subplots(len(layers), columns, squeeze=False, layout="constrained",
                                figsize=(0.6 + 3.4 * columns, 1.0 + 3.5 * len(layers)))
    values = [v for layer in layers for head in layer["heads"] for line in head for v in line]
    low, high = min(values), max(values)
    signed = low < -1e-6 * high
    bound = max(-low, high)
    look = {"cmap": "RdBu_r", "vmin": -bound, "vmax": bound} if signed else {
        "cmap": "Blues", "vmin": 0, "vmax": high}
    for layer, line in zip(layers, grid):
        for axes in line[len(layer["heads"]):]:
            axes.remove()
        for number, (head, axes) in enumerate(zip(layer["heads"], line)):
            front = len(head) - len(tokens)     # CLS
            names = ["CLS"] * max(front, 0) + tokens
            shown = max(1, len(head) - padding)
            image = axes.imshow([row[:shown] for row in head[:shown]], interpolation="nearest", **look)
            axes.set_title(f"{layer['name']}, head {number}", fontsize=10, parse_math=False)
            ticks = range(shown) if shown <= 40 and len(names) == len(head) else ()
            axes.set_xticks(ticks, [names[i] for i in ticks], rotation=90, fontsize=6, parse_math=False)
            axes.set_yticks(ticks, [names[i] for i in ticks], fontsize=6, parse_math=False)
    figure.colorbar(image, ax=grid[:, :].ravel().tolist(), shrink=0.6)
    trained = f"after {maps['steps']} steps" if maps["steps"] else "initial weights"
    figure.suptitle(f"{name_of((maps['variant'], maps['setting']))} on {maps['task']}, sample "
                    f"{maps['sample']}, {trained}: weight of the value of a token (right) in the "
                    "output of another (down)", fontsize=11, parse_math=False, wrap=True)
    return figure


def plot_attention(arguments):
    path = pathlib.Path(arguments.record)
    maps = read_maps(path)
    plt = pyplot()
    try:
        figure = draw_attention(plt, maps)
    except (KeyError, TypeError, ValueError, IndexError) as reason:
        raise Failure(f"{path}: not whole attention maps: {reason!r}")
    output = pathlib.Path(arguments.output)
    if output.suffix not in (".svg", ".png"):
        raise Failure(f"{output}: expected a file .svg or .png")
    save(figure, output.parent, output.stem, [output.suffix[1:]])


def plot_tradeoff(arguments):
    sections = collect(arguments.records)
    plt = pyplot()
    for section, name in sorted(file_names(sections).items()):
        figure = draw_tradeoff(plt, section, *sections[section])
        save(figure, arguments.output, f"{name}-tradeoff", ["svg"])
        plt.close(figure)


def read_costs(path):
    """[(label, {quantity: ([n], [value])})] of each paper's first setting in all its forms; rows
    with the same numbers, times aside, are one curve with several names."""
    needed = {"model", "id", "setting", "n", *(q for q, _ in COSTS)}
    try:
        with open(path, encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        missing = needed - set(lines[0] if lines else ())
        if missing:
            raise Failure(f"{path}: expected a table of `assay cost --csv`, without "
                          f"{', '.join(sorted(missing))}")
        first, rows = {}, {}
        for line in lines:
            if first.setdefault(line["id"], line["setting"]) != line["setting"]:
                continue
            row = rows.setdefault(line["model"], {q: ([], []) for q, _ in COSTS})
            for quantity, _ in COSTS:
                if line[quantity]:
                    row[quantity][0].append(int(line["n"]))
                    row[quantity][1].append(float(line[quantity]))
    except (OSError, UnicodeDecodeError, ValueError, TypeError, csv.Error) as reason:
        raise Failure(f"{path}: {reason}")
    curves = {}
    for name, row in rows.items():
        counts = tuple(tuple(row[q][1]) for q, _ in COSTS if q != "seconds")
        curves.setdefault(counts, ([], row))[0].append(name)
    return [(", ".join(names), row) for names, row in curves.values()]


def draw_costs(plt, curves):
    shown = [(q, title) for q, title in COSTS if any(row[q][0] for _, row in curves)]
    figure, panels = plt.subplots(1, len(shown), figsize=(5.2 * len(shown), 5.6), squeeze=False)
    looks = itertools.cycle([(c, s) for s in STYLES for c in COLOURS])
    for (name, row), (colour, style) in zip(curves, looks):
        for (quantity, _), axes in zip(shown, panels[0]):
            axes.loglog(*row[quantity], color=colour, linestyle=style, marker="o", markersize=4,
                        base=2, label=name)
    for (_, title), axes in zip(shown, panels[0]):
        axes.set_yscale("log", base=10)
        axes.set_title(title)
        axes.set_xlabel("tokens")
        axes.grid(True, color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
    handles = panels[0][0].get_legend_handles_labels()[0]
    columns = min(3, len(handles))
    legend = figure.legend(handles=handles, loc="lower center", ncol=columns, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    figure.tight_layout(rect=(0, (0.1 + 0.28 * -(-len(handles) // columns)) / 5.6, 1, 1))
    return figure


def pyplot():
    """matplotlib for files, with a look of its own: the user's style would change the bytes."""
    try:
        import matplotlib
    except ImportError:
        raise Failure("expected matplotlib (Debian: python3-matplotlib), found none")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    matplotlib.rcdefaults()
    # Large type, so that the figure is still read at half its width.
    plt.rcParams.update({"svg.hashsalt": "assay", "svg.fonttype": "path", "font.size": 14,
                         "lines.linewidth": 2.2, "axes.spines.top": False,
                         "axes.spines.right": False, "savefig.dpi": 150})
    return plt


def save(figure, folder, name, suffixes=("png", "svg")):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    anonymous = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
    for suffix in suffixes:
        path = folder / f"{name}.{suffix}"
        hidden = folder / f".{name}.{suffix}"
        figure.savefig(hidden, format=suffix, metadata=anonymous[suffix], bbox_inches="tight")
        hidden.replace(path)
        print(path)


def plot(arguments):
    if arguments.costs:
        figures = [(path.stem, lambda plt, path=path: draw_costs(plt, read_costs(path)))
                   for path in map(pathlib.Path, arguments.records)]
    else:
        sections = collect(arguments.records)
        figures = [(name, lambda plt, s=section: draw(plt, s, *sections[s], arguments.smooth))
                   for section, name in sorted(file_names(sections).items())]
    plt = pyplot()
    for name, make in figures:
        figure = make(plt)
        save(figure, arguments.output, name)
        plt.close(figure)


def bench_products(axes, records):
    """Ours / OpenBLAS over the size; with two threads the faster of OpenBLAS's ways."""
    kinds = list(dict.fromkeys(r["kind"] for r in records))
    for kind, colour in zip(kinds, COLOURS):
        for threads, style in ((1, STYLES[0]), (2, STYLES[1])):
            points = [(r["n"], r["ours"] / max(v for k, v in r.items() if k.startswith("OpenBLAS")))
                      for r in records if r["kind"] == kind and r["threads"] == threads]
            axes.plot(*zip(*points), color=colour, linestyle=style, marker="o", markersize=5,
                      label=kind if threads == 1 else None)
    axes.axhline(1, color="#555555", linewidth=1.6)
    axes.set_xscale("log", base=2)
    sizes = sorted({r["n"] for r in records})
    axes.set_xticks(sizes, map(str, sizes))
    axes.set_xlabel("n (dashed: two threads)")
    axes.set_title("matrix product, times OpenBLAS")


def bench_bars(axes, names, series, title):
    """Groups of bars: series is {label: a value or NaN per name}."""
    width = 0.8 / len(series)
    for i, (label, values) in enumerate(series.items()):
        places = [j + (i - (len(series) - 1) / 2) * width for j in range(len(names))]
        axes.bar(places, values, width, label=label, color=COLOURS[i])
    axes.set_xticks(range(len(names)), names, fontsize=11 if len(names) <= 8 else 8)
    axes.set_title(title)


def bench_panels(records):
    """What can be drawn of these records: functions of the axes."""
    of = {}
    for record in records:
        of.setdefault(record["subject"], []).append(record)
    products = [r for r in of.get("product", ()) if any(k.startswith("OpenBLAS") for k in r)]
    if products:
        yield lambda axes: bench_products(axes, products)
    functions = of.get("elementary")
    if functions:
        yield lambda axes: bench_bars(
            axes, [r["function"] for r in functions],
            {who: [r.get(who, {}).get("ns", math.nan) for r in functions]
             for who in ("ours", "libm", "SLEEF")}, "ns per element")
    shares = of.get("attention")
    if shares:
        yield lambda axes: bench_bars(
            axes, [f"n {r['n']}\nw {r['width']}" + ("\ncausal" if r["causal"] else "")
                   for r in shares],
            {way: [r[way] / r["product"] for r in shares] for way in ("forward", "backward")},
            "attention, share of our product's rate")
    steps = [r for r in of.get("step", ()) if "PyTorch" in r]
    if steps:
        yield lambda axes: bench_bars(
            axes, [r["shape"].replace(", m", ",\nm").replace(", n", ",\nn") for r in steps],
            {"time": [r["PyTorch"]["seconds"] / r["ours"]["seconds"] for r in steps],
             "memory": [r["PyTorch"]["peak_bytes"] / r["ours"]["peak_bytes"] for r in steps]},
            "training step, PyTorch / ours")


def plot_bench(arguments):
    path = pathlib.Path(arguments.record)
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as reason:
        raise Failure(f"{path}: expected JSON: {reason}")
    if not isinstance(run, dict) or run.get("format") != BENCH_FORMAT:
        raise Failure(f'{path}: expected the format "{BENCH_FORMAT}"')
    try:
        panels = list(bench_panels(run["records"]))
        title = f"{run['level']}, {run['compiler']}, {run['processor']}"
        if not panels:
            raise Failure(f"{path}: expected measurements beside a peer, found none")
        plt = pyplot()
        columns = min(2, len(panels))
        lines = -(-len(panels) // columns)
        figure, grid = plt.subplots(lines, columns, figsize=(8 * columns, 5.2 * lines), squeeze=False)
        for axes in grid.flat[len(panels):]:
            axes.remove()
        for axes, panel in zip(grid.flat, panels):
            panel(axes)
            axes.set_ylim(bottom=0)
            axes.grid(True, axis="y", color="#dddddd", linewidth=0.8)
            axes.set_axisbelow(True)
            axes.legend(frameon=False, fontsize=11)
    except (KeyError, TypeError, ZeroDivisionError) as reason:
        raise Failure(f"{path}: not a whole benchmark: {reason!r}")
    figure.suptitle(title, parse_math=False)
    figure.tight_layout()
    save(figure, arguments.output, path.stem, ["svg"])


def read_measurement(path):
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if table["format"] != MEASURED_FORMAT:
            raise Failure(f'{path}: expected the format "{MEASURED_FORMAT}", found '
                          f'{json.dumps(table["format"])}')
        if not table["rows"] or any(len(r) != len(table["columns"]) for r in table["rows"]):
            raise Failure(f"{path}: expected rows of {len(table['columns'])} columns")
        return table
    except OSError as reason:
        raise Failure(f"{path}: {reason.strerror}")
    except (KeyError, TypeError, ValueError) as reason:
        raise Failure(f"{path}: not a whole measurement: {reason!r}")


def plot_measured(arguments):
    path = pathlib.Path(arguments.record)
    table = read_measurement(path)
    against, plt = table["against"], pyplot()
    shown = [j for j in range(1, len(table["columns"])) if j != against]
    figure, panels = plt.subplots(1, len(shown), figsize=(5.6 * len(shown), 4.6), squeeze=False)
    lines = {}
    for row in table["rows"]:
        lines.setdefault(row[0], []).append(row)
    for axes, j in zip(panels[0], shown):
        axes.set_title(table["columns"][j], parse_math=False, fontsize=14)
        looks = itertools.cycle([(c, s) for s in STYLES for c in COLOURS])
        if against:
            for (name, rows), (colour, style) in zip(lines.items(), looks):
                points = sorted((r[against], r[j]) for r in rows if None not in (r[against], r[j]))
                axes.plot(*zip(*points) if points else ((), ()), color=colour, linestyle=style,
                          marker="o", markersize=4, label=name)
            axes.set_xlabel(table["columns"][against], parse_math=False)
        else:
            rows = [r for r in table["rows"] if r[j] is not None]
            axes.barh([r[0] for r in rows], [r[j] for r in rows], color=COLOURS[0])
            axes.invert_yaxis()
        value, other = (axes.set_yscale, axes.set_xscale) if against else (axes.set_xscale, None)
        if table["logarithmic"] & 2:
            value("log")
        if table["logarithmic"] & 1 and other:
            other("log")
        axes.grid(True, color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
    if against and len(lines) > 1:
        legend = panels[0][-1].legend(frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5))
        for text in legend.get_texts():
            text.set_parse_math(False)
    figure.tight_layout()
    save(figure, arguments.output, path.stem, ["svg"])
    plt.close(figure)


def one_file(words, name, description, record):
    parser = argparse.ArgumentParser(prog=f"plot.py {name}", description=description)
    parser.add_argument("record", metavar="FILE", help=record)
    parser.add_argument("-o", "--output", default=".", metavar="FOLDER",
                        help="where the figure goes (default: here)")
    return parser.parse_args(words)


def measured_arguments(words):
    return one_file(words, "measured", "Draws a table of `assay measure`, as SVG.", "ID.NAME.json")


def bench_arguments(words):
    return one_file(words, "bench", "Draws the measurements that `make bench` made, as SVG.",
                    "results/bench/LEVEL-COMPILER.json")


def tradeoff_arguments(words):
    parser = argparse.ArgumentParser(
        prog="plot.py tradeoff", description="Draws accuracy against speed, with memory as area, as "
        "SVG: a figure per suite, task, preset, data.",
        epilog="example: plot.py tradeoff results/demo --output results/demo")
    parser.add_argument("records", nargs="+", help="run records (JSON), or folders of them")
    parser.add_argument("-o", "--output", default=".", metavar="FOLDER",
                        help="where the figures go (default: here)")
    return parser.parse_args(words)


def attention_arguments(words):
    parser = argparse.ArgumentParser(
        prog="plot.py attention", description="Draws what `assay plot attention --json` printed.")
    parser.add_argument("record", metavar="FILE", help="the maps (JSON); -: the standard input")
    parser.add_argument("-o", "--output", default="attention.svg", metavar="FILE",
                        help="the figure, .svg or .png (default: attention.svg)")
    return parser.parse_args(words)


SUBJECTS = {"bench": (bench_arguments, plot_bench), "tradeoff": (tradeoff_arguments, plot_tradeoff),
            "attention": (attention_arguments, plot_attention),
            "measured": (measured_arguments, plot_measured)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  harness/plot.py --output results/demo results/demo/records\n\n"
               "draws every variant found below results/demo/records, with the trivial baselines\n"
               "dashed, into results/demo/lra-listops-tiny.png and .svg. The same records give\n"
               "the same bytes.\n\n  harness/plot.py bench results/bench/x86-64-v3-gcc.json --output results/bench\n\n"
               "draws the measurements of `make bench`.")
    parser.add_argument("records", nargs="+", help="run records (JSON), or folders of them; or "
                        "tables of costs (CSV)")
    parser.add_argument("-c", "--costs", action="store_true", help="draw tables of costs")
    parser.add_argument("-o", "--output", default=".", metavar="FOLDER",
                        help="where the figures go (default: here)")
    parser.add_argument("-s", "--smooth", type=int, default=1, metavar="N",
                        help="draw the loss as the mean of the last N points (default: 1)")
    read, make = SUBJECTS.get(sys.argv[1] if len(sys.argv) > 1 else None, (None, plot))
    arguments = read(sys.argv[2:]) if read else parser.parse_args()
    if not read and arguments.smooth < 1:
        parser.error("--smooth: expected an integer from 1 up")
    try:
        make(arguments)
    except (Failure, OSError) as reason:
        print(f"plot.py: {reason}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
