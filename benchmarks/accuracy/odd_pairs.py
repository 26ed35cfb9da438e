"""Chromosomes that differ from homolog and class: synthetic changes, real structural cases.

    python -m benchmarks.accuracy.odd_pairs changes REPORT.npz
    python -m benchmarks.accuracy.odd_pairs images [--every N] [--data DIR]

``changes`` cuts the straightened crops of the split ``held-out`` of a report, whose p arm is up: REPORT.npz is that of
``karyo train embedder``. A deletion, duplication, inversion or terminal addition of another chromosome's material has
10, 20 or 40 % of a random arm of at least 8 rows. Changes mostly within variable heterochromatin are drawn again. It
prints the area under the curve against the unchanged crops. For each class it prints the smallest share of the arm of
which half of the deletions, duplications and additions are flagged, at one false flag in five cells.

``images`` reads the images of ``DIR/tseng`` whose note names an abnormal structure, and every n-th normal image of the
split ``held-out``. It prints the place of the first abnormal class among the classes of its cell, most suspicious
first, and the flags of each cell.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.figures import data_folder, log_progress, print_header, print_row
from karyotyping.arrays import Floats
from karyotyping.classification.atypical_banding import MAX_FALSE_RATE, Assessor, NormalModel
from karyotyping.classification.atypical_templates import describe_rows, is_variable, read_rows
from karyotyping.image.decode import decode
from karyotyping.model import AnalysisError, Atypical, CellAnalysis
from karyotyping.nomenclature.classes import CLASS_COUNT, class_name
from karyotyping.nomenclature.ideogram import centromere_index
from karyotyping.pipeline import Pipeline
from training.embedder.data import LEVELS, load_chromosomes
from training.embedder.labelled_images import split_of

KINDS = ("deletion", "duplication", "inversion", "addition")
SHARES = (0.1, 0.2, 0.4)  # of the arm
DETECTION_SHARES = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8)
MIN_ARM = 8  # rows
CHANGED = 500  # crops that each change is made in
DETECTION = 20  # crops of a class
ATTEMPTS = 20  # to draw a change outside of variable heterochromatin

Rows = tuple[Floats, Floats]
"""Stain (L,) and width (L,) along a chromosome."""
Place = tuple[int, int, bool]
"""First row of a change, the row after it, and whether it is in the p arm."""


def change_rows(rows: Rows, donor: Rows, kind: str, place: Place, rng: np.random.Generator) -> Rows:
    """Return a chromosome with a part deleted, duplicated, inverted or added from ``donor``."""
    count = len(rows[0])
    start, stop, at_p = place
    size = stop - start
    if kind == "addition":
        begin = int(rng.integers(0, max(len(donor[0]) - size, 0) + 1))
        pieces = [
            [other[begin : begin + size], own] if at_p else [own, other[begin : begin + size]]
            for own, other in zip(rows, donor, strict=True)
        ]
        seams = [size] if at_p else [count]
    elif kind == "deletion":
        pieces, seams = [[own[:start], own[stop:]] for own in rows], [start]
    elif kind == "duplication":
        pieces, seams = [[own[:stop], own[start:]] for own in rows], [stop]
    else:
        pieces, seams = [[own[:start], own[start:stop][::-1], own[stop:]] for own in rows], [start, stop]
    stain, width = (_blur_seams(np.concatenate(parts), seams) for parts in pieces)
    return stain, width


def draw_place(count: int, class_index: int, share: float, rng: np.random.Generator) -> Place:
    """Return a random part of a random arm of a chromosome of ``count`` rows."""
    centromere = centromere_index(class_index + 1) * count
    arms = [arm for arm in ((0.0, centromere), (centromere, float(count))) if arm[1] - arm[0] >= MIN_ARM]
    for _ in range(ATTEMPTS):
        low, high = arms[rng.integers(len(arms))]
        size = max(1, round(share * (high - low)))
        start = int(rng.integers(int(np.ceil(low)), max(int(high) - size, int(np.ceil(low))) + 1))
        if np.mean([is_variable(class_index + 1, (row + 0.5) / count) for row in range(start, start + size)]) <= 0.5:
            break
    return start, start + size, high == centromere


def _blur_seams(values: Floats, seams: Sequence[int]) -> Floats:
    """Return ``values`` with the optics' blur over the places where parts meet."""
    blurred = values.copy()
    for row in {row + side for row in seams for side in (-1, 0)}:
        if 0 < row < len(values) - 1:
            blurred[row] = values[row - 1 : row + 2] @ (0.25, 0.5, 0.25)
    return blurred


class Crops:
    """Unchanged crops of the split ``held-out``, and the model that they are compared with."""

    def __init__(self, file: Path) -> None:
        chromosomes = load_chromosomes(file)
        held_out = np.array([split_of(case.split("/", 1)[1]) == "held-out" for case in chromosomes.case])
        own = chromosomes[held_out & chromosomes.upright]
        self.class_index = [int(index) for index in own.class_index]
        self.cells = len(set(own.cell))
        self.rows = [read_rows(canvas.astype(np.float32) / np.float32(LEVELS)) for canvas in own.canvas]
        self._described = [describe_rows(*rows) for rows in self.rows]
        pairs: dict[tuple[str, int], list[int]] = defaultdict(list)
        for k, cell in enumerate(own.cell):
            pairs[str(cell), self.class_index[k]].append(k)
        self._homologs = {k: pair[1 - n] for pair in pairs.values() if len(pair) == 2 for n, k in enumerate(pair)}
        self._assessor, self._rng = Assessor(NormalModel.load()), np.random.default_rng(0)

    def assess(self, k: int, values: Floats | None = None) -> Atypical:
        """Return how atypical a crop is, or what it was changed into."""
        homolog = self._described[self._homologs[k]] if k in self._homologs else None
        return self._assessor.assess(self.class_index[k], self._described[k] if values is None else values, homolog)

    def change(self, k: int, kind: str, share: float) -> tuple[Atypical, float]:
        """Return how atypical a changed crop is, and the error of its place, share of the length."""
        donor = self.rows[int(self._rng.integers(len(self.rows)))]
        start, stop, at_p = draw_place(len(self.rows[k][0]), self.class_index[k], share, self._rng)
        found = self.assess(k, describe_rows(*change_rows(self.rows[k], donor, kind, (start, stop, at_p), self._rng)))
        true = float(not at_p) if kind == "addition" else (start + stop) / 2 / len(self.rows[k][0])
        return found, abs((found.start + found.stop) / 2 - true)


def measure_changes(file: Path) -> None:
    """Print the area under the curve, and the smallest detectable change of each class."""
    crops = Crops(file)
    count = len(crops.class_index)
    normal = np.array([crops.assess(k).false_rate for k in range(count)])
    flags = 46 * float(np.mean(normal < MAX_FALSE_RATE))
    print(f"{count} normal chromosomes of {crops.cells} cells: {flags:.2f} flags in 46 chromosomes")
    members = [int(k) for k in np.random.default_rng(0).permutation(count)[:CHANGED]]
    print_header("change", *(f"{share:.0%} of the arm" for share in SHARES), "flagged at 40%", "error of the place")
    areas = []
    for kind in KINDS:
        found = [[crops.change(k, kind, share) for k in members] for share in SHARES]
        rates = [np.array([one.false_rate for one, _ in column]) for column in found]
        areas.append([area_under_curve(-normal, -column) for column in rates])
        is_flagged = rates[-1] < MAX_FALSE_RATE
        error = float(np.median([error for _, error in found[-1]]))
        print_row(kind, *(f"{area:.2f}" for area in areas[-1]), f"{is_flagged.mean():.0%}", f"{error:.2f}")
    print_row("all", *(f"{np.mean(column):.2f}" for column in zip(*areas, strict=True)), "", "")
    list_detectable(crops)


def list_detectable(crops: Crops) -> None:
    """Print the share of changes of each class and size that are flagged."""
    print_header("class", *(f"{share:.0%}" for share in DETECTION_SHARES), "smallest, of the arm")
    for c in range(CLASS_COUNT):
        some = [k for k, index in enumerate(crops.class_index) if index == c][:DETECTION]
        flagged = [_flagged_share(crops, some, share) for share in DETECTION_SHARES]
        enough = [f"{share:.0%}" for share, rate in zip(DETECTION_SHARES, flagged, strict=True) if rate >= 0.5]
        print_row(class_name(c + 1), *(f"{rate:.0%}" for rate in flagged), enough[0] if enough else "none")


def _flagged_share(crops: Crops, members: Sequence[int], share: float) -> float:
    kinds = [kind for kind in KINDS if kind != "inversion"]
    return float(
        np.mean([crops.change(k, kind, share)[0].false_rate < MAX_FALSE_RATE for k in members for kind in kinds])
    )


def area_under_curve(normal: Floats, changed: Floats) -> float:
    """Return the probability that a changed crop scores above a normal one, ties counted half.

    >>> area_under_curve(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    0.875
    """
    ordered = np.sort(normal)
    below, upto = (np.searchsorted(ordered, changed, side) for side in ("left", "right"))
    return float((below + upto).mean() / (2 * len(normal)))


def measure_images(folder: Path, every: int) -> None:
    """Print the places of abnormal classes, and the flags of normal cells."""
    images = json.loads((folder / "coco.json").read_text("utf-8"))["images"]
    pipeline = Pipeline.default("cpu").open()
    structural = [one for one in images if one["note"][0] == "structural_abnormalities"]
    normal = [one for one in images if one["note"] == ["normal", "46", ""] and split_of(str(one["case"])) == "held-out"]
    print_header("case", "image", "abnormal", "place", "flagged classes")
    places: dict[str, list[int]] = defaultdict(list)
    for one, cell in _analyse(pipeline, folder, structural):
        wanted = {{"X": 23, "Y": 24}.get(name) or int(name) for name in one["note"][2].split(",")}
        order = suspicious_classes(cell)
        place = min((order.index(c) + 1 for c in wanted if c in order), default=0)
        places[str(one["case"])].append(place)
        names = ",".join(class_name(c) for c in sorted(_flagged(cell)))
        print_row(one["case"], one["file_name"], one["note"][2], place or "not compared", names)
    cells = [place for found in places.values() for place in found]
    first_three = sum(0 < place <= 3 for place in cells)
    cases = sum(any(0 < place <= 3 for place in found) for found in places.values())
    within = f"{first_three} of {len(cells)} cells, {cases} of {len(places)} cases"
    print(f"\nAn abnormal class is among the first three in {within}")
    counts = []
    for one, cell in _analyse(pipeline, folder, normal[::every]):
        counts.append(len(_flagged(cell)))
        log_progress(f"{one['file_name']}: {counts[-1]}")
    print(f"{len(counts)} normal cells: {np.mean(counts):.2f} flags a cell; cells by flags {dict(Counter(counts))}")


def _analyse(
    pipeline: Pipeline, folder: Path, images: Sequence[dict[str, list[str]]]
) -> Iterator[tuple[dict[str, list[str]], CellAnalysis]]:
    for one in images:
        cell = pipeline.analyse_batch([decode((folder / "images" / str(one["file_name"])).read_bytes()).pixels])[0]
        if not isinstance(cell, AnalysisError):
            yield one, cell


def _flagged(cell: CellAnalysis) -> list[int]:
    return [one.class_id for one in cell.chromosomes if one.class_id and "atypical_banding" in one.flags]


def suspicious_classes(cell: CellAnalysis) -> list[int]:
    """Return the classes of a cell, the one with the most atypical chromosome first."""
    rates: dict[int, float] = {}
    for one in cell.chromosomes:
        if one.class_id and one.atypical:
            rates[one.class_id] = min(one.atypical.false_rate, rates.get(one.class_id, 1.0))
    return sorted(rates, key=lambda c: rates[c])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    changes = commands.add_parser("changes")
    changes.add_argument("report", type=Path)
    images = commands.add_parser("images")
    images.add_argument("--every", type=int, default=10)
    images.add_argument("--data", type=Path, default=data_folder())
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.command == "changes":
        measure_changes(arguments.report)
    else:
        measure_images(arguments.data / "tseng", arguments.every)


if __name__ == "__main__":
    main()
