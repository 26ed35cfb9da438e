"""``karyo`` on real services that a test configures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cli.main import main
from tests.support.command_line import Karyo


@pytest.fixture
def karyo(
    postgres_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Karyo:
    """Call ``karyo`` on configured services without a worker; return stdout and stderr."""
    for name, url in {"DATABASE_URL": postgres_url, "BROKER_URL": redis_url, "OBJECT_STORE": tmp_path.as_uri()}.items():
        monkeypatch.setenv(f"KARYO_{name}", url)
    monkeypatch.setenv("COLUMNS", "300")

    def call(*words: object, code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["karyo", *map(str, words)])
        with pytest.raises(SystemExit) as exited:
            main()
        captured = capsys.readouterr()
        assert (exited.value.code or 0) == code, captured.err
        return captured.out, captured.err

    return call
