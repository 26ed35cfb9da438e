"""Paths of pages."""

from __future__ import annotations

from urllib.parse import quote


def case_path(accession: str) -> str:
    """Return the path of the page of a case, encoded; slashes of the accession number stay.

    >>> case_path("A/slide 1?#%")
    '/cases/A/slide%201%3F%23%25'
    """
    return f"/cases/{quote(accession, safe='/')}"
