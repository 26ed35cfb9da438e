"""Errors of reports that a person can solve; each message says what to do."""

from __future__ import annotations


class ReportError(Exception):
    """A report that cannot be written."""


class CaseReportError(ReportError):
    """A case without a result that can be reported, or no case at all."""


class MissingExtra(ReportError):
    """A package that is not installed; the message names the extra."""
