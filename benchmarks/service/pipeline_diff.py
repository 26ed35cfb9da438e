"""Compare two pipelines over 50 cases, 20 of them signed, with a laboratory's commands.

    python -m benchmarks.service.pipeline_diff [OUT] [--cases 50] [--cells 20] [--signed 20]
        [--seed 1] [--home DIR]

Cells are karyotypes whose chromosomes get lost: seldom by the pipeline in production. The candidate, the shipped
pipeline with the geometric segmenter, loses more small ones, and mostly the third copy of one. Their rows are written
through the queue, and a real scheduler and worker summarise the cases. Then ``karyo campaign diff`` writes a table, a
page and a Parquet file into OUT, ``karyo models promote`` refuses the candidate, and ``--because`` promotes it. Prints
a Markdown table of what was checked and exits with 1 if a check fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from sqlalchemy import func, select
from sqlalchemy.orm import Session

import reviews
from benchmarks.figures import log_progress, print_header, print_row
from cli.shipped_pipeline import promote_shipped_pipeline, register_shipped_pipeline
from db import queue
from db.engine import SessionFactory, make_engine, make_sessions
from db.queue import AnalysisResult
from db.schema import Case, CaseResult, Image, Pipeline, Priority
from embedded import EmbeddedStack
from karyotyping.nomenclature.cell_lines import parse_lines
from karyotyping.nomenclature.iscn import format_iscn
from karyotyping.pipeline import Segmenter

KARYOTYPES = (
    "46,XX", "46,XY", "47,XX,+21", "46,XX", "46,XY", "45,X", "46,XY", "47,XXY", "46,XX", "47,XY,+18",
    "46,XX", "46,XY", "47,XY,+21", "46,XX", "46,XY", "47,XX,+13", "46,XX", "mos 45,X[8]/46,XX[12]", "46,XY", "47,XYY",
)  # fmt: skip
"""Karyotypes of the cases, in turn."""
SMALL = (21, 22, 24)  # class ids
LOSSES = {"production": (0.001, 0.002, 0.002), "candidate": (0.002, 0.05, 0.95)}
"""Probabilities that a chromosome is lost: a large one, a small one, and the third copy of a small one."""
READER = "Ada"
BECAUSE = "trial of the geometric segmenter on a host without the network"
MAX_WAIT = 600.0  # s, for the summaries
ROWS_PER_COMMIT = 100  # analyses
QUALITY = {
    "contrast_polarity": "dark_on_light", "focus": 0.5, "contrast": 0.6, "noise": 0.01, "background_unevenness": 0.02,
    "spread": 3.0, "chromosome_width": 12.5, "cluster_count": 4, "overlap_count": 1, "nucleus_count": 0,
    "debris_count": 2, "unexplained_objects": 0, "edge_contact_count": 0, "class_confidence": 0.95, "score": 0.85,
    "flags": [], "band_level": 550, "band_level_low": 500, "band_level_high": 600, "outline_edits": 0.3,
    "class_edits": 0.2,
}  # fmt: skip


def main() -> None:
    """Fill a database, compare, promote and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", nargs="?", type=Path, default=Path("pipeline-diff"))
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--cells", type=int, default=20, help="of each case")
    parser.add_argument("--signed", type=int, default=20, help="cases that are signed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="keep the stack's state here")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="karyo-diff-") as folder:
        home = options.home or Path(folder)
        truth = {f"D-{n + 1:03d}": KARYOTYPES[n % len(KARYOTYPES)] for n in range(options.cases)}
        with EmbeddedStack(home, workers=0, scheduler=False) as stack:
            sessions = make_sessions(make_engine(str(stack.settings.database_url), pooled=False))
            digests = fill(sessions, truth, options.cells, options.seed)
        with EmbeddedStack(home, workers=1, scheduler=True) as stack:
            sessions = make_sessions(make_engine(str(stack.settings.database_url), pooled=False))
            wait_for_summaries(sessions, 2 * options.cases)
        with EmbeddedStack(home, workers=0, scheduler=False) as stack:
            sessions = make_sessions(make_engine(str(stack.settings.database_url), pooled=False))
            sign_cases(sessions, list(truth.items())[: options.signed])
            checks = list(compare(partial(karyo, home), options.out, digests["candidate"][:12], options))
    print_header("check", "result")
    for name, is_right in checks:
        print_row(name, "yes" if is_right else "**no**")
    sys.exit(0 if all(is_right for _, is_right in checks) else 1)


def fill(sessions: SessionFactory, truth: Mapping[str, str], cells: int, seed: int) -> dict[str, str]:
    """Write cases and the results of both pipelines; return the digests of the pipelines."""
    pipelines = {
        "production": promote_shipped_pipeline(sessions),
        "candidate": register_shipped_pipeline(sessions, segmenter=Segmenter.GEOMETRIC),
    }
    with sessions.begin() as session:
        add_cases(session, truth, cells)
    rng = np.random.default_rng(seed)
    for name, pipeline_id in pipelines.items():
        log_progress(f"results of {name}")
        with sessions.begin() as session:
            queue.enqueue_selected(session, select(Image.id), pipeline_id, Priority.ROUTINE)
        while write_results(sessions, truth, LOSSES[name], rng):
            pass
    with sessions() as session:
        return {name: session.get_one(Pipeline, pipeline_id).digest for name, pipeline_id in pipelines.items()}


def add_cases(session: Session, truth: Mapping[str, str], cells: int) -> None:
    """Add the cases with so many images each."""
    facts = {"format": "PNG", "byte_count": 500_000, "width": 1280, "height": 1024, "bit_depth": 8}
    for accession in truth:
        case = Case(accession=accession, lab="north", tissue="blood")
        session.add(case)
        session.flush()
        for number in range(cells):
            sha256 = f"{case.id:032x}{number:032x}"
            name = f"{accession}_{number + 1:02d}.png"
            session.add(Image(sha256=sha256, object_key=f"sha256/{sha256}", case_id=case.id, file_name=name, **facts))


def write_results(
    sessions: SessionFactory, truth: Mapping[str, str], losses: Sequence[float], rng: np.random.Generator
) -> int:
    """Lease, begin and finish the next analyses as a worker does; return their number."""
    with sessions.begin() as session:
        claimed = queue.claim(session, Priority.ROUTINE, ROWS_PER_COMMIT, ROWS_PER_COMMIT)
        leases = queue.lease(session, [one.analysis_id for one in claimed], "benchmark", 600)
        queue.begin_all(session, leases, shared=True)
        results = [(lease, draw_cell(truth[lease.accession], losses, rng)) for lease in leases]
        return len(queue.finish_all(session, results))


def draw_cell(karyotype: str, losses: Sequence[float], rng: np.random.Generator) -> AnalysisResult:
    """Return the result of a cell of one of the karyotype's lines, with lost chromosomes."""
    lines = parse_lines(karyotype.removeprefix("mos "))
    shares = np.array([line.cells or 1 for line in lines], float)
    line = lines[rng.choice(len(lines), p=shares / shares.sum())]
    found = [(class_id, copy) for class_id, copies in sorted(line.copies.items()) for copy in range(copies)]
    kept = [class_id for class_id, copy in found if rng.random() >= losses[(class_id in SMALL) * (1 + (copy > 1))]]
    copies = {class_id: kept.count(class_id) for class_id in set(kept)}
    return AnalysisResult(
        seconds=1.2,
        iscn=format_iscn(copies),
        artefacts={},
        chromosomes=[chromosome(ordinal, class_id) for ordinal, class_id in enumerate(kept)],
        qc={**QUALITY, "chromosome_count": len(kept)},
    )


def chromosome(ordinal: int, class_id: int) -> dict[str, Any]:
    """Return the row of a chromosome whose class is nearly certain."""
    others = [other for other in range(1, 25) if other != class_id][:4]
    return {
        "ordinal": ordinal, "box": [10, 20, 30, 80], "mask": "", "class_id": class_id, "class_score": 0.98,
        "score": 0.98, "top5_classes": [class_id, *others], "top5_scores": [0.98, 0.005, 0.005, 0.005, 0.005],
        "length": 80.0, "width": 12.0, "centromere_index": 0.4, "orientation": "p_up", "embedding": None, "flags": [],
    }  # fmt: skip


def wait_for_summaries(sessions: SessionFactory, expected: int) -> None:
    """Wait until the worker has summarised every case by both pipelines.

    Raises:
        TimeoutError: it has not within ``MAX_WAIT``.
    """
    began = time.monotonic()
    done = select(func.count()).select_from(CaseResult).where(CaseResult.state == "done")
    while True:
        with sessions() as session:
            count = session.scalars(done).one()
        if count == expected:
            return
        if time.monotonic() - began > MAX_WAIT:
            raise TimeoutError(f"{count} of {expected} cases are summarised after {MAX_WAIT:g} s")
        log_progress(f"{count} of {expected} summaries")
        time.sleep(5)


def sign_cases(sessions: SessionFactory, truth: Sequence[tuple[str, str]]) -> None:
    """Sign cases by one reader; a case without a karyotype gets its true one."""
    for accession, karyotype in truth:
        with sessions.begin() as session:
            case = session.scalars(select(Case).where(Case.accession == accession)).one()
            review = reviews.read_case(session, case)
            stated = None if review.after.iscn else karyotype
            reviews.sign(session, case, reader=READER, actor=READER, required=1, karyotype=stated)


def compare(
    call: partial[subprocess.CompletedProcess[str]], out: Path, candidate: str, options: argparse.Namespace
) -> Iterator[tuple[str, bool]]:
    """Yield what the commands must do, and whether they did."""
    page, table = out / "diff.html", out / "diff.parquet"
    began = time.perf_counter()
    printed = call("campaign", "diff", "production", candidate, "--html", str(page), "--parquet", str(table))
    print(printed.stdout, f"\n{time.perf_counter() - began:.1f} s for the comparison\n")
    rows = pq.read_table(table).to_pylist()
    document = json.loads(call("campaign", "diff", "production", candidate, "--json").stdout)
    signed = document["signed"]["after"]
    yield f"the comparison has a row for each of {options.cases} cases", len(rows) == options.cases
    yield (
        "the page, the Parquet file and the JSON agree",
        document["cases"] == rows
        and all(row["case"] in page.read_text() for row in rows if row["consequence"] != "unchanged"),
    )
    yield f"{options.signed} signed cases are compared", signed["signed"] == options.signed
    yield "production agrees with what was signed", not document["signed"]["before"]["contradicted"]
    refused = call("models", "promote", candidate)
    yield "the candidate is refused, with the cases", refused.returncode == 1 and "signed" in refused.stderr
    print(refused.stderr)
    promoted = call("models", "promote", candidate, "--because", BECAUSE)
    yield "--because promotes it", promoted.returncode == 0
    print(promoted.stderr)
    (event,) = json.loads(call("audit", "list", "--json", "--action", "pipeline.promoted").stdout)[:1]
    kept = event["detail"]
    yield (
        "the audit trail keeps reason and figures",
        kept["because"] == BECAUSE
        and kept["signed_cases"]
        == {
            **signed,
            "limit": kept["signed_cases"]["limit"],
        },
    )
    yield "the audit trail is whole", call("audit", "verify").returncode == 0


def karyo(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Return what a ``karyo`` command wrote."""
    environment = {**os.environ, "KARYO_HOME": str(home), "COLUMNS": "140", "KARYO_SIGN_OFF_READERS": "1"}
    argv = [sys.executable, "-m", "cli.main", *words]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    main()
