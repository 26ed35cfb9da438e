"""Karyotypes of cases that are assembled from the single chromosomes of karyotype reports.

    python -m benchmarks.accuracy.report_cases FOLD.npz ... [--report pki3_gband] [--cells 5 10 20] [--normal 100]
        [--seed 0]

Each FOLD has predictions of chromosomes that its classifier was not trained on, as ``benchmarks.accuracy.aneuploidy``
reads them. A case has normal cells of one sex, each once; cases share cells. An aneuploid case lacks one chromosome, or
has one more, in all of its cells, in 50 % or in 30 % of them (rounded up). The further one is a real chromosome of
another cell. Every class is gained and lost once for each share and number of cells; every case has an X.

A person cut these chromosomes out, so outlines are certain: their score is 1, and a cell has no expected edits of
outlines. Its expected edits of classes are predicted from the certainty of its classes, as in the pipeline.

Output: a Markdown table of outcomes, with 95 % score intervals, and a line for each case that is called falsely.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.accuracy.aneuploidy import Cell, Donors, is_normal, read
from benchmarks.accuracy.cases import EXACT, FALSE_ABNORMAL, FALSE_NORMAL, KNOWN, WRONG, Case, karyotype, verdict
from benchmarks.figures import print_header, print_row
from karyotyping.case.cell import CellSummary
from karyotyping.case.decision import Outcome, judge
from karyotyping.classification.assignment import assign
from karyotyping.expected_edits import Evidence, expected_edits
from karyotyping.nomenclature.classes import CLASS_NAMES, X, Y
from training.evaluation.statistics import wilson_interval

Plan = tuple[str, str, tuple[int, int] | None, float]
"""Kind of a case, sex, class id and copies gained, and the share of the cells that have this change."""
SHARES = (1.0, 0.5, 0.3)  # of the cells with an abnormality
MALE_ONLY = {(Y, 1), (Y, -1)}  # class id, and copies gained
FEMALE_ONLY = {(X, -1)}
LIKELIEST = 5  # classes of a chromosome that a result keeps
NORMAL_KIND = "normal"


def summarise(cell: Cell, number: int) -> CellSummary:
    """Return the cell as a case reads it, with classes assigned as the pipeline does."""
    assigned = assign(cell.evidence, cell.whole.tolist())
    order = np.argsort(-cell.evidence, axis=1, kind="stable")[:, :LIKELIEST]
    likeliest = [
        [(int(k) + 1, float(np.exp(row[k]))) for k in best] for row, best in zip(cell.evidence, order, strict=True)
    ]
    named = [(one, best[0]) for one, best in zip(assigned, order, strict=True) if one.class_id is not None]
    evidence = Evidence(
        doubtful_outlines=0.0,
        doubtful_classes=sum(1.0 - one.score for one, _ in named),
        reassigned=sum(one.class_id != best + 1 for one, best in named),
        overlaps=0,
        missing=0,
        excess=0,
    )
    return CellSummary.of_classes(
        number,
        [(one.class_id, one.score, likely, 1.0, False) for one, likely in zip(assigned, likeliest, strict=True)],
        quality_score=1.0,
        called=True,
        outline_edits=0.0,
        unexplained_objects=0,
        class_edits=expected_edits(evidence)[1],
    )


def changes() -> Iterator[tuple[str, int, int]]:
    """Yield sex, class id and copies gained of the aneuploid cases; sexes take turns.

    >>> list(changes())[-1]
    ('XY', 24, -1)
    """
    turn = 0
    for copies in (1, -1):
        for class_id in range(1, len(CLASS_NAMES) + 1):
            sexes = ["XY"] if (class_id, copies) in MALE_ONLY else ["XX", "XY"]
            sexes = ["XX"] if (class_id, copies) in FEMALE_ONLY else sexes
            yield sexes[turn % len(sexes)], class_id, copies
            turn += 1


def assemble(
    cells: Sequence[Cell], size: int, change: tuple[int, int] | None, share: float, random: np.random.Generator
) -> Case:
    """Return a case of ``size`` of the cells, of which a share has a change.

    Args:
        cells: normal cells of one sex.
        size: number of cells.
        change: class id and copies gained, 1 or -1; None for a normal case.
        share: of the cells with the change, 0..1.
        random: draws cells and chromosomes.
    """
    drawn = [cells[k] for k in random.permutation(len(cells))[:size]]
    if change:
        donors, k = Donors(cells), change[0] - 1
        for place in range(math.ceil(share * size)):
            one = drawn[place]
            if change[1] < 0:
                drawn[place] = one.lose(k, random)
            else:
                sources = donors.of(one, k)
                drawn[place] = one.gain(*sources[random.integers(len(sources))])
    truth = [karyotype(dict(enumerate(cell.copies.tolist(), start=1))) for cell in drawn]
    kind = f"{change[1]:+d}".rstrip("1") + CLASS_NAMES[change[0] - 1] if change else NORMAL_KIND
    return Case(kind, [summarise(cell, number) for number, cell in enumerate(drawn)], truth)


def with_interval(events: int, trials: int) -> str:
    """Return a share with its 95 % interval.

    >>> with_interval(99, 100)
    '99.0 % (94.6 to 99.8)'
    """
    if not trials:
        return "-"
    low, high = wilson_interval(events, trials)
    return f"{100 * events / trials:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


COLUMN_NAMES = (
    *(outcome.value for outcome in (Outcome.ABNORMAL, Outcome.NORMAL, Outcome.SUSPECTED, Outcome.INSUFFICIENT)),
    EXACT,
    KNOWN,
)


def abnormal_kind(share: float) -> str:
    """Return the name of cases with an abnormality in a share of their cells."""
    return f"abnormal in {100 * share:.0f} % of the cells"


def print_outcomes(kind: str, group: str, tally: Counter[str]) -> None:
    """Print numbers, the share called right, and the share that is not called wrong."""
    total = tally["cases"]
    right, wrong = (Outcome.NORMAL, Outcome.ABNORMAL) if kind == NORMAL_KIND else (Outcome.ABNORMAL, Outcome.NORMAL)
    numbers = (tally[column] for column in COLUMN_NAMES)
    shares = (with_interval(tally[right], total), with_interval(total - tally[wrong], total))
    print_row(f"{kind}, {group}", total, *numbers, *shares)


def main() -> None:
    """Assemble the cases, judge them, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folds", type=Path, nargs="+", metavar="FOLD")
    parser.add_argument("--report", default="pki3_gband")
    parser.add_argument("--cells", type=int, nargs="+", default=[5, 10, 20], help="cells of a case")
    parser.add_argument("--normal", type=int, default=100, help="normal cases of each number of cells")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    usual = [cell for cell in read(arguments.folds) if cell.report == arguments.report and is_normal(cell.copies)]
    by_sex = {sex: [cell for cell in usual if (cell.copies[Y - 1] > 0) == ("Y" in sex)] for sex in ("XX", "XY")}
    print(", ".join(f"{len(own)} cells {sex} of {len({c.case for c in own})} cases" for sex, own in by_sex.items()))
    tallies: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for size in arguments.cells:
        plans: list[Plan] = [(NORMAL_KIND, ("XX", "XY")[n % 2], None, 0.0) for n in range(arguments.normal)]
        plans += [(abnormal_kind(share), sex, (k, n), share) for share in SHARES for sex, k, n in changes()]
        for kind, sex, change, share in plans:
            case = assemble(by_sex[sex], size, change, share, random)
            judged = judge(case.cells)
            held = verdict(case, judged)
            for group in (f"{size} cells", "all"):
                tallies[kind, group].update([*held, "cases"])
            if held & {FALSE_NORMAL, FALSE_ABNORMAL, WRONG}:
                print(f"- {case.kind}, {kind}, {size} cells: {judged.outcome}. {judged.why}")
    print()
    print_header("cases", "number", *COLUMN_NAMES, "called right", "not called wrong")
    kinds = [NORMAL_KIND, *(abnormal_kind(share) for share in SHARES)]
    for (kind, group), tally in sorted(tallies.items(), key=lambda item: kinds.index(item[0][0])):
        print_outcomes(kind, group, tally)


if __name__ == "__main__":
    main()
