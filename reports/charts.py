"""Charts of reports, drawn by matplotlib, which is an extra."""

from __future__ import annotations

import base64
import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.dates import AutoDateLocator

from db.pipelines import SHORT_DIGEST
from reports.catalogue import Chart
from training.evaluation.charts import SERIES, new_chart

WIDTH, HEIGHT = 1100, 480  # px
MAX_BARS = 26
MAX_TICKS = 12
TICK_ANGLE = 40  # degrees

Row = Mapping[str, Any]
Series = dict[str, dict[Any, float]]


def draw(chart: Chart, title: str, rows: Sequence[Row]) -> str | None:
    """Return the chart of a report as a base64 PNG; None without a value to draw.

    Args:
        chart: its columns.
        title: above the chart.
        rows: of the report, in its order.
    """
    series = sum_bars(chart, rows) if chart.kind == "bars" else find_lines(chart, rows)
    if not series:
        return None
    hidden = f"the {len(SERIES)} lines with the most points" if len(series) > len(SERIES) else ""
    figure, axes = new_chart(title, chart.x, chart.label, subtitle=hidden, width=WIDTH, height=HEIGHT)
    for (name, points), colour in zip(series.items(), SERIES, strict=False):
        if chart.kind == "bars":
            axes.bar(list(points), list(points.values()), color=colour)
        else:
            axes.plot(list(points), list(points.values()), color=colour, marker="o", label=name)
    axes.set_ylim(bottom=0)
    if chart.kind == "lines":
        axes.xaxis.set_major_locator(AutoDateLocator(maxticks=MAX_TICKS))  # type: ignore[no-untyped-call]
        figure.legend(loc="outside right upper", frameon=False, labelcolor="linecolor", fontsize=11)
    axes.tick_params("x", labelrotation=TICK_ANGLE)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return base64.b64encode(stream.getvalue()).decode("ascii")


def sum_bars(chart: Chart, rows: Sequence[Row]) -> Series:
    """Return the sums of the first ``y`` by ``x``: the largest ones, numbers before words.

    >>> rows = [{"class": "X", "edits": 2}, {"class": "10", "edits": 1}, {"class": "X", "edits": 3}]
    >>> sum_bars(Chart("class", ("edits",), "edits", kind="bars"), rows)
    {'edits': {'10': 1, 'X': 5}}
    """
    sums: Counter[str] = Counter()
    for row in rows:
        sums[str(row[chart.x])] += row[chart.y[0]] or 0
    largest = {name for name, _ in sums.most_common(MAX_BARS)}
    names = sorted(largest, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
    return {chart.y[0]: {name: sums[name] for name in names}} if sums else {}


def find_lines(chart: Chart, rows: Sequence[Row]) -> Series:
    """Return the points of each line, those with the most points first.

    >>> rows = [{"week": 1, "name": "a", "score": 0.5}, {"week": 2, "name": "a", "score": None}]
    >>> find_lines(Chart("week", ("score",), "score", by=("name",)), rows)
    {'a': {1: 0.5}}
    """
    found: defaultdict[str, dict[Any, float]] = defaultdict(dict)
    for row in rows:
        for column in chart.y:
            if row[column] is not None:
                name = " ".join(str(row[item] or "not named")[:SHORT_DIGEST] for item in chart.by)
                found[name if len(chart.y) == 1 else f"{column} {name}".strip()][row[chart.x]] = row[column]
    return dict(sorted(found.items(), key=lambda line: -len(line[1])))
