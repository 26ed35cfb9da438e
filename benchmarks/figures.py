"""What the benchmarks share: Markdown tables, line charts, the machine described, memory of a process."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from training.evaluation.page import INK, PALE, RULE, SERIES, Page, Point

WIDTH, HEIGHT = 640, 360
LEFT, ABOVE, RIGHT, BELOW = 90, 60, 190, 70


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """``--json`` and ``--plot``."""
    parser.add_argument("--json", type=Path, help="file for everything that was measured")
    parser.add_argument("--plot", type=Path, help="PNG to draw it in")


def keep(out: Path | None, measured: Mapping[str, object]) -> None:
    """Write what was measured, and on which machine, as JSON, if that is wanted."""
    if out:
        out.write_text(json.dumps({"machine": machine(), **measured}, indent=2))


def tell(words: str) -> None:
    """How far a long run is, for whoever waits for it."""
    print(words, file=sys.stderr, flush=True)


def markdown(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; its cells are what ``str`` makes of them."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def machine() -> str:
    """One line about the machine that a figure was measured on."""
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
    """Peak resident memory of this process since it started its program; NaN outside Linux.

    ``ru_maxrss`` would count what its parent held when it forked.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), float("nan"))


def draw_lines(out: Path, title: str, x: str, y: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Write a PNG of lines over a logarithmic x; y begins at 0. ``series`` holds (x, y) points by name."""
    points = [point for line in series.values() for point in line]
    left, right = (np.log2(limit(point[0] for point in points)) for limit in (min, max))
    top = _ceiling(max(point[1] for point in points))
    page = Page(LEFT + WIDTH + RIGHT, ABOVE + HEIGHT + BELOW)

    def at(point: Point) -> Point:
        share = (np.log2(point[0]) - left) / max(right - left, 1e-9)
        return LEFT + WIDTH * float(share), ABOVE + HEIGHT * (1 - point[1] / top)

    for value in np.linspace(0, top, 6).tolist():
        height = ABOVE + HEIGHT * (1 - value / top)
        page.line([(LEFT, height), (LEFT + WIDTH, height)], RULE)
        page.text((LEFT - 10, height), f"{value:g}", ink=PALE, anchor="rm")
    for value in sorted({point[0] for point in points}):
        page.text((at((value, 0))[0], ABOVE + HEIGHT + 16), f"{value:g}", ink=PALE)
    for number, (name, line) in enumerate(series.items()):
        color = SERIES[number % len(SERIES)]
        page.line([at(point) for point in line], color, 2)
        for point in line:
            page.dot(at(point), 3, color)
        page.line([(LEFT + WIDTH + 20, ABOVE + 20 * number), (LEFT + WIDTH + 44, ABOVE + 20 * number)], color, 2)
        page.text((LEFT + WIDTH + 50, ABOVE + 20 * number), name, anchor="lm")
    page.text((LEFT, 28), title, size=18, ink=INK, anchor="lm")
    page.text((LEFT + WIDTH / 2, ABOVE + HEIGHT + 46), x, size=15)
    page.upwards((24, ABOVE + HEIGHT / 2), y)
    Image.fromarray(page.pixels()).save(out)


def draw_bars(out: Path, title: str, y: str, bars: Mapping[str, Mapping[str, float]]) -> None:
    """Write a PNG of stacked bars. ``bars`` holds the parts of each by name; the parts are named beside them."""
    top = _ceiling(max(sum(parts.values()) for parts in bars.values()))
    page = Page(LEFT + WIDTH + RIGHT, ABOVE + HEIGHT + BELOW)
    for value in np.linspace(0, top, 6).tolist():
        height = ABOVE + HEIGHT * (1 - value / top)
        page.line([(LEFT, height), (LEFT + WIDTH, height)], RULE)
        page.text((LEFT - 10, height), f"{value:g}", ink=PALE, anchor="rm")
    colors = dict(zip(dict.fromkeys(part for parts in bars.values() for part in parts), (*SERIES, PALE), strict=False))
    step = WIDTH / len(bars)
    for number, (name, parts) in enumerate(bars.items()):
        left, below = LEFT + step * (number + 0.25), float(ABOVE + HEIGHT)
        for part, value in parts.items():
            above = below - HEIGHT * value / top
            page.box(left, above, left + step / 2, below, colors[part])
            below = above
        page.text((left + step / 4, ABOVE + HEIGHT + 16), name, ink=PALE)
    for number, (part, color) in enumerate(colors.items()):
        page.line([(LEFT + WIDTH + 20, ABOVE + 20 * number), (LEFT + WIDTH + 44, ABOVE + 20 * number)], color, 8)
        page.text((LEFT + WIDTH + 50, ABOVE + 20 * number), part, anchor="lm")
    page.text((LEFT, 28), title, size=18, ink=INK, anchor="lm")
    page.upwards((24, ABOVE + HEIGHT / 2), y)
    Image.fromarray(page.pixels()).save(out)


def _ceiling(value: float) -> float:
    """The next of 1, 2, 2.5, 5, 10 times a power of ten; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value))
