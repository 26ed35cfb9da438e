"""The next command uses the pipeline that a person promotes, also in the embedded mode."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.support.command_line import call_karyo

pytestmark = pytest.mark.stack


def test_run_uses_the_promoted_pipeline(home: Path, tmp_path: Path) -> None:
    karyo = partial(call_karyo, home)
    karyo("simulate", tmp_path / "images", "--cells", 1, "--seed", 5)
    karyo("models", "register", "--classifier", "geometric", "--name", "bands")
    promoted = karyo("models", "promote", "bands", "--because", "an experiment").stderr
    assert "bands (" in promoted
    assert "warning" not in promoted  # the workers of `karyo run` are of this installation
    karyo("run", tmp_path / "images", "--out", tmp_path / "report")
    listed = json.loads(karyo("models", "list", "--json").stdout)
    assert {row["name"]: (row["state"], row["results"]) for row in listed} == {
        "embedding": ("candidate", 0),
        "bands": ("production", 1),
    }
