"""Karyotypes of simulated cases from their images, by the pipeline and the engine of cases.

    python -m benchmarks.accuracy.full_stack_cases --out DIR [--cases 60] [--cells 20] [--seed 1] [--mix MIX]
        [--analyse-only | --judge-only]

Draws ``--cases`` cases, one of each kind of ``benchmarks.accuracy.cases`` after the other, as ``karyo simulate`` does.
The default pipeline analyses their images. Results are stored in ``DIR``, a file for each case, so that an interrupted
run continues and that a changed engine judges the same results. ``--mix`` has shares of qualities, see ``karyo
simulate``; by default 70 % of the cells are good, 20 % crowded and 10 % poor.

Output: verdicts by kind, every case that is not exact, and lost, misread and extra chromosomes per cell by quality.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import track

from benchmarks.accuracy.case_rates import NO_MARGINS, Item, count_errors, result_of
from benchmarks.accuracy.cases import KINDS, Case, karyotype, print_cases, summary_of
from benchmarks.figures import print_header, print_row
from karyotyping.model import AnalysisError
from karyotyping.pipeline import Pipeline
from training.simulation.case_plan import apportion, parse_mix, plan_case
from training.simulation.dataset import simulate_case
from training.simulation.metaphase import SimulatedMetaphase

MIX = "good=70,crowded=20,poor=10"


def planned_cases(cases: int, cells: int) -> Iterator[tuple[str, str, str]]:
    """Yield accession, kind and karyotype of the cases; kinds take turns.

    >>> list(planned_cases(3, 20))[2]
    ('FULL-003', '+21', '47,XY,+21[20]')
    """
    for number, (kind, shares) in enumerate(islice(cycle(KINDS.items()), cases), start=1):
        lines = zip(shares, apportion(list(shares.values()), cells), strict=True)
        yield f"FULL-{number:03d}", kind, "/".join(f"{line}[{own}]" for line, own in lines)


def analyse_case(
    pipeline: Pipeline, accession: str, text: str, *, cells: int, seed: int, mix: Mapping[str, float]
) -> Iterator[Item]:
    """Yield a result for each cell of a case, with its true classes and boxes."""
    plan = plan_case(accession, text, cells, seed=seed, mix=mix)
    images = simulate_case(accession, text, cells, seed=seed, mix=mix)
    for number, (image, planned) in enumerate(zip(images, plan.cells, strict=True)):
        result: Item = {"id": number, "quality": planned.quality, "truth": truth_of(image)}
        cell = pipeline.analyse_batch([image.pixels])[0]
        if not isinstance(cell, AnalysisError):
            result |= result_of(cell)
        yield result


def truth_of(image: SimulatedMetaphase) -> list[Item]:
    """Return class and box of the chromosomes of an image, as COCO has them."""
    pairs = zip(image.classes, image.boxes, strict=True)
    return [{"category_id": class_id, "bbox": [int(value) for value in box]} for class_id, box in pairs]


def analyse(out: Path, arguments: argparse.Namespace) -> None:
    """Write the results of the cases that ``out`` lacks."""
    mix = parse_mix(arguments.mix)
    out.mkdir(parents=True, exist_ok=True)
    plans = [plan for plan in planned_cases(arguments.cases, arguments.cells) if not (out / f"{plan[0]}.json").exists()]
    if not plans:
        return
    pipeline = Pipeline.default("cpu").open()
    for accession, kind, text in track(plans, "cases", console=Console(stderr=True)):
        cells = analyse_case(pipeline, accession, text, cells=arguments.cells, seed=arguments.seed, mix=mix)
        document = {"kind": kind, "karyotype": text, "results": list(cells)}
        part = out / f"{accession}.part"
        part.write_text(json.dumps(document), "utf-8")
        part.replace(out / f"{accession}.json")


def read_case(file: Path) -> tuple[Case, list[Item]]:
    """Return a stored case, and the results of its cells."""
    document = json.loads(file.read_text("utf-8"))
    results: list[Item] = document["results"]
    # The truth is the plan: an image of a usable cell shows all chromosomes of its clone.
    truth = [karyotype(dict(Counter(item["category_id"] for item in one["truth"]))) for one in results]
    cells = [summary_of(one) for one in results if "score" in one]
    return Case(document["kind"], cells, truth), results


def print_errors(results: Sequence[Item]) -> None:
    """Print lost, misread and extra chromosomes per cell, by quality of the simulation."""
    tally: dict[str, Counter[str]] = defaultdict(Counter)
    cells: Counter[str] = Counter()
    for one in results:
        if not one.get("iscn"):
            continue
        own = Counter(kind for kind, _ in count_errors(one["truth"], one["chromosomes"], NO_MARGINS))
        for name in (one["quality"], "all"):
            tally[name].update(own)
            cells[name] += 1
    print_header("quality", "cells", "lost", "misread", "without a class", "extra")
    for name, found in tally.items():
        numbers = (found["lost"], found["within"] + found["outside"], found["unknown"], found["extra"])
        print_row(name, cells[name], *(f"{number / cells[name]:.2f}" for number in numbers))


def main() -> None:
    """Simulate, analyse, judge, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results, a file for each case")
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--cells", type=int, default=20, help="cells of a case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mix", default=MIX, help="shares of qualities")
    parser.add_argument("--analyse-only", action="store_true", help="write results, and judge none")
    parser.add_argument("--judge-only", action="store_true", help="judge the stored results")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if not arguments.judge_only:
        analyse(arguments.out, arguments)
    if not arguments.analyse_only:
        stored = [read_case(file) for file in sorted(arguments.out.glob("*.json"))]
        print_cases((case for case, _ in stored), each=True)
        print_errors([one for _, results in stored for one in results])


if __name__ == "__main__":
    main()
