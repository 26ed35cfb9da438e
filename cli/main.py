"""``karyo``: the table of commands, and errors as sentences."""

from __future__ import annotations

import io
import sys
from traceback import format_exc
from typing import NoReturn

import typer

from cli.console import discard_output, print_error
from cli.lazy import Command, group_of
from telemetry.redaction import redact

WORK = "Work through images"
OPERATE = "Operate"
PROCESSES = "Processes of a production installation"
SCIENCE = "Science"

COMMANDS = {
    "run": Command("cli.run:run", WORK, "Karyotype a folder of metaphase images and write a report."),
    "demo": Command(
        "cli.demo:demo",
        WORK,
        "Simulate three small cases, karyotype them with every service, and compare with the truth.",
    ),
    "up": Command("cli.up:up", WORK, "Run everything on this machine, in the foreground, until Ctrl-C."),
    "analyse": Command(
        "cli.analyse:analyse",
        WORK,
        "Karyotype images with the pipeline alone: no database, no queue, the same results.",
    ),
    "classify": Command(
        "cli.classify:classify",
        WORK,
        "Classify single chromosomes: any orientation, either contrast, a folder or a zip.",
    ),
    "ingest": Command(
        "cli.ingest:ingest",
        OPERATE,
        "Store images and queue them for analysis; running workers do the rest. Safe to repeat.",
    ),
    "status": Command(
        "cli.status:status",
        OPERATE,
        "Show the images by state, the speed, the workers and the last errors.",
    ),
    "pause": Command(
        "cli.pause:pause",
        OPERATE,
        "Stop handing out images until `karyo resume`; workers finish those that they hold.",
    ),
    "resume": Command("cli.resume:resume", OPERATE, "Continue after `karyo pause` or `karyo drain`."),
    "drain": Command(
        "cli.drain:drain",
        OPERATE,
        "Pause every queue and wait until no worker holds an image.",
    ),
    "retry": Command(
        "cli.retry:retry",
        OPERATE,
        "Put failed and quarantined analyses back into the queue, with zero attempts.",
    ),
    "prioritise": Command(
        "cli.prioritise:prioritise",
        OPERATE,
        "Set the priority of a case's images that no worker has taken yet.",
    ),
    "review": Command("cli.review:review_app", OPERATE, "Correct and sign the results of cases."),
    "audit": Command("cli.audit:audit_app", OPERATE, "Who did what, in one hash chain."),
    "export": Command("cli.export:export_app", OPERATE, "Write signed results for other programs."),
    "storage": Command("cli.storage:storage_app", OPERATE, "The object store."),
    "report": Command("cli.report:report", OPERATE, "Print a view of the reporting schema."),
    "case-report": Command(
        "cli.case_report:case_report",
        OPERATE,
        "Write the report of a case: karyotype, evidence, pictures, and what a person must check.",
    ),
    "case": Command("cli.case:case_app", OPERATE, "Export, import and erase cases."),
    "cells": Command(
        "cli.cells:cells",
        OPERATE,
        "List the cells of a case to karyotype and to count, best first, each with the reason.",
    ),
    "campaign": Command("cli.campaign:campaign_app", OPERATE, "Re-analyse old cases with another pipeline."),
    "schedule": Command("cli.schedule:schedule_app", OPERATE, "Create campaigns by the clock."),
    "models": Command("cli.models:models_app", OPERATE, "Networks and pipeline versions."),
    "db": Command("cli.db:db_app", OPERATE, "The database schema."),
    "worker": Command(
        "cli.worker:worker",
        PROCESSES,
        "Analyse images: take chunks from the broker until SIGTERM.",
    ),
    "scheduler": Command(
        "cli.scheduler:scheduler",
        PROCESSES,
        "Dispatch images, recover lost work and create campaigns by the clock.",
    ),
    "web": Command("cli.web:web", PROCESSES, "Serve the pages and the HTTP API."),
    "simulate": Command(
        "cli.simulate:simulate",
        SCIENCE,
        "Draw metaphase images of any numerical karyotype from ideograms, with their exact truth.",
    ),
    "validate": Command(
        "cli.validate:validate",
        SCIENCE,
        "Karyotype a signed backlog on this machine, and compare every case with what was signed.",
    ),
    "train": Command("cli.train:train_app", SCIENCE, "Train the networks (needs the `train` extra)."),
    "evaluate": Command("cli.evaluate:evaluate_app", SCIENCE, "Compare results with a truth; every metric as JSON."),
}

app = typer.Typer(
    name="karyo",
    cls=group_of(COMMANDS),
    help="Automated karyotyping at laboratory scale: metaphase images in, karyotypes and quality metrics out.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)


@app.callback()
def karyo() -> None:
    """Make Typer expect sub-commands."""


def main() -> None:
    """Run the command line; a problem that its user can solve is a sentence, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an encoding without a character shows another one
    try:
        _call()
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            discard_output()


def _call() -> NoReturn:
    try:
        app()
    except Exception as problem:
        if report := describe_problem(problem):
            sentence, code = report
            print_error(sentence)
            sys.exit(code)
        sys.stderr.write(redact(format_exc()))
        sys.exit(1)
    sys.exit(0)


def describe_problem(problem: Exception) -> tuple[str, int] | None:
    """Return the sentence and the exit status for a problem that a user can solve.

    The status is 2 for a configuration that must change, and 1 for a service that does not answer and for data. The
    result is None for any other problem. The rooms that raise such problems are imported here, so that no other call
    pays for them.
    """
    from pydantic import ValidationError  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from db.pipelines import UnknownPipeline  # noqa: PLC0415
    from embedded.errors import HomeUnusable, StackError  # noqa: PLC0415
    from ingest.rejections import IngestError  # noqa: PLC0415
    from models.errors import EngineUnavailable  # noqa: PLC0415
    from models.registry import ModelUnavailable  # noqa: PLC0415
    from reports.errors import ReportError  # noqa: PLC0415
    from settings import ConfigurationError, describe_invalid  # noqa: PLC0415
    from storage import StorageError, StoreMisconfigured  # noqa: PLC0415

    if isinstance(problem, ValidationError):
        return describe_invalid(problem), 2
    if isinstance(problem, ConfigurationError | HomeUnusable | StoreMisconfigured):
        return str(problem), 2
    if isinstance(problem, SQLAlchemyError):
        return _describe_database(problem)
    if isinstance(problem, OSError) and problem.filename is not None:
        wrong_path = FileNotFoundError | NotADirectoryError | IsADirectoryError | PermissionError
        return f"cannot use {problem.filename}: {problem.strerror}", 2 if isinstance(problem, wrong_path) else 1
    unavailable = EngineUnavailable | ModelUnavailable | UnknownPipeline
    solvable = StackError | StorageError | IngestError | ReportError | unavailable
    return (str(problem), 1) if isinstance(problem, solvable) else None


def _describe_database(problem: Exception) -> tuple[str, int] | None:
    from db import outages  # noqa: PLC0415

    reason = outages.describe(problem)
    if outages.is_refusal(problem):
        return f"the database refuses KARYO_DATABASE_URL: {reason}; correct its user, password or database", 2
    if outages.is_outage(problem):
        return f"the database does not answer: {reason}; check that PostgreSQL runs and KARYO_DATABASE_URL", 1
    return None


if __name__ == "__main__":
    main()
