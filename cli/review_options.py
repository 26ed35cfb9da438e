"""Arguments, options and errors of the review commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from cli.connections import open_services
from cli.console import fail
from db import pipelines
from db.accessions import names_case
from db.schema import Case, Pipeline
from karyotyping.nomenclature.classes import CLASS_NAMES
from karyotyping.review import RefusedReview
from karyotyping.review.corrections import Part
from karyotyping.review.regions import Region

UNIDENTIFIED = "?"
_REGION: TypeAdapter[Region] = TypeAdapter(Region)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_SEPARATOR = re.compile(r"[\s,;]+")


@contextmanager
def review_session() -> Iterator[Session]:
    """Yield a session in one transaction; what is refused is a sentence and exit status 1."""
    with open_services() as services:
        try:
            with services.sessions.begin() as session:
                yield session
        except RefusedReview as problem:
            fail(str(problem))


def find_case(session: Session, accession: str) -> Case:
    """Return the case that ``accession`` names, or exit with 1."""
    case = session.scalars(select(Case).where(names_case(accession))).first()
    if case is None:
        fail(f"there is no case {accession!r}; `karyo report case_status` lists the cases")
    return case


def find_pipeline(session: Session, name: str | None) -> Pipeline | None:
    """Return the pipeline that ``--pipeline`` names, retired or not; None without the option."""
    return None if name is None else pipelines.resolve(session, name, allow_retired=True)


def parse_class(name: str) -> int | None:
    """Return the id of a class name such as ``21`` or ``X``; None for ``?``.

    Raises:
        typer.BadParameter: it is none.
    """
    if name == UNIDENTIFIED:
        return None
    if name.upper() not in CLASS_NAMES:
        raise typer.BadParameter(f"{name!r} is none of 1 to 22, X, Y and ? (not identified).")
    return CLASS_NAMES.index(name.upper()) + 1


def parse_region(text: str) -> Region:
    """Return the region that ``box:X,Y,WIDTH,HEIGHT`` or ``polygon:X,Y,X,Y,X,Y`` draws.

    Raises:
        typer.BadParameter: it is none.
    """
    kind, _, rest = text.partition(":")
    words = _SEPARATOR.split(rest.strip())
    numbers = [float(word) for word in words if _NUMBER.fullmatch(word)]
    if len(numbers) == len(words):
        if kind == "box" and len(numbers) == 4:
            return _validated({"kind": kind} | dict(zip(("x", "y", "width", "height"), numbers, strict=True)))
        if kind == "polygon" and len(numbers) >= 6 and len(numbers) % 2 == 0:
            return _validated({"kind": kind, "points": list(zip(numbers[::2], numbers[1::2], strict=True))})
    raise typer.BadParameter(f"{text!r} is neither box:X,Y,WIDTH,HEIGHT nor polygon:X,Y,X,Y,X,Y with 3 points or more.")


def parse_part(text: str) -> Part:
    """Return the chromosome that ``REGION`` or ``REGION=CLASS`` draws.

    Raises:
        typer.BadParameter: it is none.
    """
    region, equals, name = text.partition("=")
    return Part(region=parse_region(region), class_id=parse_class(name) if equals else None)


def build(model: type[Any], **fields: Any) -> Any:
    """Return a correction, or exit with 2 and a sentence for a field that cannot be."""
    try:
        return model(**fields)
    except ValidationError as problem:
        fail(_describe(problem), code=2)


def _validated(value: dict[str, Any]) -> Region:
    try:
        return _REGION.validate_python(value)
    except ValidationError as problem:
        raise typer.BadParameter(f"{_describe(problem)}.") from problem


def _describe(problem: ValidationError) -> str:
    sentences = []
    for error in problem.errors(include_input=False, include_url=False):
        place = ".".join(str(part) for part in error["loc"])
        sentences.append(f"{place}: {str(error['msg']).removeprefix('Value error, ')}")
    return "; ".join(sentences)


CaseArgument = Annotated[str, typer.Argument(metavar="CASE", help="Accession number of the case.")]
AnalysisArgument = Annotated[int, typer.Argument(metavar="ANALYSIS", help="Number in `karyo review show CASE`.")]
ChromosomeArgument = Annotated[
    int, typer.Argument(metavar="CHROMOSOME", help="Number in `karyo review show CASE --cell ANALYSIS`.")
]
Person = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who reviews; default: user@host.")]
Because = Annotated[str | None, typer.Option(metavar="TEXT", help="Why; shown with the correction.")]
Expect = Annotated[
    int | None,
    typer.Option(metavar="REVIEW", help="The last review that you have seen, 0 for none; refused if there is another."),
]
ClassOption = Annotated[
    str | None, typer.Option("--class", metavar="CLASS", help="1 to 22, X, Y, or ? (the default: not identified).")
]
PipelineOption = Annotated[
    str | None, typer.Option(help="Whose results; default: the pipeline in production, or the latest.")
]
