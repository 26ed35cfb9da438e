"""Does the assignment over the cell find aneuploidies, and does it invent some? By strength of its prior.

    python -m benchmarks.accuracy.aneuploidy FOLD.npz ... [--strengths 1 2.5 5] [--sharpness 0.7]
        [--events 8] [--resamples 500]

Prints Markdown tables for each report. Each npz holds, for N chromosomes that its classifier was not trained on,
``joint`` (N, 24, 2) or ``log_probabilities`` (N, 24), ``class_index`` (N,) 0..23 (-1 for no chromosome, which is left
out), ``cell``, ``case``, ``report`` (N,) names, and perhaps ``unknown`` (N,), the probability that it is no chromosome
of any class. The strength of the prior is what a gain costs; what a loss costs follows from how many are missing.

Aneuploid cells are those that the truth has, and those made from every cell of 46 by leaving out a chromosome, by
adding one of another cell (of the same case if it has two cells, else of the same report), or both: then the count is
normal, and a prior that is too strong hides the change. That is weighed against the normal cells that are called
abnormal: the two shares are added, so that at a prevalence of 1 % a hidden change counts like 99 false alarms. What a
chromosome looks like beside the others of its cell is not computed anew for one more or less. Each cell undergoes
``--events`` of each, all classes equally often. Intervals are 95 % by bootstrap over cases.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from karyotyping.arrays import Ints
from karyotyping.classification.assignment import CopyNumberPrior, assign
from karyotyping.nomenclature.classes import CLASS_NAMES, X, Y
from training.evaluation.classification.calibration import calibration
from training.evaluation.statistics import Figures, bootstrap, ratio

CLASSES = len(CLASS_NAMES)
STRENGTHS = (0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
LEFT_OUT = (5, 10, 20)
KINDS = ("normal", "loss", "gain", "gain and loss", "abnormal in truth")
RIGHT, WRONG_ABNORMAL, FALSE_NORMAL, FALSE_ABNORMAL, WRONG_SEX = range(5)


@dataclass(frozen=True, slots=True)
class Cell:
    """n chromosomes of one metaphase."""

    evidence: NDArray[np.float64]
    """(n, 24) log-probabilities, each chromosome seen for itself."""
    whole: NDArray[np.float64]
    """(n,) probability that it is a chromosome of some class."""
    true: Ints
    """(n,) class index."""
    case: str
    report: str

    @property
    def copies(self) -> Ints:
        """(24,) true copies of each class."""
        return np.bincount(self.true, minlength=CLASSES)

    def only(self, kept: Ints) -> Cell:
        """The cell with only the chromosomes ``kept``."""
        return replace(self, evidence=self.evidence[kept], whole=self.whole[kept], true=self.true[kept])

    def lose(self, class_index: int, random: np.random.Generator) -> Cell:
        """The cell without one of its chromosomes of a class."""
        return self.only(np.delete(np.arange(len(self.true)), random.choice(np.flatnonzero(self.true == class_index))))

    def gain(self, donor: Cell, place: int) -> Cell:
        """The cell with one more chromosome, of another cell."""
        return replace(
            self,
            evidence=np.vstack([self.evidence, donor.evidence[place]]),
            whole=np.append(self.whole, donor.whole[place]),
            true=np.append(self.true, donor.true[place]),
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """One cell to be assigned, and what was done to it."""

    kind: str
    cell: Cell
    class_index: int | None = None
    """What was lost or gained; None if more than one was, or none."""


def normal(copies: Ints) -> bool:
    """Whether these are the copies of 46,XX or 46,XY."""
    return bool((copies[:22] == 2).all()) and (copies[X - 1], copies[Y - 1]) in ((2, 0), (1, 1))


def read(folds: Sequence[Path], sharpness: float = 1.0) -> list[Cell]:
    """The cells of all folds; ``sharpness`` calibrates log-probabilities that are too sure of themselves."""
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


def changed(cells: Sequence[Cell], events: int, random: np.random.Generator) -> Iterator[Trial]:
    """Losses, gains and both in every normal cell. A cell that would have no X is not made: it could not live."""
    donors: dict[tuple[str, int], list[tuple[Cell, int]]] = defaultdict(list)
    for cell in cells:
        for place, class_index in enumerate(cell.true.tolist()):
            donors[cell.case, class_index].append((cell, place))
            donors["", class_index].append((cell, place))
    turn = 0
    for cell in cells:
        if not normal(cell.copies):
            continue
        for _ in range(events):
            k, turn = turn % CLASSES, turn + 1
            if cell.copies[k] > (k == X - 1):
                yield Trial("loss", cell.lose(k, random), k)
            sources = ([one for one in donors[case, k] if one[0] is not cell] for case in (cell.case, ""))
            if nearest := next(filter(None, sources), None):
                more = cell.gain(*nearest[random.integers(len(nearest))])
                yield Trial("gain", more, k)
                other = int(random.choice([c for c in range(22) if c != k]))
                yield Trial("gain and loss", more.lose(other, random))


def outcome(true: Ints, said: Ints) -> int:
    """How the copies (24,) that were said compare with the true ones."""
    if (true == said).all():
        return RIGHT
    if normal(true):
        return WRONG_SEX if normal(said) else FALSE_ABNORMAL
    return FALSE_NORMAL if normal(said) else WRONG_ABNORMAL


def assigned(cell: Cell, prior: CopyNumberPrior) -> Ints:
    """(n,) class indices, -1 for what fits nothing."""
    return np.array(
        [-1 if one.class_id is None else one.class_id - 1 for one in assign(cell.evidence, cell.whole.tolist(), prior)]
    )


def copies(cell: Cell, prior: CopyNumberPrior) -> Ints:
    """(24,) copies that assigning ``cell`` finds."""
    said = assigned(cell, prior)
    return np.bincount(said[said >= 0], minlength=CLASSES)


def judge(cell: Cell, prior: CopyNumberPrior) -> int:
    """The outcome of assigning ``cell``."""
    return outcome(cell.copies, copies(cell, prior))


def interval(
    cells: Sequence[Cell],
    values: Sequence[Sequence[float]],
    figure: Callable[[NDArray[np.float64]], float],
    resamples: int,
) -> str:
    """``figure`` of the ``values``, a row for each of ``cells``, with its interval over cases."""
    by_case: dict[str, list[Sequence[float]]] = defaultdict(list)
    for cell, value in zip(cells, values, strict=True):
        by_case[cell.case].append(value)
    if not by_case:
        return "-"
    units = [np.array(rows, float) for rows in by_case.values()]

    def figures(sample: Sequence[NDArray[np.float64]]) -> Figures:
        return {"it": figure(np.concatenate(sample))}

    middle = f"{figures(units)['it']:.1%}"
    if not resamples:
        return middle
    low, high = bootstrap(units, figures, resamples=resamples, seed=0)["it"]
    return f"{middle} ({low:.1%} to {high:.1%})"


def share(code: int) -> Callable[[NDArray[np.float64]], float]:
    """The figure that is the share of one outcome."""
    return lambda rows: float((rows[:, 0] == code).mean())


def print_row(*words: object) -> None:
    """A row of a Markdown table."""
    print("| " + " | ".join(map(str, words)) + " |", flush=True)


def print_head(*words: object) -> None:
    """The head of a Markdown table."""
    print()
    print_row(*words)
    print_row(*["---"] * len(words))


def by_strength(
    trials: Sequence[Trial], priors: dict[float, CopyNumberPrior], resamples: int
) -> dict[float, list[int]]:
    """Print what becomes of each kind of cell; the outcomes by strength, in the order of ``trials``."""
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
        print_head("strength", *columns)
        for strength, codes in outcomes.items():
            rows = [[codes[number]] for number in chosen]
            print_row(strength, *(interval(cells, rows, share(code), resamples) for code in columns.values()))
    return outcomes


def weigh(trials: Sequence[Trial], outcomes: dict[float, list[int]]) -> None:
    """Print what the strength is chosen by: false abnormal among normal cells, false normal where the count is kept."""
    print_head("strength", "false abnormal", "false normal", "sum")
    for strength, codes in outcomes.items():
        tally = {
            kind: [code for trial, code in zip(trials, codes, strict=True) if trial.kind == kind]
            for kind in ("normal", "gain and loss")
        }
        alarms = ratio(tally["normal"].count(FALSE_ABNORMAL), len(tally["normal"]))
        hidden = ratio(tally["gain and loss"].count(FALSE_NORMAL), len(tally["gain and loss"]))
        print_row(strength, f"{alarms:.1%}", f"{hidden:.1%}", f"{alarms + hidden:.1%}")


def as_they_are(cells: Sequence[Cell], prior: CopyNumberPrior) -> None:
    """Print how many chromosomes are right, and whether the scores mean what they say."""
    said = [one for cell in cells for one in assign(cell.evidence, cell.whole.tolist(), prior)]
    true = np.concatenate([cell.true for cell in cells])
    chosen = np.array([-1 if one.class_id is None else one.class_id - 1 for one in said])
    alone = np.vstack([cell.evidence for cell in cells])
    print_head("", "right", "fits nothing", "mean score", "ECE", "log loss")
    for name, right, score in (
        ("isolated", alone.argmax(axis=1) == true, np.exp(alone.max(axis=1))),
        ("assigned", chosen == true, np.array([one.score for one in said])),
    ):
        placed = np.ones(len(true), bool) if name == "isolated" else chosen >= 0
        worth = calibration(score[placed], right[placed])
        print_row(
            name,
            f"{right.mean():.2%}",
            f"{1 - placed.mean():.2%}",
            f"{score[placed].mean():.2%}",
            f"{worth['calibration_error']:.2%}",
            f"{worth['log_loss']:.4f}",
        )


def gained(copies: Ints) -> Ints:
    """(24,) copies beyond those of the nearest normal cell."""
    beyond = []
    for of_x, of_y in ((2, 0), (1, 1)):
        usual = np.full(CLASSES, 2)
        usual[[X - 1, Y - 1]] = of_x, of_y
        beyond.append(np.maximum(copies - usual, 0))
    return min(beyond, key=lambda more: int(more.sum()))


def trisomies_in_part(cells: Sequence[Cell], priors: dict[float, CopyNumberPrior], random: np.random.Generator) -> None:
    """Print whether a third copy is found, and whether one is invented, in cells seen in part."""
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
    print("\nthird copy of an autosome found / invented where there is none, by how many are left out at random")
    print_head("strength", *parts)
    for strength, prior in priors.items():
        shares = []
        for pairs in parts.values():
            found = sum(int(gained(copies(more, prior))[k] > 0) for _, more, k in pairs)
            invented = sum(int(gained(copies(rest, prior)).any()) for rest, _, _ in pairs)
            shares.append(f"{ratio(found, len(pairs)):.1%} / {ratio(invented, len(pairs)):.1%}")
        print_row(strength, *shares)


def by_class(trials: Sequence[Trial], outcomes: Sequence[int]) -> None:
    """Print how often each class's loss and gain is called right, and how often the cell passes for normal."""
    tally = np.zeros((CLASSES, 2, 5), np.int64)
    for trial, code in zip(trials, outcomes, strict=True):
        if trial.class_index is not None:
            tally[trial.class_index, int(trial.kind == "gain"), code] += 1
    print_head("class", "losses", "right", "false normal", "gains", "right", "false normal")
    for name, kinds in zip(CLASS_NAMES, tally, strict=True):
        cells = []
        for codes in kinds:
            n = int(codes.sum())
            cells += [n, *(f"{ratio(codes[code], n):.1%}" if n else "-" for code in (RIGHT, FALSE_NORMAL))]
        print_row(name, *cells)


def incomplete(
    cells: Sequence[Cell], priors: dict[float, CopyNumberPrior], resamples: int, random: np.random.Generator
) -> None:
    """Print the assigned accuracy of cells seen in part."""

    def accuracy(rows: NDArray[np.float64]) -> float:
        return float(rows[:, 0].sum() / rows[:, 1].sum())

    parts = {
        missing: [cell.only(random.permutation(len(cell.true))[missing:]) for cell in cells if len(cell.true) > missing]
        for missing in (0, *LEFT_OUT)
    }
    print("\nshare of chromosomes with the right class, by how many of the cell are left out at random")
    print_head("strength", *parts)
    alone = [[[(c.evidence.argmax(axis=1) == c.true).sum(), len(c.true)] for c in part] for part in parts.values()]
    print_row(
        "isolated",
        *(interval(part, rows, accuracy, resamples) for part, rows in zip(parts.values(), alone, strict=True)),
    )
    for strength, prior in priors.items():
        print_row(
            strength,
            *(
                interval(part, [[(assigned(c, prior) == c.true).sum(), len(c.true)] for c in part], accuracy, resamples)
                for part in parts.values()
            ),
        )


def main() -> None:
    """Print every table for every report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folds", type=Path, nargs="+")
    parser.add_argument("--strengths", type=float, nargs="+", default=STRENGTHS, help="costs of a gain, nats")
    parser.add_argument("--sharpness", type=float, default=1.0, help="by which the log-probabilities are multiplied")
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
        as_they_are(cells, priors[arguments.detail])
        trials = [Trial("normal" if normal(cell.copies) else "abnormal in truth", cell) for cell in cells]
        trials += changed(cells, arguments.events, random)
        trials.sort(key=lambda trial: KINDS.index(trial.kind))
        outcomes = by_strength(trials, priors, arguments.resamples)
        if any(trial.kind == "gain and loss" for trial in trials):
            print("\nwhat the strength is chosen by")
            weigh(trials, outcomes)
        print(f"\nby class, strength {arguments.detail}")
        by_class(trials, outcomes[arguments.detail])
        usual = [cell for cell in cells if normal(cell.copies)]
        incomplete(usual, priors, arguments.resamples, random)
        trisomies_in_part(usual, priors, random)


if __name__ == "__main__":
    main()
