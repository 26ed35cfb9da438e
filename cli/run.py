"""``karyo run``: from a folder of metaphase images to karyotypes and a report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cli.connections import Services, open_services
from cli.console import err, print_table, progress_bar
from cli.ingest import check_found, ingest_with_progress, read_options
from cli.options import Channel, ImagesArgument, Lab, Plane
from cli.shipped_pipeline import register_shipped_pipeline
from db import pipelines, queue
from db.schema import ACTIVE, Analysis, CaseResult, Image, Queue, State
from ingest.batch import IngestSummary
from ingest.sources.content import describe_passed_over
from ingest.sources.labels import NO_LABELS, Labels
from karyotyping.pipeline import Classifier, Segmenter
from reports.folder import claim_folder
from reports.run import ReportedImage, write_run_report

POLL_SECONDS = 0.3  # s between two counts of the ended analyses


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """Ingested files and analysed images of one run."""

    summary: IngestSummary
    images: list[ReportedImage]

    @property
    def complete(self) -> bool:
        """Whether every file ended ``done`` or with a named rejection, without a conflict."""
        return not self.summary.has_conflicts and all(
            image.state == State.DONE or image.reason for image in self.images
        )


def run(
    path: ImagesArgument,
    *,
    case: Annotated[
        str | None, typer.Option(help="Accession number of all images; default: the sub-folder's name.")
    ] = None,
    lab: Lab = None,
    channel: Channel = None,
    plane: Plane = None,
    out: Annotated[Path, typer.Option(help="Folder for the report; replaces an earlier one.")] = Path("karyo-report"),
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

    Exits with 0 only if there are images, every one ended `done` or with a named rejection, and none contradicts a
    known case or image. An interrupted run resumes when it is called again.
    """
    from models.providers import default_processes  # noqa: PLC0415 - imports ONNX Runtime

    with claim_folder(out), open_services(workers=workers or default_processes(), with_pipeline=True) as services:
        pipeline_id = None
        if classifier or segmenter:
            pipeline_id = register_shipped_pipeline(services.sessions, classifier, segmenter)
        labels = read_options(case, lab, channel, plane)
        outcome = process(services, path, labels=labels, out=out, pipeline_id=pipeline_id)
    print_outcome(outcome)
    check_found(outcome.summary, path)
    err.print(f"report: [bold]{(out / 'report.html').resolve()}[/]", soft_wrap=True)
    raise typer.Exit(0 if outcome.complete else 1)


def process(
    services: Services,
    location: str,
    *,
    out: Path,
    labels: Labels = NO_LABELS,
    pipeline_id: int | None = None,
) -> RunOutcome:
    """Ingest the images at ``location``, wait for their analyses and write the report, if any.

    Args:
        services: open connections.
        location: see :func:`ingest.sources.location.open_source`.
        out: folder of the report.
        labels: of all images; without a case, each sub-folder is one.
        pipeline_id: pipeline of the analyses; default: the one in production.
    """
    if pipeline_id is None:
        pipeline_id = services.sessions.transact(lambda session: pipelines.resolve(session, pipelines.PRODUCTION).id)
    with progress_bar() as progress:
        summary = ingest_with_progress(services, location, pipeline_id, progress, labels)
        task = progress.add_task("analysing", total=len(summary.image_ids), note="")
        for ended, note in _until_ended(services, summary.image_ids, pipeline_id):
            progress.update(task, completed=ended, note=note)
    if summary.found_nothing:
        return RunOutcome(summary, [])

    def write_report(session: Session) -> list[ReportedImage]:
        return write_run_report(
            session, services.store, out,
            image_ids=summary.image_ids, pipeline_id=pipeline_id, rejected=summary.rejected,
            passed_over=describe_passed_over(summary.passed_over),
        )  # fmt: skip

    return RunOutcome(summary, services.sessions.transact(write_report))


def print_outcome(outcome: RunOutcome) -> None:
    """Print the counts by state, and the reason of every file that was not analysed."""
    states = Counter(image.state for image in outcome.images)
    counts = [outcome.summary.describe(), *(f"{count} {state}" for state, count in sorted(states.items()))]
    passed_over = describe_passed_over(outcome.summary.passed_over)
    err.print("; ".join(filter(None, (*counts, passed_over))), soft_wrap=True)
    problems = [(item.name, item.reason, item.sentence) for item in outcome.summary.rejected]
    problems += [
        (image.file_name, image.reason or image.state, image.sentence or "")
        for image in outcome.images
        if image.state != State.DONE
    ]
    if problems:
        print_table("Not analysed", ("file", "reason", "what it means"), problems)


def _until_ended(services: Services, image_ids: Sequence[int], pipeline_id: int) -> Iterator[tuple[int, str]]:
    """Yield (ended analyses, note) until every analysis has ended and every case is summarised."""
    of_run = Analysis.image_id.in_(image_ids), Analysis.pipeline_id == pipeline_id
    stale_cases = (
        select(func.count())
        .select_from(CaseResult)
        .where(
            CaseResult.pipeline_id == pipeline_id,
            CaseResult.state == "stale",
            CaseResult.case_id.in_(select(Image.case_id).where(Image.id.in_(image_ids))),
        )
    )
    paused = select(Queue.paused_by).where(Queue.paused_at.is_not(None)).limit(1)

    def read(session: Session) -> tuple[Counter[State], int, str | None]:
        counts = queue.count_by_state(session, *of_run)
        return counts, session.scalar(stale_cases) or 0, session.scalar(paused)

    while True:
        counts, cases, paused_by = services.sessions.transact(read)
        active = sum(counts[state] for state in ACTIVE)
        note = f"{cases} cases to summarise" if cases and not active else ""
        if active and paused_by:
            note = f"paused by {paused_by}; `karyo resume` goes on"
        yield counts.total() - active, note
        if not active and not cases:
            return
        services.check()
        time.sleep(POLL_SECONDS)
