"""The pictures of detections: what is drawn is what was counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from karyotyping.model import encode_mask
from training.evaluation.instances.gallery import EXCUSED, FALSE, FOUND, MISSED, worst_cases
from training.evaluation.instances.matching import Comparison, load, match
from training.evaluation.instances.plots import counts, draw, precision_recall_curves
from training.evaluation.page import SERIES

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


def has(picture: np.ndarray, ink: tuple[int, int, int]) -> bool:
    return bool((picture == ink).all(axis=2).any())


def test_curves_end_where_all_results_count(tmp_path: Path) -> None:
    comparison = cells(tmp_path)
    picture = precision_recall_curves({kind: match(comparison, kind) for kind in comparison.kinds})
    # Recall 2 / 3 at precision 2 / 4, on axes from (90, 80) to (850, 840); masks are drawn over boxes.
    assert picture[80 + 760 // 2, 90 + round(760 * 2 / 3)].tolist() == list(SERIES[1])
    assert not has(precision_recall_curves({"bbox": match(comparison, "bbox")}), SERIES[1])


def test_counts_that_agree_lie_on_the_diagonal(tmp_path: Path) -> None:
    matches = match(cells(tmp_path), "bbox")
    picture = counts(matches, min_score=0.0)  # axes from 1 to 3
    blue = np.argwhere((picture == SERIES[0]).all(axis=2))
    assert {(round(float(x - 90) / 760 * 2), round(float(840 - y) / 760 * 2)) for y, x in blue} == {(0, 0), (1, 2)}
    sure = counts(matches, min_score=0.65)
    assert not np.array_equal(sure, picture)


@pytest.mark.parametrize("masks", [True, False])
def test_the_worst_cell_shows_what_became_of_each_outline(tmp_path: Path, masks: bool) -> None:
    comparison = cells(tmp_path, masks=masks).excusing()
    found = list(worst_cases(comparison, tmp_path, min_score=0.0, count=2))
    assert [name for name, _ in found] == ["b.png", "a.png"]
    below = [picture[100:] for _, picture in found]  # without the legend
    assert all(has(below[0], ink) for ink in (FOUND, FALSE, MISSED, EXCUSED))
    assert has(below[1], FOUND)
    assert not any(has(below[1], ink) for ink in (FALSE, MISSED, EXCUSED))
    assert len(list(worst_cases(comparison, tmp_path, min_score=0.0, count=1))) == 1


def test_pictures_are_written_and_images_that_do_not_fit_named(tmp_path: Path) -> None:
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
    with pytest.raises(ValueError, match=r"b\.png is not there"):
        draw(comparison, tmp_path / "figures", images=tmp_path)
