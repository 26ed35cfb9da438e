"""Filter language of campaigns: conditions such as ``tissue=blood and not quality<0.5``.

Conditions are joined by ``and``, ``or``, ``not`` and parentheses. ``docs/reference/filters.md`` describes the fields.
Fields of a result mean the result of the pipeline in production.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pyparsing as pp
from sqlalchemy import ColumnElement, SQLColumnExpression, and_, false, func, literal, not_, or_, select
from sqlalchemy.orm import Session

from db import pipelines
from db.accessions import names_case
from db.schema import Analysis, Case, CaseResult, Image, QcMetrics, State
from db.signed_cases import signed_case_ids
from db.spelling import normalise

MAX_LENGTH = 2000  # characters of a filter
MAX_DEPTH = 20  # parentheses that are open at once
OUTCOMES = ("normal", "abnormal", "suspected", "insufficient")
"""Outcomes of case summaries."""
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EQUALITY = ("=", "!=")
_LEN_DATE = len("2024-03-01")


class BadFilter(ValueError):
    """A filter that cannot be read; the message names the place."""


@dataclass(frozen=True, slots=True)
class _Condition:
    field: str
    comparison: str
    value: str
    place: int
    """Position in the filter, 1 for the first character."""


@dataclass(frozen=True, slots=True)
class _Field:
    """How a field becomes SQL: ``equals`` knows ``=`` and ``!=``, ``compare`` every comparison."""

    equals: Callable[[Session, str], ColumnElement[bool]] | None = None
    compare: Callable[[str, str], ColumnElement[bool]] | None = None


def build_conditions(session: Session, filters: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """Return the conditions on ``images`` joined with ``cases`` that stored filters mean.

    Args:
        session: an open transaction, to look up pipelines.
        filters: ``{"where": [filter, ...]}``, all of which must hold. Campaigns of earlier versions hold values by name
            of the field.

    Raises:
        BadFilter: a filter cannot be read, or a field is unknown.
    """
    earlier = [
        f"{name}={json.dumps(str(value), ensure_ascii=False)}" for name, value in filters.items() if name != "where"
    ]
    return [build_condition(session, text) for text in (*earlier, *filters.get("where", ()))]


def build_condition(session: Session, text: str) -> ColumnElement[bool]:
    """Return the condition on ``images`` joined with ``cases`` that a filter means.

    Args:
        session: an open transaction, to look up pipelines.
        text: the filter.

    Raises:
        BadFilter: the filter cannot be read, or a field is unknown.
    """
    return _to_sql(session, text, _parse(text))


def _parse(text: str) -> Any:
    """Return a condition, or a list of conditions and the words between them."""
    if len(text) > MAX_LENGTH:
        raise BadFilter(f"a filter has at most {MAX_LENGTH} characters, and this one has {len(text)}")
    if text.count("(") > MAX_DEPTH:
        raise BadFilter(f"a filter has at most {MAX_DEPTH} parentheses; {text!r} has {text.count('(')}")
    try:
        return _GRAMMAR.parse_string(text, parse_all=True).as_list()[0]
    except pp.ParseBaseException as problem:
        place = _skip_blanks(text, problem.loc)
        found = repr(text[place:].rstrip()) if text[place:] else "the end"
        missing = problem.msg.replace("Expected ", "", 1)
        raise BadFilter(
            f"filter {text!r} cannot be read at character {place + 1}: {missing} is expected before {found}"
        ) from problem


def _grammar() -> pp.ParserElement:
    """Return the parser; its names are the words of the error messages."""
    pp.ParserElement.enable_packrat()  # nested parentheses take exponential time without it
    words = {word: pp.CaselessKeyword(word) for word in ("not", "and", "or")}
    keyword = pp.MatchFirst(words.values())
    name = (~keyword + pp.Word(pp.alphas, pp.alphanums + "_")).set_name("a field")
    comparison = pp.one_of(list(_COMPARE)).set_name("one of = != < <= > >=")
    quoted = pp.QuotedString('"', esc_char="\\", unquote_results=True)
    value = (quoted | pp.Regex(r'[^\s()"=<>!]+')).set_name("a value")
    condition = (name - comparison - value).set_name("a condition")
    condition.set_parse_action(_to_condition)
    levels = [(words["not"], 1, pp.OpAssoc.RIGHT), *((words[word], 2, pp.OpAssoc.LEFT) for word in ("and", "or"))]
    grammar: pp.ParserElement = pp.infix_notation(condition, levels)  # type: ignore[no-untyped-call]
    return grammar.set_name("a condition")


def _to_condition(text: str, place: int, parts: pp.ParseResults) -> list[_Condition]:
    return [_Condition(parts[0], parts[1], parts[2], _skip_blanks(text, place) + 1)]


def _skip_blanks(text: str, place: int) -> int:
    return len(text) - len(text[place:].lstrip())


_GRAMMAR = _grammar()


def _to_sql(session: Session, text: str, node: Any) -> ColumnElement[bool]:
    if isinstance(node, _Condition):
        try:
            return _condition(session, node)
        except (ValueError, LookupError) as problem:
            raise BadFilter(f"filter {text!r}, character {node.place}: {problem}") from problem
    if node[0] == "not":
        return not_(_to_sql(session, text, node[1]))
    join = and_ if node[1] == "and" else or_
    return join(*(_to_sql(session, text, part) for part in node[::2]))


def _condition(session: Session, condition: _Condition) -> ColumnElement[bool]:
    field = _FIELDS.get(condition.field)
    if field is None:
        raise ValueError(f"there is no field {condition.field!r}; there are: {', '.join(_FIELDS)}")
    if field.compare:
        return field.compare(condition.comparison, condition.value)
    assert field.equals is not None, "a field has one of both"
    if condition.comparison not in _EQUALITY:
        raise ValueError(f"{condition.field} can be compared by = and != only, not by {condition.comparison}")
    equal = field.equals(session, condition.value)
    return equal if condition.comparison == "=" else not_(equal)


def _text(column: SQLColumnExpression[Any]) -> _Field:
    """Return a field that matches any spelling; a missing value is unequal to every value."""
    return _Field(lambda _, value: func.coalesce(column.in_((value, normalise(value))), false()))


def _date(column: SQLColumnExpression[Any], comparison: str, value: str) -> ColumnElement[bool]:
    """Return a comparison of times; a date without a time is the whole day, in UTC."""
    start = datetime.fromisoformat(value)
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    after = start + (timedelta(days=1) if len(value) <= _LEN_DATE else timedelta(microseconds=1))
    conditions = {
        "=": and_(column >= start, column < after),
        "!=": or_(column < start, column >= after),
        "<": column < start,
        "<=": column < after,
        ">": column >= after,
        ">=": column >= start,
    }
    return func.coalesce(conditions[comparison], false())


def _number(column: SQLColumnExpression[Any], comparison: str, value: str) -> ColumnElement[bool]:
    return _has_result(_COMPARE[comparison](column, float(value)))


def _has_result(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return whether the image's metrics in production fulfil ``conditions``."""
    return Image.id.in_(
        select(Analysis.image_id)
        .join(QcMetrics, QcMetrics.analysis_id == Analysis.id)
        .where(_in_production(Analysis.pipeline_id), *conditions)
    )


def _in_production(pipeline_id: SQLColumnExpression[int]) -> ColumnElement[bool]:
    return pipeline_id == pipelines.production_pipeline().scalar_subquery()


def _has_state(_: Session, value: str) -> ColumnElement[bool]:
    in_production = select(Analysis.image_id).where(_in_production(Analysis.pipeline_id))
    if value == "none":
        return Image.id.not_in(in_production)
    if value not in list(State):
        raise ValueError(f"there is no state {value!r}; there are: none, {', '.join(State)}")
    return Image.id.in_(in_production.where(Analysis.state == State(value)))


def _was_analysed_by(session: Session, name: str) -> ColumnElement[bool]:
    pipeline = pipelines.resolve(session, name, allow_retired=True)
    done = select(Analysis.image_id).where(Analysis.pipeline_id == pipeline.id, Analysis.state == State.DONE)
    return Image.id.in_(done)


def _has_karyotype(_: Session, value: str) -> ColumnElement[bool]:
    return Case.id.in_(
        select(CaseResult.case_id).where(_in_production(CaseResult.pipeline_id), CaseResult.iscn == value)
    )


def _has_outcome(_: Session, value: str) -> ColumnElement[bool]:
    if value not in OUTCOMES:
        raise ValueError(f"there is no outcome {value!r}; there are: {', '.join(OUTCOMES)}")
    outcome = CaseResult.summary["outcome"].astext
    return Case.id.in_(select(CaseResult.case_id).where(_in_production(CaseResult.pipeline_id), outcome == value))


def _is_signed(_: Session, value: str) -> ColumnElement[bool]:
    if value not in ("yes", "no"):
        raise ValueError(f"signed is yes or no, and not {value!r}")
    signed = Case.id.in_(signed_case_ids())
    return signed if value == "yes" else not_(signed)


_FIELDS: dict[str, _Field] = {
    "case": _Field(lambda _, value: names_case(value)),
    "lab": _text(Case.lab),
    "tissue": _text(Case.tissue),
    "banding": _text(Image.banding),
    "microscope": _text(Image.microscope),
    "slide": _text(Image.slide),
    "received": _Field(compare=partial(_date, Image.created_at)),
    "captured": _Field(compare=partial(_date, Image.captured_at)),
    "since": _Field(lambda _, value: _date(Image.created_at, ">=", value)),
    "until": _Field(lambda _, value: _date(Image.created_at, "<", value)),
    "pipeline": _Field(_was_analysed_by),
    "state": _Field(_has_state),
    "count": _Field(compare=partial(_number, QcMetrics.chromosome_count)),
    "quality": _Field(compare=partial(_number, QcMetrics.score)),
    "unexplained": _Field(compare=partial(_number, QcMetrics.unexplained_objects)),
    "flag": _Field(lambda _, value: _has_result(literal(value) == QcMetrics.flags.any_())),
    "iscn": _Field(_has_karyotype),
    "outcome": _Field(_has_outcome),
    "signed": _Field(_is_signed),
}
FIELDS = tuple(_FIELDS)
"""Names of all fields."""
