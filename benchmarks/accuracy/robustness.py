"""Chromosome counts and classes after changes of an image that keep its chromosomes.

    python -m benchmarks.accuracy.robustness [--images 4] [--kinds NAME ...] [--data DIR] [--plot FILE] [--json FILE]
        [--keep DIR]

Compares the pipeline on a changed image with itself on the image as it came. A class stays if it is in both cells, each
copy counted; a rejected image keeps none. ``--images`` are taken from each source: simulated G-band and fluorescence,
and those of the sets ``adir``, ``bioimlab`` and ``gband_fields`` that ``DIR`` (default: $KARYO_TEST_DATA) has. The
kinds are in ``benchmarks/accuracy/image_changes.py``. ``--keep`` leaves the overlays whose count differs by more than
one. Seconds are CPU seconds of decoded images.

Output: a Markdown table with a row for each kind, then the slowest image and the reasons of rejected images.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.accuracy.image_changes import CHANGES, Grey8
from benchmarks.figures import add_output_options, data_folder, log_progress, markdown, write_json
from karyotyping.arrays import Pixels
from karyotyping.image.decode import decode
from karyotyping.model import AnalysisError, CellAnalysis
from karyotyping.pipeline import Pipeline
from karyotyping.rendering.overlay import draw_overlay
from karyotyping.rendering.png import encode_png
from training.simulation import simulate_case
from training.simulation.appearance import Contrast

SIMULATED: dict[str, Contrast] = {"simulated G-band": "bright_field", "simulated fluorescence": "fluorescence"}
"""Contrast by source."""
REAL = {
    "adir": "adir/images/*.png",
    "bioimlab": "bioimlab/images/*.jpg",
    "gband_fields": "gband_fields/gband_*.png",
}
"""Files in the data folder by source."""
SHAPE = (560, 720)  # rows and columns of a simulated image, px; about those of the sets
CONTACTS = (0, 4)  # least and most chromosomes of a simulated cell that touch, and that overlap, another
TOLERANCE = 1  # chromosomes
CHART_WIDTH = 920  # px
ROW_HEIGHT = 30  # px, of a kind in the chart
MARKER_SIZES = (11, 7, 4)  # points, so that equal shares are seen
COLUMNS = ("change", "images", "count within one", "count exactly", "classes that stay", "rejected", "s/megapixel")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A changed image next to the image as it came."""

    kind: str
    source: str
    image: str
    count: int
    """Chromosomes of the image as it came."""
    changed_count: int
    classes: float
    """Share of the classes that stay, 0..1."""
    rejected: str | None
    seconds: float
    megapixels: float

    @property
    def deviation(self) -> float:
        """Chromosomes more or less than before; infinite for a rejected image."""
        return float("inf") if self.rejected else abs(self.changed_count - self.count)


def share_of_classes(before: Iterable[int | None], after: Iterable[int | None]) -> float:
    """Return the share of the named classes ``before`` that are in ``after``, each copy counted.

    >>> share_of_classes([1, 1, 2, None], [1, 2, 2])
    0.6666666666666666
    """
    named, found = (Counter(one for one in cell if one is not None) for cell in (before, after))
    return (named & found).total() / max(named.total(), 1)


def images(data: Path, per_source: int) -> Iterator[tuple[str, str, Grey8]]:
    """Yield source, name and 8-bit pixels of each image; files are spread evenly over a set."""
    for source, contrast in SIMULATED.items():
        contacts = {"touching": CONTACTS, "overlapping": CONTACTS}
        cells = simulate_case("ROBUSTNESS", "46,XY", per_source, seed=1, contrast=contrast, shape=SHAPE, **contacts)
        for number, cell in enumerate(cells):
            yield source, str(number), cell.pixels
    for source, pattern in REAL.items():
        files = sorted(data.glob(pattern))
        for file in files[:: max(1, len(files) // per_source)][:per_source]:
            yield source, file.name, decode(file.read_bytes()).pixels.astype(np.uint8)


def analyse(pipeline: Pipeline, pixels: Pixels) -> tuple[CellAnalysis | AnalysisError, float]:
    """Return the analysis of an image, or why there is none, and its CPU seconds."""
    began = time.process_time()
    result = pipeline.analyse_batch([pixels])[0]
    return result, time.process_time() - began


def classes_of(result: CellAnalysis | AnalysisError) -> list[int | None]:
    """Return the class of each chromosome; none for a rejected image."""
    return [] if isinstance(result, AnalysisError) else [one.class_id for one in result.chromosomes]


def compare(
    pipeline: Pipeline, image: tuple[str, str, Grey8], kinds: Iterable[str], keep: Path | None
) -> Iterator[Comparison]:
    """Yield a comparison for each kind of change, unless the image is rejected as it came."""
    source, name, pixels = image
    plain, _ = analyse(pipeline, pixels)
    if isinstance(plain, AnalysisError):
        log_progress(f"{source} {name}: {plain.reason} as it came")
        return
    log_progress(f"{source} {name}: {len(plain.chromosomes)} chromosomes")
    before = classes_of(plain)
    for kind in kinds:
        rng = np.random.default_rng(zlib.crc32(f"{kind} {source} {name}".encode()))
        changed = CHANGES[kind](pixels, rng)
        result, seconds = analyse(pipeline, changed)
        after, rejected = classes_of(result), result.reason if isinstance(result, AnalysisError) else None
        one = Comparison(
            *(kind, source, name, len(before), len(after), share_of_classes(before, after)),
            *(rejected, seconds, changed.size / 1e6),
        )
        log_progress(f"  {kind}: {rejected or len(after)}, {seconds:.1f} s")
        if keep and one.deviation > TOLERANCE:
            write_overlay(keep / f"{kind} {source} {Path(name).stem}.png", changed, result)
        yield one


def write_overlay(out: Path, pixels: Pixels, result: CellAnalysis | AnalysisError) -> None:
    """Write a PNG of the overlay, or of a rejected image alone."""
    out.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(result, AnalysisError):
        cv2.imwrite(str(out), pixels)
    else:
        out.write_bytes(encode_png(draw_overlay(pixels, result)))


def row(kind: str, of_kind: list[Comparison]) -> tuple[str, ...]:
    """Return the row of a kind."""
    within, exact, classes = shares(of_kind)
    rate = sum(one.seconds for one in of_kind) / sum(one.megapixels for one in of_kind)
    rejected = sum(one.rejected is not None for one in of_kind)
    return (
        *(kind, str(len(of_kind)), f"{within:.0%}", f"{exact:.0%}"),
        *(f"{classes:.1%}", str(rejected), f"{rate:.2f}"),
    )


def shares(of_kind: list[Comparison]) -> tuple[float, float, float]:
    """Return shares of images within one and with the same count, and of classes, 0..1."""
    deviations = np.array([one.deviation for one in of_kind])
    classes = np.array([one.classes for one in of_kind])
    return float((deviations <= TOLERANCE).mean()), float((deviations == 0).mean()), float(classes.mean())


def describe_slowest(compared: list[Comparison]) -> str:
    """Return a sentence about the slowest image next to the median."""
    slowest = max(compared, key=lambda one: one.seconds)
    median = float(np.median([one.seconds for one in compared]))
    return (
        f"Slowest: {slowest.kind} of {slowest.source} {slowest.image}, {slowest.seconds:.2f} s "
        f"({slowest.seconds / slowest.megapixels:.2f} s/megapixel); median {median:.2f} s."
    )


def describe_rejected(compared: list[Comparison]) -> str:
    """Return a sentence about the rejected images and their reasons."""
    rejected = [f"{one.kind} of {one.source} {one.image}, {one.rejected}" for one in compared if one.rejected]
    return f"Rejected: {'; '.join(rejected) or 'none'}."


def draw(out: Path, by_kind: dict[str, list[Comparison]]) -> None:
    """Write a PNG with three shares for each kind."""
    from training.evaluation import charts  # noqa: PLC0415 - matplotlib is an extra

    title, height = "Counts and classes of changed images", 220 + ROW_HEIGHT * len(by_kind)
    figure, axes = charts.new_chart(title, "share, %", "", width=CHART_WIDTH, height=height)
    values = 100 * np.array([shares(compared) for compared in by_kind.values()]).T
    names = ("count within one", "count exactly", "classes that stay")
    for name, color, size, points in zip(names, charts.SERIES, MARKER_SIZES, values, strict=False):
        axes.plot(points, list(by_kind), "o", color=color, markersize=size, label=name, clip_on=False)
    axes.set_xlim(0, 100)
    axes.invert_yaxis()
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, labelcolor=charts.INK, fontsize=10)
    figure.savefig(out)


def main() -> None:
    """Analyse every changed image, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=data_folder(), metavar="DIR")
    parser.add_argument("--images", type=int, default=4, metavar="N")
    parser.add_argument("--kinds", nargs="+", choices=list(CHANGES), default=list(CHANGES), metavar="NAME")
    parser.add_argument("--keep", type=Path, metavar="DIR")
    add_output_options(parser)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    pipeline = Pipeline.default("cpu").open()
    compared = [
        one
        for image in images(arguments.data, arguments.images)
        for one in compare(pipeline, image, arguments.kinds, arguments.keep)
    ]
    if not compared:
        raise SystemExit("no image is analysed as it came")
    by_kind = {kind: [one for one in compared if one.kind == kind] for kind in arguments.kinds}
    counted = Counter(source for source, _ in {(one.source, one.image) for one in compared})
    print("Images: " + ", ".join(f"{number} {source}" for source, number in sorted(counted.items())) + "\n")
    print(markdown(COLUMNS, [row(*part) for part in by_kind.items()] + [row("all", compared)]))
    print(f"\n{describe_slowest(compared)}\n{describe_rejected(compared)}")
    write_json(arguments.json, {"comparisons": [asdict(one) for one in compared]})
    if arguments.plot:
        draw(arguments.plot, by_kind)


if __name__ == "__main__":
    main()
