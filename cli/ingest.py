"""``karyo ingest``: images into the store and the queue."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import Progress

from cli.connections import Services, open_services
from cli.console import err, print_json, print_table, progress_bar, warn
from cli.files import fail_without_images
from cli.options import AsJson, Channel, ImagesArgument, Lab, Plane
from db import pipelines
from ingest.batch import IngestSummary
from ingest.batch import ingest as ingest_source
from ingest.sources.content import describe_passed_over
from ingest.sources.labels import Labels, read_label
from ingest.sources.location import open_source
from karyotyping.image.decode import Limits


def ingest(
    path: ImagesArgument,
    *,
    case: Annotated[str | None, typer.Option(help="Accession number of all images.")] = None,
    lab: Lab = None,
    channel: Channel = None,
    plane: Plane = None,
    as_json: AsJson = False,
) -> None:
    """Store images and queue them for analysis; running workers do the rest. Safe to repeat.

    Exits with 1 if there was no image, or if a file was rejected because it contradicts a known case or image:
    somebody must decide.
    """
    with open_services(with_pipeline=True) as services, progress_bar() as progress:
        with services.sessions() as session:
            pipeline_id = pipelines.resolve(session, pipelines.PRODUCTION).id
        labels = read_options(case, lab, channel, plane)
        summary = ingest_with_progress(services, path, pipeline_id, progress, labels)
    if as_json:
        print_json(summary.to_json())
    else:
        counts = f"{summary.describe()} (batch {summary.batch_id})"
        err.print("; ".join(filter(None, (counts, describe_passed_over(summary.passed_over)))), soft_wrap=True)
        if summary.rejected:
            rows = [(item.name, item.reason, item.sentence) for item in summary.rejected]
            print_table("Rejected", ("file", "reason", "what it means"), rows)
    check_found(summary, path)
    raise typer.Exit(1 if summary.has_conflicts else 0)


def check_found(summary: IngestSummary, location: str) -> None:
    """Exit with 1 and a sentence if there was no image at ``location``."""
    if summary.found_nothing:
        fail_without_images(location, summary.passed_over, len(summary.rejected))


def read_options(case: str | None, lab: str | None, channel: str | None, plane: int | None) -> Labels:
    """Return the labels of all images, as the options of a command give them.

    Raises:
        LabelError: a text cannot be a label.
    """

    def label(name: str, text: str | None) -> str | None:
        return None if text is None else read_label(name, text)

    return Labels(label("case", case) or "", label("lab", lab), channel=label("channel", channel), plane=plane)


def ingest_with_progress(
    services: Services, location: str, pipeline_id: int, progress: Progress, labels: Labels
) -> IngestSummary:
    """Ingest the images at ``location`` and show the progress.

    The kinds of locations are those of :func:`ingest.sources.location.open_source`.
    """
    settings = services.settings
    limits = Limits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
    task = progress.add_task("storing", total=None, note="")

    def update(done: int, total: int | None, event: str) -> None:
        progress.update(task, completed=done, total=total, note=event)

    with open_source(location, labels, endpoint_url=settings.s3_endpoint_url) as source:
        summary = ingest_source(
            services.sessions, services.store, source, pipeline_id=pipeline_id, limits=limits, progress=update
        )
    for note in summary.notes:
        warn(note)
    return summary
