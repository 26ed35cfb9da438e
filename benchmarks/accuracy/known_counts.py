"""How far assignment alone could bring a network: if it knew how many chromosomes of each class every cell has.

    python -m benchmarks.accuracy.known_counts FOLD.npz ...

Each npz is one that ``benchmarks.accuracy.out_of_fold`` reads.
Prints a Markdown table: by report, how many chromosomes get
the right class alone, assigned as karyoflow does, and assigned to the classes that the truth has in the cell, whose
number no rule can know. What is wrong even then, the pictures of single chromosomes do not tell the network.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp

from benchmarks.accuracy.out_of_fold import read
from karyotyping.classification.assignment import assign

Right = Counter[str]


def compare(evidence: NDArray[np.float64], truth: NDArray[np.int64]) -> Right:
    """Right ones of a cell, of (N, 24) log-probabilities and class indices (N,)."""
    assigned = [(one.class_id or 0) - 1 for one in assign(evidence)]
    # Every chromosome takes the place of one of the truth.
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
    print("| report | chromosomes | alone | assigned | assigned, counts known |\n| --- | --- | --- | --- | --- |")
    for report, right in sorted(found.items()):
        shares = " | ".join(f"{right[what] / right['chromosomes']:.2%}" for what in ("alone", "assigned", "known"))
        print(f"| {report} | {right['chromosomes']} | {shares} |")


if __name__ == "__main__":
    main()
