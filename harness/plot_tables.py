# SPDX-License-Identifier: Apache-2.0
"""Figures of tables: what papers cost, what a benchmark measured, what a paper reasons about."""

import csv
import itertools
import json
import math
import pathlib

from plot_look import COLOURS, Failure, STYLES, pyplot, save

BENCH_FORMAT = "assay bench 1"
MEASURED_FORMAT = "assay measurement 1"
# What is drawn of costs: columns of `assay cost --csv`.
COSTS = (("mixing_multiply_adds", "multiply-adds of mixing"), ("peak_bytes", "peak memory, bytes"),
         ("seconds", "time of a pass, seconds"))


# More curves than colours and styles tell apart: then only the first form of each paper.
MANY_CURVES = 28
# How the work of mixing grows from the last length but one to the last.
GROWTHS = ((1.25, "mixing that grows as n"), (1.75, "between n and n²"),
           (math.inf, "mixing that grows as n²"))


def read_costs(path):
    """[(label, {quantity: ([n], [value])})] of each paper's first setting in its forms; rows
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
            row = rows.setdefault((line["id"], line["model"]), {q: ([], []) for q, _ in COSTS})
            for quantity, _ in COSTS:
                if line[quantity]:
                    row[quantity][0].append(int(line["n"]))
                    row[quantity][1].append(float(line[quantity]))
    except (OSError, UnicodeDecodeError, ValueError, TypeError, csv.Error) as reason:
        raise Failure(f"{path}: {reason}")
    if len(rows) > MANY_CURVES:
        form = {}
        for paper, model in rows:
            form.setdefault(paper, model)
        rows = {key: row for key, row in rows.items() if form[key[0]] == key[1]}
    curves = {}
    for (_, name), row in rows.items():
        counts = tuple(tuple(row[q][1]) for q, _ in COSTS if q != "seconds")
        curves.setdefault(counts, ([], row))[0].append(name)
    return [(",\n".join(names), row) for names, row in curves.values()]


def growth(row):
    """Which of GROWTHS: the slope between the last two lengths."""
    tokens, work = row["mixing_multiply_adds"]
    if len(tokens) < 2 or min(work[-2:]) <= 0:
        return 0
    slope = math.log(work[-1] / work[-2]) / math.log(tokens[-1] / tokens[-2])
    return next(i for i, (bound, _) in enumerate(GROWTHS) if slope < bound)


def draw_costs(plt, curves):
    """A row of panels for each growth, with its own legend; the first curve is in all of them."""
    shown = [(q, title) for q, title in COSTS if any(row[q][0] for _, row in curves)]
    groups = [(title, [curve for curve in curves if growth(curve[1]) == i])
              for i, (_, title) in enumerate(GROWTHS)]
    groups = [(title, group) for title, group in groups if group]
    heights = [max(4.6, 0.6 + 0.26 * sum(1 + name.count("\n") for name, _ in group))
               for _, group in groups]
    figure, panels = plt.subplots(len(groups), len(shown), squeeze=False, sharex="all",
                                  sharey="col", figsize=(5.2 * len(shown), sum(heights)),
                                  gridspec_kw={"height_ratios": heights}, layout="constrained")
    for (heading, group), axes_of_row in zip(groups, panels):
        looks = itertools.cycle([(c, s) for s in STYLES for c in COLOURS[:-1]])
        if curves[0] not in group:
            group = [curves[0], *group]
        for curve in group:
            colour, style = (COLOURS[-1], STYLES[0]) if curve is curves[0] else next(looks)
            for (quantity, _), axes in zip(shown, axes_of_row):
                axes.loglog(*curve[1][quantity], color=colour, linestyle=style, marker="o",
                            markersize=4, base=2, label=curve[0])
        for (_, title), axes in zip(shown, axes_of_row):
            axes.set_yscale("log", base=10)
            axes.set_title(title)
            axes.set_xlabel("tokens")
            axes.tick_params(labelbottom=True, labelleft=True)
            axes.grid(True, color="#dddddd", linewidth=0.8)
            axes.set_axisbelow(True)
        legend = axes_of_row[-1].legend(loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False,
                                        fontsize=11, title=heading, title_fontsize=12)
        legend.set_alignment("left")
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


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
