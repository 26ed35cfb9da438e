"""The pictures: what is drawn is what was counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.evaluation.classification import plots
from training.evaluation.classification.calibration import RiskCoverage, reliability
from training.evaluation.classification.data import MISSING, NO_CLASS, read
from training.evaluation.classification.gallery import gallery, worst_errors
from training.evaluation.classification.report import draw
from training.evaluation.page import RIGHT, SERIES, WRONG

WHITE = 255


def test_a_mistake_is_red_and_a_right_answer_blue() -> None:
    true = np.array([0, 0, 1, 1, 5])
    picture = plots.confusion(true, np.array([0, 0, 0, 1, MISSING])).astype(int)
    step, left, top = 38, 90, 120

    def corner(row: int, column: int) -> list[int]:
        return picture[top + row * step + 4, left + column * step + 4].tolist()

    assert corner(0, 0) == list(RIGHT)
    assert corner(1, 0) == list(WRONG)  # half of the row
    assert corner(5, 5) == corner(0, 1) == [246, 247, 249]


def test_no_class_has_a_row_only_when_it_occurs() -> None:
    known = plots.confusion(np.array([0]), np.array([0]))
    refused = plots.confusion(np.array([0]), np.array([NO_CLASS]))
    assert (refused.shape[0] - known.shape[0], refused.shape[1] - known.shape[1]) == (38, 38)


def test_diagrams_draw_every_series() -> None:
    random = np.random.default_rng(0)
    score = random.random(400)
    right = random.random(400) < score
    rows = reliability(score, right)
    one = plots.reliability_diagram({"isolated": rows})
    two = plots.reliability_diagram({"isolated": rows, "assigned": rows[:3]})
    assert one.shape == two.shape == (920, 890, 3)
    assert (one == SERIES[0]).all(axis=2).any()
    assert not (one == SERIES[1]).all(axis=2).any()
    assert (two == SERIES[1]).all(axis=2).any()
    curve = plots.risk_coverage({"isolated": RiskCoverage.of(score, right)})
    blue = np.argwhere((curve == SERIES[0]).all(axis=2) & (np.arange(890) > 750))
    place = 80 + 760 * -np.log10((~right).mean()) / 4  # the error of all, at the right end
    assert abs(blue[blue[:, 1].argmax()][0] - place) < 6


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "truth.csv").write_text("file,class\na.png,1\nb.png,2\nc.png,3\nd.png,4\n", "utf-8")
    (tmp_path / "predictions.csv").write_text(
        "file,class,score,top5\na.png,1,1,1\nb.png,3,0.5,3\nc.png,1,0.75,1\nd.png,?,0.9,1\n", "utf-8"
    )
    for name, grey in (("a", 10), ("b", 50), ("c", 90), ("d", 130)):
        Image.new("L", (8, 20), grey).save(tmp_path / f"{name}.png")
    return tmp_path / "truth.csv", tmp_path / "predictions.csv"


def test_the_gallery_shows_the_surest_errors_first(files: tuple[Path, Path], tmp_path: Path) -> None:
    compared = read(*files)
    assert compared.file[worst_errors(compared)].tolist() == ["c.png", "b.png"]
    picture = gallery(compared, tmp_path)
    middle = 90 + (190 - 56) // 2
    assert picture[middle, 30 + 59].tolist() == [90] * 3
    assert picture[middle, 30 + 118 + 59].tolist() == [50] * 3
    assert picture[middle, 30 + 2 * 118 + 59].tolist() == [WHITE] * 3


def test_pictures_are_written_and_missing_crops_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    drawn = draw(read(*files), tmp_path / "figures", tmp_path)
    assert [path.name for path in drawn] == ["confusion.png", "reliability.png", "risk_coverage.png", "errors.png"]
    for path in drawn:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
    (tmp_path / "c.png").unlink()
    with pytest.raises(ValueError, match=r"does not hold the pictures.*c\.png"):
        draw(read(*files), tmp_path / "figures", tmp_path)
