"""What normal chromosomes of the 24 classes look like, for the comparison of homologs.

    python -m training.normal_homologs REPORT.npz [IMAGES.npz --labels coco.json] [--out FILE]

The files are those of chromosomes that ``karyo train embedder`` keeps in its cache. Chromosomes of the split
``held-out`` have no part, nor do cases with an abnormal image in the labels. Half of the cases calibrate the scores of
the model of the other half; the written model is that of all of them.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from karyotyping.arrays import Floats
from karyotyping.classification.atypical_banding import CONTEXTS, MODEL_FILE, RATES, Assessor, NormalModel
from karyotyping.classification.atypical_templates import DIMENSIONS, KINDS, describe, turned
from karyotyping.nomenclature.classes import CLASS_COUNT
from training.embedder.data import LEVELS, Chromosomes, load_chromosomes
from training.embedder.labelled_images import split_of

_MAX_DEVIATION = 4.0  # standard deviations at which values are clipped before covariances
_MIN_PAIRS = 100  # of a class; fewer give no covariance with the homolog
_MIN_ORIENTATION_MARGIN = 5.0  # difference of the squared Mahalanobis distances of both orientations


@dataclass(frozen=True, slots=True)
class Described:
    """A normal chromosome."""

    values: Floats
    """(V,) p arm up."""
    class_index: int
    cell: str
    case: str


def main() -> None:
    """Write the model and print how many chromosomes it has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "chromosomes", type=Path, nargs="+", help="caches of chromosomes, reports with an orientation first"
    )
    parser.add_argument("--labels", type=Path, help="COCO file whose notes name abnormal images")
    parser.add_argument("--out", type=Path, default=MODEL_FILE)
    arguments = parser.parse_args()
    abnormal = abnormal_cases(arguments.labels) if arguments.labels else frozenset[str]()
    members = read_normal(map(load_chromosomes, arguments.chromosomes), abnormal)
    fit_calibrated(members).save(arguments.out)
    print(f"{len(members)} chromosomes of {len({one.case for one in members})} cases")


def abnormal_cases(labels: Path) -> frozenset[str]:
    """Return the cases with an image whose note is not normal."""
    images = json.loads(labels.read_text("utf-8"))["images"]
    return frozenset(str(one["case"]) for one in images if one["note"][0] != "normal")


def read_normal(parts: Iterable[Chromosomes], abnormal: Collection[str]) -> list[Described]:
    """Return the labelled chromosomes outside of the split ``held-out``, without abnormal cases.

    Args:
        parts: chromosomes; the first ones have a known orientation.
        abnormal: names of cases.
    """
    members: list[Described] = []
    for part in parts:
        names = np.array([case.split("/", 1)[1] for case in part.case])
        normal = np.array([split_of(case) != "held-out" and case not in abnormal for case in names])
        members += describe_all(part[normal & (part.class_index >= 0)], members)
    return members


def describe_all(chromosomes: Chromosomes, known: Sequence[Described]) -> list[Described]:
    """Return the descriptions of chromosomes, p arm up.

    Args:
        chromosomes: chromosomes of known classes.
        known: chromosomes of known orientation, which give that of the others.
    """
    found = []
    for k in range(len(chromosomes)):
        values = describe(chromosomes.canvas[k].astype(np.float32) / np.float32(LEVELS))
        if values is not None:
            found.append(
                Described(values, int(chromosomes.class_index[k]), str(chromosomes.cell[k]), str(chromosomes.case[k]))
            )
    return found if not known else _oriented(found, fit(known))


def _oriented(members: Sequence[Described], model: Assessor) -> list[Described]:
    """Return the chromosomes p arm up, without those that fit in both orientations."""
    found = []
    for class_index in range(CLASS_COUNT):
        own = [one for one in members if one.class_index == class_index]
        if own:
            both = np.stack([[one.values, turned(one.values)] for one in own])
            distances = np.stack(
                [model.statistics(class_index, both[:, side], None)[0][:, 0] for side in (0, 1)], axis=1
            )
            clear = np.abs(np.diff(distances**2, axis=1))[:, 0] >= _MIN_ORIENTATION_MARGIN
            upright = both[np.arange(len(own)), distances.argmin(axis=1)]
            found += [
                replace(one, values=values) for one, values, known in zip(own, upright, clear, strict=True) if known
            ]
    return found


def pairs_of(members: Sequence[Described]) -> dict[int, int]:
    """Return the index of the homolog of each chromosome that has exactly one in its cell."""
    own: dict[tuple[str, int], list[int]] = defaultdict(list)
    for k, one in enumerate(members):
        own[one.cell, one.class_index].append(k)
    return {k: found[1 - place] for found in own.values() if len(found) == 2 for place, k in enumerate(found)}


def fit(members: Sequence[Described]) -> Assessor:
    """Return the model of normal chromosomes, not calibrated."""
    mean = np.zeros((CLASS_COUNT, DIMENSIONS))
    covariance, pair_covariance = np.zeros((2, CLASS_COUNT, DIMENSIONS, DIMENSIONS))
    values = np.stack([one.values for one in members])
    classes = np.array([one.class_index for one in members])
    pairs = pairs_of(members)
    for c in range(CLASS_COUNT):
        own = np.flatnonzero(classes == c)
        if not len(own):
            continue
        mean[c] = np.median(values[own], axis=0)
        limit = _MAX_DEVIATION * values[own].std(axis=0)
        clipped = {int(k): np.clip(values[k] - mean[c], -limit, limit) for k in own}
        rows = np.stack(list(clipped.values()))
        covariance[c] = rows.T @ rows / len(rows)
        paired = [(clipped[int(k)], clipped[pairs[int(k)]]) for k in own if int(k) in pairs]
        if len(paired) >= _MIN_PAIRS:
            one, other = (np.stack(side) for side in zip(*paired, strict=True))
            pair_covariance[c] = (one.T @ other + other.T @ one) / (2 * len(paired))
    shape = CLASS_COUNT, len(CONTEXTS), len(KINDS) + 1
    quantiles = np.zeros((*shape[:2], len(RATES)))
    return Assessor(NormalModel(mean, covariance, pair_covariance, np.zeros(shape), np.ones(shape), quantiles))


def fit_calibrated(members: Sequence[Described]) -> NormalModel:
    """Return the model of normal chromosomes with scores calibrated on cases it did not see."""
    even = {case for number, case in enumerate(sorted({one.case for one in members})) if number % 2}
    halves = [[one for one in members if (one.case in even) == chosen] for chosen in (False, True)]
    statistics: dict[tuple[int, int], list[Floats]] = defaultdict(list)
    for unseen, seen in (halves, halves[::-1]):
        model, pairs = fit(seen), pairs_of(unseen)
        for c in range(CLASS_COUNT):
            alone = [k for k, one in enumerate(unseen) if one.class_index == c]
            paired = [k for k in alone if k in pairs]
            for context, own in enumerate((alone, paired)):
                if own:
                    values = np.stack([unseen[k].values for k in own])
                    homologs = np.stack([unseen[pairs[k]].values for k in own]) if context else None
                    statistics[c, context].append(model.statistics(c, values, homologs)[0])
    whole = fit(members).model
    location, scale, quantiles = whole.location.copy(), whole.scale.copy(), whole.quantiles.copy()
    for c in range(CLASS_COUNT):
        for context in range(len(CONTEXTS)):
            tables = [np.concatenate(statistics[c, k]) for k in (context, 0) if statistics[c, k]]
            table = next((one for one in tables if len(one) >= _MIN_PAIRS), None)
            if table is None:
                continue
            location[c, context], scale[c, context] = np.median(table, axis=0), table.std(axis=0)
            largest = ((table - location[c, context]) / scale[c, context]).max(axis=1)
            quantiles[c, context] = np.quantile(largest, 1 - np.array(RATES))
    return replace(whole, location=location, scale=scale, quantiles=quantiles)


if __name__ == "__main__":
    main()
