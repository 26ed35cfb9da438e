"""``karyo``, the one command."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer
from rich.markup import escape

from cli.console import err
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
        "Simulate two small cases, karyotype them through the whole stack, and compare with the truth.",
    ),
    "up": Command("cli.processes:up", WORK, "Run everything on this machine, in the foreground, until Ctrl-C."),
    "analyse": Command(
        "cli.analyse:analyse",
        WORK,
        "Karyotype images with the pipeline alone: no database, no queue, the same results.",
    ),
    "classify": Command(
        "cli.classify:classify", WORK, "Name single chromosomes: any orientation, either contrast, a folder or a zip."
    ),
    "ingest": Command(
        "cli.operate:ingest",
        OPERATE,
        "Store images and queue them for analysis; running workers do the rest. Safe to repeat.",
    ),
    "status": Command(
        "cli.status:status",
        OPERATE,
        "How much is waiting, running and done, how fast it goes, who does it, and the last errors.",
    ),
    "pause": Command(
        "cli.steer:pause",
        OPERATE,
        "Hand out nothing more. Images that a worker holds are finished; everything else waits for `karyo resume`.",
    ),
    "resume": Command("cli.steer:resume", OPERATE, "Go on after `karyo pause` or `karyo drain`."),
    "drain": Command(
        "cli.steer:drain",
        OPERATE,
        "Pause everything and wait until no worker holds an image: then anything may be stopped or upgraded.",
    ),
    "retry": Command(
        "cli.operate:retry",
        OPERATE,
        "Put failed and quarantined analyses back into the queue, with their attempts counted afresh.",
    ),
    "report": Command("cli.operate:report", OPERATE, "Print a view of the reporting schema."),
    "campaign": Command("cli.campaigns:campaign_app", OPERATE, "Re-analyse old cases with another pipeline."),
    "schedule": Command("cli.campaigns:schedule_app", OPERATE, "Create campaigns by the clock."),
    "models": Command("cli.catalogue:models_app", OPERATE, "Networks and pipeline versions."),
    "db": Command("cli.catalogue:db_app", OPERATE, "The database schema."),
    "worker": Command(
        "cli.processes:worker",
        PROCESSES,
        "Analyse images: take chunks from the broker until told to stop (SIGTERM finishes the image in hand).",
    ),
    "scheduler": Command(
        "cli.processes:scheduler",
        PROCESSES,
        "Decide what runs when: dispatch, recover lost work, start campaigns by the clock. Any number may run at once.",
    ),
    "web": Command("cli.processes:web", PROCESSES, "Serve the pages and the HTTP API."),
    "simulate": Command(
        "cli.simulate:simulate",
        SCIENCE,
        "Draw metaphase images of any numerical karyotype from ideograms, with exact truth beside them.",
    ),
    "train": Command("cli.simulate:train_app", SCIENCE, "Train the networks (needs the `train` extra)."),
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
    """Being there, it makes Typer expect sub-commands."""


def main() -> None:
    """Run the command line; what people can mend is a sentence, not a traceback."""
    try:
        app()
    except Exception as problem:
        sentence, code = _mendable(problem)
        if not code:
            raise
        _leave(sentence, code)


def _mendable(problem: Exception) -> tuple[str, int]:
    """What to say of a problem, and the exit status; 0 for one that is a fault of ours.

    Only here are the rooms imported that raise them: whoever is here has a problem, and so the time.
    """
    from pydantic import ValidationError  # noqa: PLC0415
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415

    from db.pipelines import UnknownPipeline  # noqa: PLC0415
    from embedded.errors import StackError  # noqa: PLC0415
    from ingest import IngestError  # noqa: PLC0415
    from models.errors import EngineUnavailable  # noqa: PLC0415
    from models.registry import ModelUnavailable  # noqa: PLC0415
    from storage import StorageError  # noqa: PLC0415

    sentences = StackError | StorageError | IngestError | EngineUnavailable | ModelUnavailable | UnknownPipeline
    if isinstance(problem, ValidationError):
        said = "; ".join(str(error["msg"]).removeprefix("Value error, ") for error in problem.errors())
        return f"the KARYO_* environment is not usable: {said}", 2
    if isinstance(problem, OperationalError):
        return f"the database does not answer: {problem.orig}", 1
    return (str(problem), 1) if isinstance(problem, sentences) else ("", 0)


def _leave(sentence: str, code: int) -> NoReturn:
    err.print(f"[bold red]error:[/] {escape(sentence)}", soft_wrap=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
