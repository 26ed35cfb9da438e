"""``karyo run``: a folder of metaphase images in, karyotypes and karyograms out, through the whole stack."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from sqlalchemy import func, select

from cli.connections import PRODUCTION, Services, register_shipped_pipeline, services
from cli.console import err, print_table, progress_bar
from db import pipelines
from db.schema import ENDED, Analysis, CaseResult, Image, Queue
from ingest import IngestSummary, ingest_folder, ingest_manifest
from karyotyping.image.decode import Limits
from karyotyping.pipeline import Classifier, Segmenter
from reports.run import ExportedImage, export

POLL_SECONDS = 0.3

Lab = Annotated[
    str | None, typer.Option(help="The laboratory that all images are from; laboratories take turns at the workers.")
]


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What became of every file of one run."""

    summary: IngestSummary
    images: list[ExportedImage]

    @property
    def complete(self) -> bool:
        """Whether every file ended ``done`` or with a named rejection."""
        return all(image.state == "done" or image.reason for image in self.images)


def run(
    path: Annotated[Path, typer.Argument(exists=True, help="A folder of metaphase images, or a CSV manifest.")],
    *,
    case: Annotated[
        str | None, typer.Option(help="Accession number of all images; default: the sub-folder's name.")
    ] = None,
    lab: Lab = None,
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("karyo-report"),
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Worker processes of the embedded stack; default: one for a GPU, or one for each core up to four.",
        ),
    ] = None,
    classifier: Annotated[
        Classifier | None,
        typer.Option(help="Use the shipped pipeline with this classifier instead of the one in production."),
    ] = None,
    segmenter: Annotated[
        Segmenter | None,
        typer.Option(help="Use the shipped pipeline with this segmenter instead of the one in production."),
    ] = None,
) -> None:
    """Karyotype a folder of metaphase images and write a report.

    Leaves with 0 only if every image ended `done` or with a named rejection. Interrupted, it resumes where it was when
    called again.
    """
    from models.providers import default_processes  # noqa: PLC0415 - brings the engines' library

    with services(workers=workers or default_processes()) as found:
        pipeline_id = register_shipped_pipeline(found, classifier, segmenter) if classifier or segmenter else None
        outcome = process(found, path, case=case, lab=lab, out=out, pipeline_id=pipeline_id)
    tell(outcome)
    err.print(f"report: [bold]{(out / 'report.html').resolve()}[/]", soft_wrap=True)
    raise typer.Exit(0 if outcome.complete else 1)


def tell(outcome: RunOutcome) -> None:
    """Say what became of the files, and of each one that was not analysed, why."""
    summary = outcome.summary
    states = Counter(image.state for image in outcome.images)
    counts = [f"{summary.new} new, {summary.duplicate} known, {len(summary.rejected)} rejected"]
    counts += [f"{count} {state}" for state, count in sorted(states.items())]
    err.print("; ".join(counts))
    problems = [(item.name, item.reason, item.sentence) for item in summary.rejected]
    problems += [
        (image.file_name, image.reason or image.state, image.sentence or "")
        for image in outcome.images
        if image.state != "done"
    ]
    if problems:
        print_table("Not analysed", ("file", "reason", "what it means"), problems)


def process(
    found: Services,
    path: Path,
    *,
    case: str | None,
    out: Path,
    lab: str | None = None,
    pipeline_id: int | None = None,
) -> RunOutcome:
    """Ingest ``path``, wait until a pipeline (production) has seen all of it, and write the report to ``out``."""
    if pipeline_id is None:
        with found.sessions() as session:
            pipeline_id = pipelines.resolve(session, PRODUCTION).id
    with progress_bar() as progress:
        summary = take_in(found, path, pipeline_id, progress, case=case, lab=lab)
        waiting = progress.add_task("analysing", total=len(summary.image_ids), note="")
        for ended, note in _until_ended(found, summary.image_ids, pipeline_id):
            progress.update(waiting, completed=ended, note=note)
    with found.sessions() as session:
        images = export(
            session, found.store, out, image_ids=summary.image_ids, pipeline_id=pipeline_id, rejected=summary.rejected
        )
    return RunOutcome(summary, images)


def take_in(
    found: Services, path: Path, pipeline_id: int, progress: Progress, *, case: str | None, lab: str | None
) -> IngestSummary:
    """Ingest a folder or a manifest, showing how far it is."""
    limits = Limits(max_bytes=found.settings.max_image_bytes, max_pixels=found.settings.max_image_pixels)
    task = progress.add_task("storing", total=None, note="")

    def stored(done: int, total: int, event: str) -> None:
        progress.update(task, completed=done, total=total, note=event)

    reader = ingest_manifest if path.suffix.lower() == ".csv" else ingest_folder
    return reader(
        found.sessions, found.store, path, pipeline_id=pipeline_id, case=case, lab=lab, limits=limits, progress=stored
    )


def _until_ended(found: Services, image_ids: Sequence[int], pipeline_id: int) -> Iterator[tuple[int, str]]:
    """Yield (images ended, note) until every analysis has ended and its case is summarised."""
    analyses = select(Analysis.state, func.count()).where(
        Analysis.image_id.in_(image_ids), Analysis.pipeline_id == pipeline_id
    )
    stale = (
        select(func.count())
        .select_from(CaseResult)
        .where(
            CaseResult.pipeline_id == pipeline_id,
            CaseResult.state == "stale",
            CaseResult.case_id.in_(select(Image.case_id).where(Image.id.in_(image_ids))),
        )
    )
    while True:
        with found.sessions() as session:
            states = dict(session.execute(analyses.group_by(Analysis.state)).all())
            cases = session.scalar(stale) or 0
            paused = session.scalar(select(Queue.paused_by).where(Queue.paused_at.is_not(None)).limit(1))
        active = sum(count for state, count in states.items() if state not in ENDED)
        note = f"{cases} cases to summarise" if cases and not active else ""
        if active and paused:
            note = f"paused by {paused}; `karyo resume` goes on"
        yield sum(states.values()) - active, note
        if not active and not cases:
            return
        found.check()
        time.sleep(POLL_SECONDS)
