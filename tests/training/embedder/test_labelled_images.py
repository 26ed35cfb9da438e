"""Proposals in images: named by the boxes that they fill."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from karyotyping.segmentation.contours import Contour
from training.embedder.data import NO_CLASS
from training.embedder.labelled_images import (
    BoxLabels,
    name_regions,
    read_labelled_images,
    read_labels,
    split_of,
)
from training.simulation import write_dataset


def region(x: int, y: int, width: int, height: int) -> Contour:
    return Contour(np.pad(np.ones((height, width), bool), 1), (x - 1, y - 1))


def test_a_proposal_has_the_class_of_the_box_that_it_fills_and_a_half_or_a_pair_has_none() -> None:
    boxes = np.array([[8, 8, 24, 64], [58, 8, 24, 64]], float)
    labels = BoxLabels(Path("cell.png"), "1", boxes, (4, 20))
    whole, wider, half = region(10, 10, 20, 60), region(10, 10, 20, 45), region(10, 10, 20, 24)
    pair, other = region(10, 10, 70, 60), region(60, 10, 20, 60)
    assert name_regions([whole, wider, half, pair, other], labels, (2, 2, 2, 2)) == [4, None, NO_CLASS, NO_CLASS, 20]
    assert name_regions([half], BoxLabels(Path("cell.png"), "1", np.zeros((0, 4)), ()), (2, 2, 2, 2)) == [NO_CLASS]
    assert name_regions([], labels, (2, 2, 2, 2)) == []


@pytest.mark.parametrize(
    ("coco", "sentence"),
    [
        ({"images": [{"id": 1, "file_name": "a.png"}], "annotations": []}, "lacks 'case': images need"),
        ({"images": [], "annotations": [{"image_id": 1, "category_id": 25}]}, "category_id 25 is no class"),
    ],
)
def test_labels_without_case_or_class_are_an_error(tmp_path: Path, coco: dict[str, object], sentence: str) -> None:
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    with pytest.raises(ValueError, match=sentence):
        read_labels(tmp_path, lambda case: True)


def test_files_that_are_no_image_are_skipped_and_logged(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    labels = [BoxLabels(tmp_path / name, "1", np.zeros((0, 4)), ()) for name in ("text.png", "absent.png")]
    lines: list[str] = []
    with pytest.raises(ValueError, match="none of the 2 images of toy"):
        read_labelled_images(labels, "toy", (0, 0, 0, 0), cache=tmp_path, workers=1, log=lines.append)
    assert ["text.png" in lines[0], "absent.png" in lines[1]] == [True, True]


def test_the_splits_share_no_case_and_all_have_cases() -> None:
    assert {split_of(str(case)) for case in range(100)} == {"learned", "fitted", "held-out"}


def test_the_proposals_of_a_simulated_photograph_are_read_once(tmp_path: Path) -> None:
    written = write_dataset(tmp_path / "images", {"A": "47,XX,+21", "B": "46,XY"}, 1, seed=3, touching=(8, 8))
    coco = json.loads(written.coco.read_text())
    for image in coco["images"]:
        image["case"] = image["file_name"][0]
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    labels = read_labels(tmp_path, lambda case: case == "A")
    assert [(item.case, len(item.boxes)) for item in labels] == [("A", 47)]
    found = read_labelled_images(labels, "toy", (0, 0, 0, 0), cache=tmp_path, workers=1, log=lambda line: None)
    named = found.class_index >= 0
    assert named.sum() >= 40
    assert np.bincount(found.class_index[named], minlength=24)[20] == 3
    assert (found.class_index[~named] == NO_CLASS).any()
    assert set(found.case.tolist()) == {"toy/A"}
    cv2.imwrite(str(labels[0].file), np.zeros((9, 9), np.uint8))
    again = read_labelled_images(labels, "toy", (0, 0, 0, 0), cache=tmp_path, workers=1, log=lambda line: None)
    np.testing.assert_array_equal(again.canvas, found.canvas)
