"""Karyotypes of simulated cases, of damaged real ones, and of results of the pipeline.

    python -m benchmarks.accuracy.cases [--cases 20] [--cells 20] [--levels 0.1 0.33 1] [--seed 0] [--tseng]
        [--results FILE.jsonl] [--data DIR]

Simulated cases have karyotypes that a laboratory sees. Their cells lose, misread and gain chromosomes at the rates of
``karyotyping.case.rates`` times a level and a factor of each cell, which is log-normal with a sigma of 0.7. The
expected edits of a cell follow both, with a log-normal error of 0.4. Outlines are as certain as true and false ones of
the pipeline. ``--tseng`` takes the cells of the 285 ``tseng`` cases from the truth, damaged likewise; cases of two
sexes are left out. ``--results`` takes a file of ``benchmarks.accuracy.case_rates``. The truth of an ``adir`` slide is
the numerical part of the published karyotypes of its cells.

A case is *exact* if it is called with the clones that its cells have. Clones in fewer cells than ISCN asks for (two
with a gain, three with a loss) are not expected. *Known* cases have the right most probable clones, called or not.

Output: Markdown tables, and a line for each case of results.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy.case_rates import Item, read_results, read_truth
from benchmarks.figures import data_folder, print_header, print_row
from karyotyping.case.cell import CellSummary, outline_doubts
from karyotyping.case.decision import Judgement, Outcome, judge
from karyotyping.case.rates import COLUMNS, UNKNOWN, ErrorRates
from karyotyping.nomenclature.cell_lines import CellLine, format_lines
from karyotyping.nomenclature.classes import CLASS_NAMES
from karyotyping.nomenclature.iscn import parse_iscn

KINDS: dict[str, dict[str, float]] = {  # shares of the clones
    "normal": {"46,XX": 1},
    "normal male": {"46,XY": 1},
    "+21": {"47,XY,+21": 1},
    "+18": {"47,XX,+18": 1},
    "+13": {"47,XY,+13": 1},
    "X": {"45,X": 1},
    "XXY": {"47,XXY": 1},
    "XYY": {"47,XYY": 1},
    "-7": {"45,XX,-7": 1},
    "+8": {"47,XY,+8": 1},
    "mosaic, 10 %": {"47,XX,+21": 0.1, "46,XX": 0.9},
    "mosaic, 20 %": {"45,X": 0.2, "46,XX": 0.8},
    "mosaic, 30 %": {"47,XY,+8": 0.3, "46,XY": 0.7},
    "mosaic, 50 %": {"47,XXY": 0.5, "46,XY": 0.5},
    "69,XXX": {"69,XXX": 1},
    "two clones": {"47,XX,+8": 0.3, "48,XX,+8,+21": 0.4, "46,XX": 0.3},
}
CELL_SIGMA = 0.7  # of the logarithm of a cell's factor
EDITS_SIGMA = 0.4  # of the logarithm of the error of a cell's expected edits
OUTLINE_SCORES = (0.998, 0.98, 0.75)  # of certain, usual and doubtful outlines
SCORE_SHARES = {True: (0.85, 0.11, 0.04), False: (0.06, 0.40, 0.54)}  # by whether the outline is a chromosome
EXACT, KNOWN, FALSE_NORMAL, FALSE_ABNORMAL, WRONG = "exact", "known", "false normal", "false abnormal", "wrong clones"

Karyotype = frozenset[tuple[int, int]]
NORMAL: frozenset[Karyotype] = frozenset(frozenset(parse_iscn(text).items()) for text in ("46,XX", "46,XY"))


@dataclass(frozen=True, slots=True)
class Case:
    """Cells with their true karyotypes."""

    kind: str
    cells: list[CellSummary]
    truth: list[Karyotype]
    name: str = ""


def karyotype(copies: dict[int, int]) -> Karyotype:
    """Return copies by class as a value that can be compared."""
    return frozenset((class_id, number) for class_id, number in copies.items() if number)


def damage(copies: dict[int, int], level: float, number: int, rng: np.random.Generator) -> CellSummary:
    """Return the cell as a pipeline with ``level`` of the measured errors finds it."""
    rates = ErrorRates()
    scale = level * float(rng.lognormal(-(CELL_SIGMA**2) / 2, CELL_SIGMA))
    found = np.zeros(COLUMNS, np.int64)
    lost, misread = rates.lost_by_class(), rates.misread_by_class()
    for class_id, own in copies.items():
        wrong = np.minimum(misread[class_id - 1] * scale, 0.5)
        gone = min(float(lost[class_id - 1]) * scale, 0.5)
        odds = np.append(wrong, gone)
        odds *= 0.95 / max(0.95, odds.sum())
        fate = rng.multinomial(own, np.append(odds, 1 - odds.sum()))
        found += fate[:COLUMNS]
        found[class_id - 1] += fate[-1]
    extra = rng.poisson(rates.extra_by_column() * scale)
    outlines = [
        (k + 1, float(rng.choice(OUTLINE_SCORES, p=SCORE_SHARES[is_true])))
        for is_true, numbers in ((True, found), (False, extra))
        for k in range(UNKNOWN)
        for _ in range(numbers[k])
    ]
    predicted = scale * float(rng.lognormal(0, EDITS_SIGMA))
    counts = Counter(class_id for class_id, _ in outlines)
    total = int(found.sum() + extra.sum())
    return CellSummary(
        number,
        dict(counts),
        total,
        rates.reference_quality,
        outline_doubts=outline_doubts(outlines),
        outline_edits=rates.reference_outline_edits * predicted,
        class_edits=rates.reference_class_edits * predicted,
        touching=round((1 + rates.reference_touching) * predicted ** (0.25 / 0.8)) - 1,  # losses follow ``predicted``
    )


def simulate(kind: str, cells: int, level: float, rng: np.random.Generator) -> Case:
    """Return a case of a kind."""
    clones = [parse_iscn(text) for text in KINDS[kind]]
    drawn = [clones[k] for k in rng.choice(len(clones), cells, p=list(KINDS[kind].values()))]
    found = [damage(copies, level, number, rng) for number, copies in enumerate(drawn)]
    return Case(kind, found, [karyotype(copies) for copies in drawn])


def expected_clones(truth: Sequence[Karyotype]) -> set[Karyotype]:
    """Return the clones by ISCN: in two cells, in three if a chromosome is lost."""
    cells = Counter(truth)

    def is_clone(one: Karyotype) -> bool:
        has_loss = sum(number for _, number in one) < 46
        return cells[one] >= (2 if one in NORMAL or not has_loss else 3)

    return {one for one in cells if is_clone(one)} or {cells.most_common(1)[0][0]}


def verdict(case: Case, judged: Judgement) -> set[str]:
    """Return what holds for a judged case: its outcome, and how it compares with the truth."""
    expected = expected_clones(case.truth)
    found = {karyotype(dict(clone.copies)) for clone in judged.clones if clone.established}
    held = {judged.outcome.value}
    if found == expected:
        held.add(KNOWN)
    if judged.outcome == Outcome.NORMAL and not expected <= NORMAL:
        held.add(FALSE_NORMAL)
    if judged.outcome == Outcome.ABNORMAL and expected <= NORMAL:
        held.add(FALSE_ABNORMAL)
    if judged.is_called and found == expected:
        held.add(EXACT)
    elif judged.outcome == Outcome.ABNORMAL and not expected <= NORMAL:
        held.add(WRONG)
    return held


COLUMN_NAMES = (EXACT, FALSE_NORMAL, FALSE_ABNORMAL, WRONG, "suspected", "insufficient", KNOWN)


def print_cases(cases: Iterable[Case], *, each: bool = False) -> None:
    """Judge cases and print verdicts by kind; with ``each`` also a line for every case."""
    tally: dict[str, Counter[str]] = defaultdict(Counter)
    for number, case in enumerate(cases):
        judged = judge(case.cells)
        held = verdict(case, judged)
        for kind in (case.kind, "all"):
            tally[kind].update([*held, "cases"])
        if each:
            verdicts = ", ".join(sorted(held - {judged.outcome.value}) or ["clones not known"])
            lines = [CellLine(one.copies, len(one.cells)) for one in judged.clones]
            found = f" Most probable: {format_lines(lines)}." if lines else ""
            print(f"- {case.name or number}, {case.kind} ({verdicts}): {judged.outcome}. {judged.why}{found}")
    print()
    print_header("kind", "cases", *COLUMN_NAMES)
    for kind in [*(kind for kind in tally if kind != "all"), "all"]:
        print_row(kind, tally[kind]["cases"], *(tally[kind][name] for name in COLUMN_NAMES))
    print()


def real_cases(folder: Path) -> dict[str, list[Item]]:
    """Return the images, with copies, of every ``tseng`` or ``adir`` case of one sex."""
    images, truth = read_truth(folder)
    by_case: dict[str, list[Item]] = defaultdict(list)
    for image in images:
        if published := image.get("counts_iscn"):
            copies = {CLASS_NAMES.index(name) + 1: number for name, number in published.items()}
        else:
            copies = dict(Counter(item["category_id"] for item in truth[image["id"]]))
        by_case[image["case"]].append(image | {"copies": copies})
    return {case: own for case, own in by_case.items() if len({bool(image["copies"].get(24)) for image in own}) == 1}


def note_of(images: Sequence[Item]) -> str:
    """Return normal, number or structure, by the notes of a case or its published karyotypes."""
    if "counts_iscn" in images[0]:
        return "normal" if expected_clones([karyotype(image["copies"]) for image in images]) <= NORMAL else "number"
    notes = {image["note"][0] for image in images}
    return "number" if "number_abnormalities" in notes else "normal" if notes == {"normal"} else "structure"


def case_truth(images: Sequence[Item]) -> list[Karyotype]:
    """Return the true karyotype of every cell of a real case.

    Cells of a ``tseng`` case that is noted as normal are 46,XX or 46,XY: what they lack was lost on the slide.
    """
    if note_of(images) == "number" or "counts_iscn" in images[0]:
        return [karyotype(image["copies"]) for image in images]
    has_y = any(image["copies"].get(24) for image in images)
    return [karyotype(parse_iscn("46,XY" if has_y else "46,XX"))] * len(images)


def damaged_cases(folder: Path, level: float, rng: np.random.Generator) -> Iterable[Case]:
    """Yield the ``tseng`` cases with damaged cells of the truth."""
    for images in real_cases(folder).values():
        cells = [damage(image["copies"], level, n, rng) for n, image in enumerate(images)]
        size = "three cells or more" if len(images) > 2 else "one or two cells"
        yield Case(f"{note_of(images)}, {size}", cells, case_truth(images))


def analysed_cases(folder: Path, results: Sequence[Item]) -> Iterable[Case]:
    """Yield the cases of ``tseng`` and ``adir`` of results of the pipeline."""
    by_case: dict[str, list[Item]] = defaultdict(list)
    for result in results:
        by_case[result["case"]].append(result)
    for case, images in (real_cases(folder / "tseng") | real_cases(folder / "adir")).items():
        if own := by_case.get(case):
            cells = [summary_of(result) for result in own if "score" in result]
            yield Case(note_of(images), cells, case_truth(images), case)


def summary_of(result: Item) -> CellSummary:
    """Return the summary of a result of :mod:`benchmarks.accuracy.case_rates`."""
    chromosomes = [
        (row["class_id"], row["class_score"], likeliest, row["score"], "touching" in row["flags"])
        for row in result["chromosomes"]
        for likeliest in [list(zip(row["top5_classes"], row["top5_scores"], strict=True))]
    ]
    return CellSummary.of_classes(
        result["id"],
        chromosomes,
        quality_score=result["score"],
        called=result["iscn"] is not None,
        outline_edits=result["outline_edits"],
        class_edits=result["class_edits"],
        unexplained_objects=result.get("unexplained_objects"),
    )


def main() -> None:
    """Judge the cases and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20, help="simulated cases of each kind")
    parser.add_argument("--cells", type=int, default=20, help="cells of a simulated case")
    parser.add_argument("--levels", type=float, nargs="+", default=[0.1, 0.33, 1.0], help="factors of the error rates")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tseng", action="store_true", help="damaged cells of the tseng truth")
    parser.add_argument("--results", type=Path, nargs="*", default=[], help="files of benchmarks.accuracy.case_rates")
    parser.add_argument("--data", type=Path, default=data_folder())
    arguments = parser.parse_args()
    for file in arguments.results:
        print(f"results of the pipeline, {file.name}\n")
        print_cases(analysed_cases(arguments.data, read_results(file)), each=True)
    for level in arguments.levels:
        rng = np.random.default_rng(arguments.seed)
        if arguments.tseng:
            print(f"tseng truth, damaged at {level} of the measured rates\n")
            print_cases(damaged_cases(arguments.data / "tseng", level, rng))
        if arguments.cases:
            print(f"simulated, {arguments.cells} cells, {level} of the measured rates\n")
            print_cases(simulate(kind, arguments.cells, level, rng) for kind in KINDS for _ in range(arguments.cases))


if __name__ == "__main__":
    main()
