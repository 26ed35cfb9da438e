"""Numbers in the sentences of a case."""

from __future__ import annotations


def percent(share: float) -> str:
    """Return a probability for people.

    >>> percent(0.0001), percent(0.0123), percent(1.0)
    ('below 0.1 %', '1.2 %', 'above 99.9 %')
    """
    if share < 0.001:
        return "below 0.1 %"
    return "above 99.9 %" if share > 0.999 else f"{100 * share:.1f} %"


def counted(number: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun.

    >>> counted(1, "cell"), counted(2, "cell"), counted(2, "colony", "colonies")
    ('1 cell', '2 cells', '2 colonies')
    """
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
