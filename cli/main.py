"""``karyo``, the one command."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer
from pydantic import ValidationError
from rich.markup import escape
from sqlalchemy.exc import OperationalError

from cli import (
    analyse,
    campaigns,
    catalogue,
    classify,
    demo,
    evaluate,
    operate,
    processes,
    run,
    simulate,
    status,
    steer,
)
from cli.console import err
from cli.embedded.errors import StackError
from db.pipelines import UnknownPipeline
from ingest import IngestError
from models.providers import EngineUnavailable
from models.registry import ModelUnavailable
from storage import StorageError

app = typer.Typer(
    name="karyo",
    help="Automated karyotyping at laboratory scale: metaphase images in, karyotypes and quality metrics out.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

WORK = "Work through images"
OPERATE = "Operate"
PROCESSES = "Processes of a production installation"
SCIENCE = "Science"

app.command("run", rich_help_panel=WORK)(run.run)
app.command("demo", rich_help_panel=WORK)(demo.demo)
app.command("up", rich_help_panel=WORK)(processes.up)
app.command("analyse", rich_help_panel=WORK)(analyse.analyse)
app.command("classify", rich_help_panel=WORK)(classify.classify)

app.command("ingest", rich_help_panel=OPERATE)(operate.ingest)
app.command("status", rich_help_panel=OPERATE)(status.status)
app.command("pause", rich_help_panel=OPERATE)(steer.pause)
app.command("resume", rich_help_panel=OPERATE)(steer.resume)
app.command("drain", rich_help_panel=OPERATE)(steer.drain)
app.command("retry", rich_help_panel=OPERATE)(operate.retry)
app.command("report", rich_help_panel=OPERATE)(operate.report)
app.add_typer(campaigns.campaign_app, name="campaign", rich_help_panel=OPERATE)
app.add_typer(campaigns.schedule_app, name="schedule", rich_help_panel=OPERATE)
app.add_typer(catalogue.models_app, name="models", rich_help_panel=OPERATE)
app.add_typer(catalogue.db_app, name="db", rich_help_panel=OPERATE)

app.command("worker", rich_help_panel=PROCESSES)(processes.worker)
app.command("scheduler", rich_help_panel=PROCESSES)(processes.scheduler)
app.command("web", rich_help_panel=PROCESSES)(processes.web)

app.command("simulate", rich_help_panel=SCIENCE)(simulate.simulate)
app.add_typer(simulate.train_app, name="train", rich_help_panel=SCIENCE)
app.add_typer(evaluate.evaluate_app, name="evaluate", rich_help_panel=SCIENCE)


def main() -> None:
    """Run the command line; what people can mend is a sentence, not a traceback."""
    try:
        app()
    except ValidationError as problem:
        sentences = "; ".join(str(error["msg"]).removeprefix("Value error, ") for error in problem.errors())
        _leave(f"the KARYO_* environment is not usable: {sentences}", 2)
    except (StackError, StorageError, IngestError, EngineUnavailable, ModelUnavailable, UnknownPipeline) as problem:
        _leave(str(problem), 1)
    except OperationalError as problem:
        _leave(f"the database does not answer: {problem.orig}", 1)


def _leave(sentence: str, code: int) -> NoReturn:
    err.print(f"[bold red]error:[/] {escape(sentence)}", soft_wrap=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
