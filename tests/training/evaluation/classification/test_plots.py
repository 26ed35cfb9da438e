"""Figures of classes: each mark is the figure that was counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from training.evaluation.charts import CORRECT, SERIES, WRONG
from training.evaluation.classification import plots
from training.evaluation.classification.calibration import RiskCoverage, reliability
from training.evaluation.classification.data import MISSING, NO_CLASS, read
from training.evaluation.classification.gallery import gallery, worst_errors


def cell_colors(figure: Figure) -> np.ndarray:
    """The (N, N, 3) colours of a confusion matrix, 0..1."""
    (picture,) = figure.axes[0].images
    return np.asarray(picture.get_array())[..., :3]


def test_mistakes_are_red_and_right_predictions_blue() -> None:
    true = np.array([0, 0, 1, 1, 5])
    figure = plots.confusion(true, np.array([0, 0, 0, 1, MISSING]))
    colors = cell_colors(figure)
    np.testing.assert_allclose(colors[0, 0], to_rgb(CORRECT), atol=1e-6)
    np.testing.assert_allclose(colors[1, 0], to_rgb(WRONG), atol=1e-6)  # half of the row
    np.testing.assert_allclose(colors[[5, 0], [5, 1]], np.full((2, 3), to_rgb("#f6f7f9")), atol=1e-6)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert [word for word in words if word.endswith("%")] == ["100.00%", "50.00%", "0.00%"]
    assert [word for word in words if word.isdigit()] == ["2", "1", "1"]


def test_no_class_has_a_row_only_when_it_occurs() -> None:
    assert cell_colors(plots.confusion(np.array([0]), np.array([0]))).shape == (24, 24, 3)
    assert cell_colors(plots.confusion(np.array([0]), np.array([NO_CLASS]))).shape == (25, 25, 3)


def test_diagrams_draw_every_series() -> None:
    random = np.random.default_rng(0)
    score = random.random(400)
    right = random.random(400) < score
    rows = reliability(score, right)

    def colors(figure: Figure) -> set[str]:
        return {str(line.get_color()) for line in figure.axes[0].lines}

    one = plots.reliability_diagram({"isolated": rows})
    two = plots.reliability_diagram({"isolated": rows, "assigned": rows[:3]})
    assert SERIES[0] in colors(one)
    assert SERIES[1] not in colors(one)
    assert {*SERIES[:2]} <= colors(two)
    curve = plots.risk_coverage({"isolated": RiskCoverage.of(score, right)})
    (line,) = (line for line in curve.axes[0].lines if line.get_label() == "isolated")
    np.testing.assert_allclose(line.get_xydata()[-1], (1, (~right).mean()))  # the error of all, at the right end


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "truth.csv").write_text("file,class\na.png,1\nb.png,2\nc.png,3\nd.png,4\n", "utf-8")
    (tmp_path / "predictions.csv").write_text(
        "file,class,score,top5\na.png,1,1,1\nb.png,3,0.5,3\nc.png,1,0.75,1\nd.png,?,0.9,1\n", "utf-8"
    )
    for name, grey in (("a", 10), ("b", 50), ("c", 90), ("d", 130)):
        Image.new("L", (8, 20), grey).save(tmp_path / f"{name}.png")
    return tmp_path / "truth.csv", tmp_path / "predictions.csv"


def test_gallery_shows_the_highest_scores_first(files: tuple[Path, Path], tmp_path: Path) -> None:
    comparison = read(*files)
    assert comparison.file[worst_errors(comparison)].tolist() == ["c.png", "b.png"]
    figure = gallery(comparison, tmp_path)
    greys = [int(np.asarray(axes.images[0].get_array()).mean()) for axes in figure.axes]
    assert greys == [90, 50]
    assert figure.axes[0].get_position().x0 < figure.axes[1].get_position().x0
    assert [text.get_text() for text in figure.texts][2:] == ["3 > 1", "0.7500", "2 > 3", "0.5000"]


def test_figures_are_written_and_missing_crops_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    drawn = plots.draw(read(*files), tmp_path / "figures", tmp_path)
    assert [path.name for path in drawn] == ["confusion.png", "reliability.png", "risk_coverage.png", "errors.png"]
    for path in drawn:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
    (tmp_path / "c.png").unlink()
    with pytest.raises(ValueError, match=r"does not hold the images.*c\.png"):
        plots.draw(read(*files), tmp_path / "figures", tmp_path)
