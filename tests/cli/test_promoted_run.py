"""The next command uses the pipeline that a person promotes, also in the embedded mode."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.stack


def test_run_uses_the_promoted_pipeline(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")

    def karyo(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli.main", *map(str, words)]
        environment = os.environ | {"KARYO_HOME": str(home), "COLUMNS": "200"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        return done

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
