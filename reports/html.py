"""Self-contained HTML pages from the templates of this room."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **values: object) -> str:
    """Return the page of a file in ``reports/templates``, with every value escaped.

    Raises:
        jinja2.UndefinedError: the template uses a name that is not among ``values``.
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    return Environment(loader=PackageLoader("reports"), autoescape=True, undefined=StrictUndefined)
