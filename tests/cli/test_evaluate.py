"""``karyo evaluate`` where matplotlib, which is an extra, is not installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

WITHOUT_MATPLOTLIB = "import sys; sys.modules['matplotlib'] = None; from cli.main import main; main()"


def evaluate(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Compare one chromosome with itself."""
    box = {"image_id": 1, "bbox": [0, 0, 10, 30], "category_id": 1}
    image = {"id": 1, "file_name": "a.png", "width": 50, "height": 50}
    (folder / "truth.json").write_text(json.dumps({"images": [image], "annotations": [box]}), "utf-8")
    (folder / "results.json").write_text(json.dumps([box | {"score": 1.0}]), "utf-8")
    command = [sys.executable, "-c", WITHOUT_MATPLOTLIB, "evaluate", "coco", "truth.json", "results.json", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_figures_without_matplotlib_name_the_extra(tmp_path: Path) -> None:
    done = evaluate(tmp_path, "--figures", "figures")
    assert done.returncode == 2
    assert done.stderr == "error: --figures needs matplotlib: pip install 'karyoflow[train]'\n"
    assert not (tmp_path / "figures").exists()


def test_json_needs_no_matplotlib(tmp_path: Path) -> None:
    done = evaluate(tmp_path, "--resamples", "0")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counted"]["bbox"]["AP50"] == 1
