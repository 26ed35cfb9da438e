"""``karyo review``: corrections and sign-off of cases."""

from __future__ import annotations

import typer

from cli.review_correct import add, comment, flip, merge, reclassify, reject, split, undo
from cli.review_show import list_reviews, show
from cli.review_sign import sign

review_app = typer.Typer(help="Correct and sign the results of cases.", no_args_is_help=True)
review_app.command("list")(list_reviews)
for command in (show, reclassify, reject, split, merge, flip, add, comment, undo, sign):
    review_app.command()(command)
