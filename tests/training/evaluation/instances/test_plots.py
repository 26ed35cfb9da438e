"""Figures of detection: each mark is the figure that was counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from karyotyping.model import encode_mask
from training.evaluation.charts import SERIES
from training.evaluation.instances.gallery import COLORS, worst_images
from training.evaluation.instances.matching import Comparison, load, match
from training.evaluation.instances.plots import counts, draw, precision_recall_curves

SIDE = 100
Box = tuple[int, int, int, int]


def instance(box: Box, masks: bool, **more: Any) -> dict[str, Any]:
    mask = np.zeros((SIDE, SIDE), bool)
    x, y, w, h = box
    mask[y : y + h, x : x + w] = True
    return {"bbox": list(box), "category_id": 1} | ({"segmentation": encode_mask(mask)} if masks else {}) | more


def cells(folder: Path, *, masks: bool = True) -> Comparison:
    """Cell a is right; in cell b one is found, one missed, one false and one excused."""
    images = [
        {"id": 1, "file_name": "a.png", "width": SIDE, "height": SIDE},
        {"id": 2, "file_name": "b.png", "width": SIDE, "height": SIDE, "unlabelled": [[70, 0, 20, 40]]},
    ]
    truth: list[tuple[int, Box]] = [(1, (5, 5, 10, 30)), (2, (5, 5, 10, 30)), (2, (40, 60, 10, 30))]
    results: list[tuple[int, Box, float]] = [
        (1, (5, 5, 10, 30), 0.9),
        (2, (5, 5, 10, 30), 0.8),
        (2, (5, 60, 10, 30), 0.7),
        (2, (75, 5, 10, 30), 0.6),
    ]
    annotations = [instance(box, masks, id=i, image_id=image) for i, (image, box) in enumerate(truth)]
    found = [instance(box, masks, image_id=image, score=score) for image, box, score in results]
    (folder / "truth.json").write_text(json.dumps({"images": images, "annotations": annotations}), "utf-8")
    (folder / "results.json").write_text(json.dumps(found), "utf-8")
    for name in ("a.png", "b.png"):
        Image.new("L", (SIDE, SIDE), 90).save(folder / name)
    return load(folder / "truth.json", folder / "results.json")


def outline_counts(figure: Figure) -> dict[str, int]:
    """The number of outlines drawn, by group."""
    groups = zip(COLORS, figure.axes[0].collections, strict=True)
    return {group: len(outlines.get_segments()) for group, outlines in groups}


def test_curves_end_where_every_result_counts(tmp_path: Path) -> None:
    comparison = cells(tmp_path)
    figure = precision_recall_curves({kind: match(comparison, kind) for kind in comparison.kinds})
    for color in SERIES[:2]:  # recall 2 / 3 at precision 2 / 4, for boxes and for masks
        curve = next(line for line in figure.axes[0].lines if line.get_color() == color)
        assert curve.get_xydata()[-1].tolist() == pytest.approx([2 / 3, 2 / 4])
    boxes = precision_recall_curves({"bbox": match(comparison, "bbox")})
    assert {line.get_color() for line in boxes.axes[0].lines} == {SERIES[0]}


def test_counts_that_agree_are_on_the_diagonal(tmp_path: Path) -> None:
    matches = match(cells(tmp_path), "bbox")

    def places(figure: Figure) -> set[tuple[float, float]]:
        (dots,) = figure.axes[0].collections
        return {(float(x), float(y)) for x, y in np.asarray(dots.get_offsets())}

    assert places(counts(matches, min_score=0.0)) == {(1, 1), (2, 3)}
    assert places(counts(matches, min_score=0.65)) == {(1, 1), (2, 2)}


@pytest.mark.parametrize("masks", [True, False])
def test_worst_image_shows_every_group_of_outlines(tmp_path: Path, masks: bool) -> None:
    comparison = cells(tmp_path, masks=masks).with_excused_regions()
    ranked = list(worst_images(comparison, tmp_path, min_score=0.0, count=2))
    assert [name for name, _ in ranked] == ["b.png", "a.png"]
    assert outline_counts(ranked[0][1]) == {"found": 1, "false": 1, "missed": 1, "excused": 1}
    assert outline_counts(ranked[1][1]) == {"found": 1, "false": 0, "missed": 0, "excused": 0}
    (found, *_) = ranked[1][1].axes[0].collections
    (outline,) = found.get_segments()
    assert (outline.min(axis=0).tolist(), outline.max(axis=0).tolist()) == ([4.5, 4.5], [14.5, 34.5])
    assert len(list(worst_images(comparison, tmp_path, min_score=0.0, count=1))) == 1


def test_figures_are_written_and_images_that_do_not_fit_named(tmp_path: Path) -> None:
    comparison = cells(tmp_path)
    names = [path.name for path in draw(comparison, tmp_path / "figures", images=tmp_path)]
    assert names == ["precision_recall.png", "counts.png", "worst_01_b.png", "worst_02_a.png"]
    for name in names:
        with Image.open(tmp_path / "figures" / name) as picture:
            assert picture.format == "PNG"
    Image.new("L", (SIDE, 50), 90).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b\.png.*the truth says"):
        draw(comparison, tmp_path / "figures", images=tmp_path)
    (tmp_path / "b.png").unlink()
    with pytest.raises(ValueError, match=r"b\.png is absent"):
        draw(comparison, tmp_path / "figures", images=tmp_path)
