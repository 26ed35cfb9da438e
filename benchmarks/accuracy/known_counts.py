"""Class accuracy of assignment if the number of chromosomes of each class is known.

    python -m benchmarks.accuracy.known_counts FOLD.npz ...

Each npz is one that ``benchmarks.accuracy.out_of_fold`` reads. Measures the share of chromosomes with the right class:
alone, assigned by the default prior, and assigned to the classes that the truth has in the cell. Errors that remain
with known counts come from the network.

Output: a Markdown table with a row for each report.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp

from benchmarks.accuracy.out_of_fold import read
from benchmarks.figures import markdown
from karyotyping.arrays import Floats, Ints
from karyotyping.classification.assignment import assign

Right = Counter[str]


def compare(evidence: Floats, truth: Ints) -> Right:
    """Return the number of right classes of a cell, by method.

    Args:
        evidence: (N, 24) log-probabilities.
        truth: (N,) class indices.
    """
    assigned = [(one.class_id or 0) - 1 for one in assign(evidence)]
    _, places = linear_sum_assignment(-evidence[:, truth])
    return Counter(
        chromosomes=len(truth),
        alone=int((evidence.argmax(axis=1) == truth).sum()),
        assigned=int((np.array(assigned) == truth).sum()),
        known=int((truth[places] == truth).sum()),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folds", type=Path, nargs="+", metavar="FOLD.npz")
    arrays = read(parser.parse_args().folds)
    evidence = logsumexp(arrays["joint"], axis=2)
    found: dict[str, Right] = {}
    for cell in np.unique(arrays["cell"]):
        members = arrays["cell"] == cell
        report = str(arrays["report"][members][0])
        found.setdefault(report, Counter()).update(compare(evidence[members], arrays["class_index"][members]))
    rows = []
    for report, right in sorted(found.items()):
        total = right["chromosomes"]
        rows.append((report, total, *(f"{right[method] / total:.2%}" for method in ("alone", "assigned", "known"))))
    print(markdown(("report", "chromosomes", "alone", "assigned", "assigned, counts known"), rows))


if __name__ == "__main__":
    main()
