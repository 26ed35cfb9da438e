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

from cli.connections import Services, register_shipped_pipeline, services
from cli.console import err, print_table, progress_bar
from db import pipelines, queue
from db.pipelines import PRODUCTION
from db.schema import ACTIVE, Analysis, CaseResult, Image, Queue, State
from ingest import IngestSummary, ingest
from ingest.sources import is_url, open_source, read_labels
from karyotyping.image.decode import Limits
from karyotyping.pipeline import Classifier, Segmenter
from reports.run import ExportedImage, export

POLL_SECONDS = 0.3


def _existing(location: str) -> str:
    if not is_url(location) and not Path(location).exists():
        raise typer.BadParameter(f"Path {location!r} does not exist.")
    return location


Images = Annotated[
    str,
    typer.Argument(
        parser=_existing,
        metavar="PATH",
        help="A folder or zip archive of metaphase images, a CSV manifest, or s3://BUCKET/PREFIX.",
    ),
]
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
        return all(image.state == State.DONE or image.reason for image in self.images)


def run(
    path: Images,
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
        if image.state != State.DONE
    ]
    if problems:
        print_table("Not analysed", ("file", "reason", "what it means"), problems)


def process(
    found: Services,
    location: str,
    *,
    case: str | None,
    out: Path,
    lab: str | None = None,
    pipeline_id: int | None = None,
) -> RunOutcome:
    """Ingest ``location``, wait until a pipeline (production) has seen all of it, and write the report to ``out``."""
    if pipeline_id is None:
        with found.sessions() as session:
            pipeline_id = pipelines.resolve(session, PRODUCTION).id
    with progress_bar() as progress:
        summary = take_in(found, location, pipeline_id, progress, case=case, lab=lab)
        waiting = progress.add_task("analysing", total=len(summary.image_ids), note="")
        for ended, note in _until_ended(found, summary.image_ids, pipeline_id):
            progress.update(waiting, completed=ended, note=note)
    with found.sessions() as session:
        images = export(
            session, found.store, out, image_ids=summary.image_ids, pipeline_id=pipeline_id, rejected=summary.rejected
        )
    return RunOutcome(summary, images)


def take_in(
    found: Services, location: str, pipeline_id: int, progress: Progress, *, case: str | None, lab: str | None
) -> IngestSummary:
    """Ingest the images at ``location`` and show the progress; see :func:`ingest.sources.open_source`."""
    settings = found.settings
    limits = Limits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
    labels = read_labels({"case": case or "", "lab": lab or ""})
    task = progress.add_task("storing", total=None, note="")

    def stored(done: int, total: int | None, event: str) -> None:
        progress.update(task, completed=done, total=total, note=event)

    with open_source(location, labels, endpoint_url=settings.s3_endpoint_url) as source:
        return ingest(found.sessions, found.store, source, pipeline_id=pipeline_id, limits=limits, progress=stored)


def _until_ended(found: Services, image_ids: Sequence[int], pipeline_id: int) -> Iterator[tuple[int, str]]:
    """Yield (images ended, note) until every analysis has ended and its case is summarised."""
    mine = Analysis.image_id.in_(image_ids), Analysis.pipeline_id == pipeline_id
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
            counts = queue.count_by_state(session, *mine)
            cases = session.scalar(stale) or 0
            paused = session.scalar(select(Queue.paused_by).where(Queue.paused_at.is_not(None)).limit(1))
        active = sum(counts[state] for state in ACTIVE)
        note = f"{cases} cases to summarise" if cases and not active else ""
        if active and paused:
            note = f"paused by {paused}; `karyo resume` goes on"
        yield counts.total() - active, note
        if not active and not cases:
            return
        found.check()
        time.sleep(POLL_SECONDS)
