"""Options, tables, charts and measurements that the benchmarks share."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from karyotyping.arrays import Floats

CHART_SIZE = (920, 490)  # px, width and height
MAX_TICKS = 12  # of an x axis


def data_folder() -> Path:
    """Return the folder of the public evaluation sets, which ``KARYO_TEST_DATA`` names."""
    return Path(os.environ.get("KARYO_TEST_DATA", "../shared/data"))


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--json`` and ``--plot``."""
    parser.add_argument("--json", type=Path, help="file for every measured figure")
    parser.add_argument("--plot", type=Path, help="PNG for the chart")


def write_json(out: Path | None, measured: Mapping[str, object]) -> None:
    """Write the measured figures and the machine as JSON, if ``out`` is given."""
    if out:
        out.write_text(json.dumps({"machine": machine(), **measured}, indent=2))


def log_progress(line: str) -> None:
    """Write a line about a long run to stderr."""
    print(line, file=sys.stderr, flush=True)


def markdown(columns: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; ``str`` makes its cells.

    >>> print(markdown(("engine", "ms"), [("cpu", 2.5)]))
    | engine | ms |
    | --- | --- |
    | cpu | 2.5 |
    """
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(map(markdown_row, lines))


def markdown_row(cells: Iterable[object]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def print_row(*cells: object) -> None:
    """Print a row of a Markdown table that grows while a benchmark runs."""
    print(markdown_row(cells), flush=True)


def print_header(*columns: object) -> None:
    """Print a blank line and the header of a Markdown table."""
    print()
    print_row(*columns)
    print_row(*["---"] * len(columns))


def spread(values: Floats, digits: int) -> str:
    """Return median, smallest and largest value.

    >>> spread(np.array([1.0, 2.0, 6.0]), 1)
    '2.0 (1.0 to 6.0)'
    """
    return f"{np.median(values):.{digits}f} ({values.min():.{digits}f} to {values.max():.{digits}f})"


def machine() -> str:
    """Return one line about the machine: processor, cores, vector instructions, Python, load."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    wide = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8") if flag in flags]
    load = os.getloadavg()[0]
    return (
        f"{names[0] if names else processor}, {os.cpu_count()} cores ({', '.join(wide) or 'no wide vectors'}), "
        f"Python {platform.python_version()}, load {load:.1f}"
    )


def peak_mib() -> float:
    """Return the peak resident memory of this process's program, MiB; NaN outside Linux.

    ``ru_maxrss`` would count the memory of its parent at the fork.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), float("nan"))


def draw_lines(out: Path, title: str, x: str, y: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Write a PNG of lines over a logarithmic x; y begins at 0.

    Args:
        out: PNG.
        title: of the chart.
        x: label of the x axis.
        y: label of the y axis.
        series: (x, y) points by name.
    """
    from training.evaluation import charts  # noqa: PLC0415 - matplotlib is an extra

    figure, axes = charts.new_chart(title, x, y, width=CHART_SIZE[0], height=CHART_SIZE[1])
    for number, (name, points) in enumerate(series.items()):
        color = charts.SERIES[number % len(charts.SERIES)]
        axes.plot(*zip(*points, strict=True), "o-", color=color, markersize=5, linewidth=1.5, label=name)
    axes.set_xscale("log", base=2)
    ticks = sorted({point[0] for points in series.values() for point in points})
    if len(ticks) <= MAX_TICKS:  # else one at each power of two
        axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.xaxis.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, labelcolor=charts.INK, fontsize=10)
    figure.savefig(out)


def draw_bars(out: Path, title: str, y: str, bars: Mapping[str, Mapping[str, float]]) -> None:
    """Write a PNG of stacked bars.

    Args:
        out: PNG.
        title: of the chart.
        y: label of the y axis.
        bars: the heights of each bar's parts by name.
    """
    from training.evaluation import charts  # noqa: PLC0415 - matplotlib is an extra

    figure, axes = charts.new_chart(title, "", y, width=CHART_SIZE[0], height=CHART_SIZE[1])
    parts = dict.fromkeys(part for heights in bars.values() for part in heights)
    bottom = np.zeros(len(bars))
    for part, color in zip(parts, (*charts.SERIES, charts.MUTED), strict=False):
        heights = np.array([bar.get(part, 0.0) for bar in bars.values()])
        axes.bar([name.replace(", ", ",\n") for name in bars], heights, 0.5, bottom, color=color, label=part)
        bottom += heights
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, labelcolor=charts.INK, fontsize=10)
    figure.savefig(out)
