"""``karyo``: the table of commands, and errors as sentences."""

from __future__ import annotations

import sys

import typer

from cli.console import print_error
from cli.lazy import Command, group_of

WORK = "Work through images"
OPERATE = "Operate"
PROCESSES = "Processes of a production installation"
SCIENCE = "Science"

COMMANDS = {
    "run": Command("cli.run:run", WORK, "Karyotype a folder of metaphase images and write a report."),
    "demo": Command(
        "cli.demo:demo",
        WORK,
        "Simulate two small cases, karyotype them with every service, and compare with the truth.",
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
    "report": Command("cli.report:report", OPERATE, "Print a view of the reporting schema."),
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
    try:
        app()
    except Exception as problem:
        if (report := describe_problem(problem)) is None:
            raise
        sentence, code = report
        print_error(sentence)
        sys.exit(code)


def describe_problem(problem: Exception) -> tuple[str, int] | None:
    """Return the sentence and the exit status for a problem that a user can solve.

    The result is None for any other problem. The rooms that raise such problems are imported here, so that no other
    call pays for them.
    """
    from pydantic import ValidationError  # noqa: PLC0415
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415

    from db.pipelines import UnknownPipeline  # noqa: PLC0415
    from embedded.errors import StackError  # noqa: PLC0415
    from ingest.rejections import IngestError  # noqa: PLC0415
    from models.errors import EngineUnavailable  # noqa: PLC0415
    from models.registry import ModelUnavailable  # noqa: PLC0415
    from reports.folder import ReportFolderError  # noqa: PLC0415
    from storage import StorageError  # noqa: PLC0415

    if isinstance(problem, ValidationError):
        reasons = "; ".join(str(error["msg"]).removeprefix("Value error, ") for error in problem.errors())
        return f"the KARYO_* environment is not usable: {reasons}", 2
    if isinstance(problem, OperationalError):
        return f"the database does not answer: {problem.orig}", 1
    unavailable = EngineUnavailable | ModelUnavailable | UnknownPipeline
    solvable = StackError | StorageError | IngestError | ReportFolderError | unavailable
    return (str(problem), 1) if isinstance(problem, solvable) else None


if __name__ == "__main__":
    main()
