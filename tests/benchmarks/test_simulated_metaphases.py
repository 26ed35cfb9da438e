"""The benchmark on simulated metaphase images: crossings and the table."""

from __future__ import annotations

import io
import sys
import zipfile
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.accuracy import simulated_metaphases
from training.segmenter.sources import ChromosomeSource
from training.simulation.chromosome import draw_chromosome


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A report of five cells; the last, which is held out, has images."""
    rng = np.random.default_rng(0)
    rows = ["file,cell", *(f"{cell}/0.png,{cell}" for cell in "abcd")]
    with zipfile.ZipFile(tmp_path / "report.zip", "w") as archive:
        for number in range(46):
            patch = draw_chromosome(number // 2 % 22 + 1, rng, angle=np.pi / 2)
            crop = io.BytesIO()
            Image.fromarray((255 * np.exp(-patch.stain)).astype(np.uint8)).save(crop, "PNG")
            archive.writestr(f"e/{number}.png", crop.getvalue())
            rows.append(f"e/{number}.png,e")
        archive.writestr("index.csv", "\n".join(rows))
    return tmp_path / "report.zip"


@pytest.mark.parametrize("crossings", [0, 7])
def test_image_has_the_requested_number_of_crossings(report: Path, crossings: int) -> None:
    reports = ChromosomeSource([report], held_out=True, drawn=0)
    cell = simulated_metaphases.compose(reports, 0, crossings, np.random.default_rng(3))
    assert len(cell.masks) == 46
    shared = [bool((one & other).any()) for one, other in combinations(cell.masks, 2)]
    assert sum(shared) == crossings
    body = cell.masks.any(axis=0)
    assert np.median(cell.pixels[body]) < np.median(cell.pixels[~body]) - 30  # dark on light, as in its report
    marked = [item["overlap"] for item in simulated_metaphases.coco_annotations(cell.masks)]
    assert (sum(marked) > 0) == (crossings > 0)
    again = simulated_metaphases.compose(reports, 0, crossings, np.random.default_rng(3))
    assert np.array_equal(cell.pixels, again.pixels)


def test_the_table_has_a_row_for_each_number_of_crossings(
    report: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(simulated_metaphases, "CROSSINGS", {"0": (0, 0), "4-8": (4, 8)})
    monkeypatch.setattr(
        sys,
        "argv",
        ["-", "--reports", str(report), "--cells", "1", "--segmenter", "geometric", "--keep", str(tmp_path)],
    )
    simulated_metaphases.main()
    heading, _, columns, _, apart, crossed, everything, *_ = capsys.readouterr().out.splitlines()
    assert heading.startswith("report, pipeline embedding")
    assert columns.startswith("| overlaps | images | chromosomes | box AP.5 |")
    assert [row.split(" | ")[:3] for row in (apart, crossed, everything)] == [
        ["| 0", "1", "46"],
        ["| 4-8", "1", "46"],
        ["| all", "2", "92"],
    ]
    found = [float("0" + row.split(" | ")[3].split()[0]) for row in (apart, crossed)]
    assert found[0] > 0.5
    assert (tmp_path / "report" / "001.png").is_file()
