"""Detection of aneuploidies by assignment, and false ones, by strength of its prior.

    python -m benchmarks.accuracy.aneuploidy FOLD.npz ... [--strengths 1 2.5 5] [--sharpness 0.7]
        [--events 8] [--resamples 500]

Each npz has, for N chromosomes that its classifier was not trained on, ``joint`` (N, 24, 2) or ``log_probabilities``
(N, 24), ``class_index`` (N,) 0..23 (-1 for no chromosome, which is left out), ``cell``, ``case``, ``report`` (N,)
names, and perhaps ``unknown`` (N,), the probability of no class. The strength of the prior is the cost of a gain; the
cost of a loss follows from the number of missing chromosomes.

Aneuploid cells are those of the truth, and those made from every normal cell, ``--events`` of each kind:

* a loss removes a chromosome;
* a gain adds one of another cell of the case, or else of the report;
* a gain and a loss keep the count, so a prior that is too strong hides them.

All classes change equally often. Evidence that depends on the other chromosomes of the cell is not recomputed.

Output: Markdown tables for each report, with 95 % intervals by bootstrap over cases. The strength is chosen by the sum
of hidden changes and false alarms: at a prevalence of 1 %, one hidden change counts like 99 false alarms.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import log_softmax, logsumexp

from benchmarks.figures import print_header, print_row
from karyotyping.arrays import Floats, Ints
from karyotyping.classification.assignment import CopyNumberPrior, assign
from karyotyping.nomenclature.classes import CLASS_NAMES, X, Y
from training.evaluation.classification.calibration import calibration
from training.evaluation.statistics import Figures, bootstrap, ratio

CLASSES = len(CLASS_NAMES)
STRENGTHS = (0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)  # nats
LEFT_OUT = (5, 10, 20)  # chromosomes of an incomplete cell
KINDS = ("normal", "loss", "gain", "gain and loss", "abnormal in truth")
RIGHT, WRONG_ABNORMAL, FALSE_NORMAL, FALSE_ABNORMAL, WRONG_SEX = range(5)


@dataclass(frozen=True, slots=True)
class Cell:
    """n chromosomes of one metaphase."""

    evidence: Floats
    """(n, 24) log-probabilities of each chromosome alone."""
    whole: Floats
    """(n,) probability, 0..1, of some class."""
    true: Ints
    """(n,) class index."""
    case: str
    report: str

    @property
    def copies(self) -> Ints:
        """The (24,) true copies of each class."""
        return np.bincount(self.true, minlength=CLASSES)

    def only(self, kept: Ints) -> Cell:
        """Return the cell with only the chromosomes ``kept``."""
        return replace(self, evidence=self.evidence[kept], whole=self.whole[kept], true=self.true[kept])

    def lose(self, class_index: int, random: np.random.Generator) -> Cell:
        """Return the cell without one of its chromosomes of a class."""
        return self.only(np.delete(np.arange(len(self.true)), random.choice(np.flatnonzero(self.true == class_index))))

    def gain(self, donor: Cell, place: int) -> Cell:
        """Return the cell with one more chromosome, of another cell."""
        return replace(
            self,
            evidence=np.vstack([self.evidence, donor.evidence[place]]),
            whole=np.append(self.whole, donor.whole[place]),
            true=np.append(self.true, donor.true[place]),
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """One cell to be assigned, and its change."""

    kind: str
    cell: Cell
    class_index: int | None = None
    """The class of the one chromosome that was lost or gained; None without or with more."""


def is_normal(copies: Ints) -> bool:
    """Return whether these (24,) copies are those of 46,XX or 46,XY."""
    return bool((copies[:22] == 2).all()) and (copies[X - 1], copies[Y - 1]) in ((2, 0), (1, 1))


def read(folds: Sequence[Path], sharpness: float = 1.0) -> list[Cell]:
    """Return the cells of all folds; ``sharpness`` multiplies their log-probabilities."""
    cells: list[Cell] = []
    for fold in folds:
        with np.load(fold) as stored:
            joint = stored["log_probabilities"][..., None] if "log_probabilities" in stored else stored["joint"]
            true, report, case, name = (stored[key] for key in ("class_index", "report", "case", "cell"))
            whole = 1.0 - stored["unknown"] if "unknown" in stored else np.ones(len(true))
        evidence = log_softmax(sharpness * logsumexp(joint.astype(np.float64), axis=2), axis=1)
        keys = np.array([f"{r}\t{c}\t{n}" for r, c, n in zip(report, case, name, strict=True)])
        for key in np.unique(keys[true >= 0]):
            at = np.flatnonzero((keys == key) & (true >= 0))
            cells.append(Cell(evidence[at], whole[at], true[at], str(case[at[0]]), str(report[at[0]])))
    return cells


class Donors:
    """Chromosomes of ``cells`` that can be added to others."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._places: dict[tuple[str, int], list[tuple[Cell, int]]] = defaultdict(list)
        for cell in cells:
            for place, class_index in enumerate(cell.true.tolist()):
                self._places[cell.case, class_index].append((cell, place))
                self._places["", class_index].append((cell, place))

    def of(self, cell: Cell, class_index: int) -> list[tuple[Cell, int]]:
        """Return chromosomes of another cell of the case, else of the report, as cell and place."""
        sources = ([one for one in self._places[case, class_index] if one[0] is not cell] for case in (cell.case, ""))
        return next(filter(None, sources), [])


def change_cells(cells: Sequence[Cell], events: int, random: np.random.Generator) -> Iterator[Trial]:
    """Yield losses, gains and both in every normal cell; each keeps an X, as live cells do."""
    donors = Donors(cells)
    turn = 0
    for cell in cells:
        if not is_normal(cell.copies):
            continue
        for _ in range(events):
            k, turn = turn % CLASSES, turn + 1
            if cell.copies[k] > (k == X - 1):
                yield Trial("loss", cell.lose(k, random), k)
            if nearest := donors.of(cell, k):
                more = cell.gain(*nearest[random.integers(len(nearest))])
                yield Trial("gain", more, k)
                other = int(random.choice([c for c in range(22) if c != k]))
                yield Trial("gain and loss", more.lose(other, random))


def outcome(true: Ints, predicted: Ints) -> int:
    """Return how the (24,) predicted copies compare with the true ones."""
    if (true == predicted).all():
        return RIGHT
    if is_normal(true):
        return WRONG_SEX if is_normal(predicted) else FALSE_ABNORMAL
    return FALSE_NORMAL if is_normal(predicted) else WRONG_ABNORMAL


def assign_cell(cell: Cell, prior: CopyNumberPrior) -> Ints:
    """Return (n,) class indices, -1 for no class."""
    return np.array(
        [-1 if one.class_id is None else one.class_id - 1 for one in assign(cell.evidence, cell.whole.tolist(), prior)]
    )


def count_copies(cell: Cell, prior: CopyNumberPrior) -> Ints:
    """Return (24,) the copies in the assigned ``cell``."""
    predicted = assign_cell(cell, prior)
    return np.bincount(predicted[predicted >= 0], minlength=CLASSES)


def judge(cell: Cell, prior: CopyNumberPrior) -> int:
    """Return the outcome of assigning ``cell``."""
    return outcome(cell.copies, count_copies(cell, prior))


def interval(
    cells: Sequence[Cell],
    values: Sequence[Sequence[float]],
    figure: Callable[[Floats], float],
    resamples: int,
) -> str:
    """Return ``figure`` with its interval over cases.

    Args:
        cells: C cells.
        values: (C, k), a row for each cell.
        figure: computes a share from rows of ``values``.
        resamples: number of bootstrap samples; 0 for no interval.
    """
    by_case: dict[str, list[Sequence[float]]] = defaultdict(list)
    for cell, value in zip(cells, values, strict=True):
        by_case[cell.case].append(value)
    if not by_case:
        return "-"
    units = [np.array(rows, float) for rows in by_case.values()]

    def figures(sample: Sequence[Floats]) -> Figures:
        return {"share": figure(np.concatenate(sample))}

    middle = f"{figures(units)['share']:.1%}"
    if not resamples:
        return middle
    low, high = bootstrap(units, figures, resamples=resamples, seed=0)["share"]
    return f"{middle} ({low:.1%} to {high:.1%})"


def share_of(code: int) -> Callable[[Floats], float]:
    """Return a function that computes the share of one outcome."""
    return lambda rows: float((rows[:, 0] == code).mean())


def print_by_strength(
    trials: Sequence[Trial], priors: dict[float, CopyNumberPrior], resamples: int
) -> dict[float, list[int]]:
    """Print the outcomes of each kind of cell; return those of ``trials`` by strength."""
    outcomes = {strength: [judge(trial.cell, prior) for trial in trials] for strength, prior in priors.items()}
    kinds = list(dict.fromkeys(trial.kind for trial in trials))
    for kind in kinds:
        chosen = [number for number, trial in enumerate(trials) if trial.kind == kind]
        cells = [trials[number].cell for number in chosen]
        print(f"\n{kind}: {len(cells)} cells of {len({cell.case for cell in cells})} cases")
        columns = (
            {"right": RIGHT, "false abnormal": FALSE_ABNORMAL, "other sex": WRONG_SEX}
            if kind == "normal"
            else {"right": RIGHT, "false normal": FALSE_NORMAL, "wrong abnormal": WRONG_ABNORMAL}
        )
        print_header("strength", *columns)
        for strength, codes in outcomes.items():
            rows = [[codes[number]] for number in chosen]
            print_row(strength, *(interval(cells, rows, share_of(code), resamples) for code in columns.values()))
    return outcomes


def print_choice(trials: Sequence[Trial], outcomes: dict[float, list[int]]) -> None:
    """Print the sum that the strength is chosen by."""
    print_header("strength", "false abnormal", "false normal", "sum")
    for strength, codes in outcomes.items():
        tally = {
            kind: [code for trial, code in zip(trials, codes, strict=True) if trial.kind == kind]
            for kind in ("normal", "gain and loss")
        }
        alarms = ratio(tally["normal"].count(FALSE_ABNORMAL), len(tally["normal"]))
        hidden = ratio(tally["gain and loss"].count(FALSE_NORMAL), len(tally["gain and loss"]))
        print_row(strength, f"{alarms:.1%}", f"{hidden:.1%}", f"{alarms + hidden:.1%}")


def print_unchanged(cells: Sequence[Cell], prior: CopyNumberPrior) -> None:
    """Print accuracy and calibration in the cells as they are."""
    assigned = [one for cell in cells for one in assign(cell.evidence, cell.whole.tolist(), prior)]
    true = np.concatenate([cell.true for cell in cells])
    chosen = np.array([-1 if one.class_id is None else one.class_id - 1 for one in assigned])
    alone = np.vstack([cell.evidence for cell in cells])
    print_header("", "right", "no class", "mean score", "ECE", "log loss")
    for name, right, score in (
        ("isolated", alone.argmax(axis=1) == true, np.exp(alone.max(axis=1))),
        ("assigned", chosen == true, np.array([one.score for one in assigned])),
    ):
        placed = np.ones(len(true), bool) if name == "isolated" else chosen >= 0
        figures = calibration(score[placed], right[placed])
        print_row(
            name,
            f"{right.mean():.2%}",
            f"{1 - placed.mean():.2%}",
            f"{score[placed].mean():.2%}",
            f"{figures['calibration_error']:.2%}",
            f"{figures['log_loss']:.4f}",
        )


def gained_copies(copies: Ints) -> Ints:
    """Return (24,) the copies beyond those of the nearest normal cell."""
    beyond = []
    for of_x, of_y in ((2, 0), (1, 1)):
        usual = np.full(CLASSES, 2)
        usual[[X - 1, Y - 1]] = of_x, of_y
        beyond.append(np.maximum(copies - usual, 0))
    return min(beyond, key=lambda more: int(more.sum()))


def print_trisomies(cells: Sequence[Cell], priors: dict[float, CopyNumberPrior], random: np.random.Generator) -> None:
    """Print how often a third copy is found, and a false one, in incomplete cells."""
    donors = [[(cell, int(k)) for cell in cells for k in np.flatnonzero(cell.true == c)] for c in range(CLASSES)]
    parts: dict[int, list[tuple[Cell, Cell, int]]] = {missing: [] for missing in (0, 1, *LEFT_OUT)}
    for missing, pairs in parts.items():
        for number, cell in enumerate(cells):
            k = number % 22
            sources = [one for one in donors[k] if one[0] is not cell]
            if sources:
                others = random.permutation(np.flatnonzero(cell.true != k))[missing:]
                rest = cell.only(np.append(others, np.flatnonzero(cell.true == k)))
                pairs.append((rest, rest.gain(*sources[random.integers(len(sources))]), k))
    print("\nthird copy of an autosome found / false, by the number of chromosomes left out at random")
    print_header("strength", *parts)
    for strength, prior in priors.items():
        shares = []
        for pairs in parts.values():
            found = sum(int(gained_copies(count_copies(more, prior))[k] > 0) for _, more, k in pairs)
            false_gains = sum(int(gained_copies(count_copies(rest, prior)).any()) for rest, _, _ in pairs)
            shares.append(f"{ratio(found, len(pairs)):.1%} / {ratio(false_gains, len(pairs)):.1%}")
        print_row(strength, *shares)


def print_by_class(trials: Sequence[Trial], outcomes: Sequence[int]) -> None:
    """Print how often the loss and the gain of each class are right, or false normal."""
    tally = np.zeros((CLASSES, 2, 5), np.int64)
    for trial, code in zip(trials, outcomes, strict=True):
        if trial.class_index is not None:
            tally[trial.class_index, int(trial.kind == "gain"), code] += 1
    print_header("class", "losses", "right", "false normal", "gains", "right", "false normal")
    for name, kinds in zip(CLASS_NAMES, tally, strict=True):
        cells = []
        for codes in kinds:
            n = int(codes.sum())
            cells += [n, *(f"{ratio(codes[code], n):.1%}" if n else "-" for code in (RIGHT, FALSE_NORMAL))]
        print_row(name, *cells)


def print_incomplete(
    cells: Sequence[Cell], priors: dict[float, CopyNumberPrior], resamples: int, random: np.random.Generator
) -> None:
    """Print the assigned accuracy of incomplete cells."""

    def accuracy(rows: Floats) -> float:
        return float(rows[:, 0].sum() / rows[:, 1].sum())

    def right_and_total(cell: Cell, prior: CopyNumberPrior) -> tuple[int, int]:
        return int((assign_cell(cell, prior) == cell.true).sum()), len(cell.true)

    parts = {
        missing: [cell.only(random.permutation(len(cell.true))[missing:]) for cell in cells if len(cell.true) > missing]
        for missing in (0, *LEFT_OUT)
    }
    print("\nshare of chromosomes with the right class, by the number left out at random")
    print_header("strength", *parts)
    alone = [[[(c.evidence.argmax(axis=1) == c.true).sum(), len(c.true)] for c in part] for part in parts.values()]
    print_row(
        "isolated",
        *(interval(part, rows, accuracy, resamples) for part, rows in zip(parts.values(), alone, strict=True)),
    )
    for strength, prior in priors.items():
        print_row(
            strength,
            *(
                interval(part, [right_and_total(cell, prior) for cell in part], accuracy, resamples)
                for part in parts.values()
            ),
        )


def main() -> None:
    """Print every table for every report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folds", type=Path, nargs="+")
    parser.add_argument("--strengths", type=float, nargs="+", default=STRENGTHS, help="costs of a gain, nats")
    parser.add_argument("--sharpness", type=float, default=1.0, help="factor of the log-probabilities")
    parser.add_argument("--detail", type=float, default=CopyNumberPrior().gain, help="strength of the table by class")
    parser.add_argument("--events", type=int, default=8, help="changes of each kind made in each normal cell")
    parser.add_argument("--resamples", type=int, default=500)
    arguments = parser.parse_args()
    priors = {s: replace(CopyNumberPrior(), gain=s) for s in sorted({*arguments.strengths, arguments.detail})}
    everything = read(arguments.folds, arguments.sharpness)
    for report in sorted({cell.report for cell in everything}):
        random = np.random.default_rng(0)
        cells = [cell for cell in everything if cell.report == report]
        print(f"\n## {report}: {len(cells)} cells, {sum(len(cell.true) for cell in cells)} chromosomes")
        print_unchanged(cells, priors[arguments.detail])
        trials = [Trial("normal" if is_normal(cell.copies) else "abnormal in truth", cell) for cell in cells]
        trials += change_cells(cells, arguments.events, random)
        trials.sort(key=lambda trial: KINDS.index(trial.kind))
        outcomes = print_by_strength(trials, priors, arguments.resamples)
        if any(trial.kind == "gain and loss" for trial in trials):
            print("\nfalse alarms and hidden changes, whose sum the strength is chosen by")
            print_choice(trials, outcomes)
        print(f"\nby class, strength {arguments.detail}")
        print_by_class(trials, outcomes[arguments.detail])
        usual = [cell for cell in cells if is_normal(cell.copies)]
        print_incomplete(usual, priors, arguments.resamples, random)
        print_trisomies(usual, priors, random)


if __name__ == "__main__":
    main()
