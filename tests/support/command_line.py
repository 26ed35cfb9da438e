"""``karyo`` in the process of the tests: what a user types, without the seconds of imports."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from cli.main import main

Karyo = Callable[..., tuple[str, str]]
"""``karyo`` on configured services: words and ``code``, to stdout and stderr."""


@dataclass(frozen=True)
class Done:
    """What a command wrote."""

    stdout: str
    stderr: str


def call_karyo(home: Path, *words: object, code: int = 0) -> Done:
    """Call ``karyo`` with the embedded stack of ``home``, and check its exit status."""
    stdout, stderr = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
        patch.setattr(sys, "argv", ["karyo", *map(str, words)])
        patch.setenv("KARYO_HOME", str(home))
        patch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as exited:
            main()
    assert (exited.value.code or 0) == code, stderr.getvalue()
    return Done(stdout.getvalue(), stderr.getvalue())
