"""Simulated cases on disk: images, manifest and truth."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from karyotyping.model import decode_mask
from training.simulation import simulate_case, write_dataset

CASES = {"A-1": "46,XX", "B-2": "47,XY,+21"}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools on NumPy 2
def test_a_folder_agrees_with_its_manifest_and_truth(tmp_path: Path) -> None:
    calls: list[tuple[int, int, str]] = []
    written = write_dataset(tmp_path, CASES, 1, seed=1, overlapping=(2, 2), progress=lambda *call: calls.append(call))
    assert written.images == ("A-1/A-1_001.png", "B-2/B-2_001.png")
    assert calls == [(1, 2, "A-1/A-1_001.png"), (2, 2, "B-2/B-2_001.png")]
    rows = list(csv.DictReader(written.manifest.read_text().splitlines()))
    assert ",".join(rows[0]) == "path,case,slide,tissue,banding,microscope,captured_at,priority"
    assert [(row["path"], row["case"], row["banding"]) for row in rows] == [
        ("A-1/A-1_001.png", "A-1", "G"),
        ("B-2/B-2_001.png", "B-2", "G"),
    ]
    truth = {row["case"]: row["karyotype"] for row in csv.DictReader(written.truth.read_text().splitlines())}
    assert truth == CASES
    coco = json.loads(written.coco.read_text())
    assert [category["name"] for category in coco["categories"]][20:] == ["21", "22", "X", "Y"]
    image = coco["images"][1]
    assert image["iscn"] == "47,XY,+21"
    assert image["counts"]["21"] == 3
    own = [a for a in coco["annotations"] if a["image_id"] == image["id"]]
    assert len(own) == 47
    assert sum(a["overlap"] for a in own) >= 3
    pixels = cv2.imread(str(tmp_path / image["file_name"]), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert pixels.shape == (image["height"], image["width"])
    mask = decode_mask(own[0]["segmentation"])
    assert mask.sum() == own[0]["area"]
    assert pixels[mask].mean() < np.median(pixels) - 40


def test_a_case_does_not_depend_on_the_other_cases(tmp_path: Path) -> None:
    for folder, cases in (("both", CASES), ("alone", {"B-2": CASES["B-2"]})):
        write_dataset(tmp_path / folder, cases, 1, seed=1, contrast="fluorescence")
    name = "B-2/B-2_001.png"
    assert (tmp_path / "both" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_the_cells_of_a_case_differ() -> None:
    first, second = simulate_case("A-1", "46,XX", 2, seed=1)
    assert first.iscn == second.iscn
    assert not np.array_equal(first.pixels, second.pixels)


def test_tiff_and_png_have_the_same_pixels(tmp_path: Path) -> None:
    png = write_dataset(tmp_path / "png", {"A": "45,X"}, 1, seed=3)
    tiff = write_dataset(tmp_path / "tiff", {"A": "45,X"}, 1, seed=3, image_format="tiff")
    images = [cv2.imread(str(w.folder / w.images[0]), cv2.IMREAD_UNCHANGED) for w in (png, tiff)]
    assert images[0] is not None
    assert images[1] is not None
    np.testing.assert_array_equal(images[0], images[1])


@pytest.mark.parametrize("cases", [{"../A": "46,XX"}, {"": "46,XX"}, {"A": "46,QQ"}])
def test_an_invalid_case_writes_nothing(tmp_path: Path, cases: dict[str, str]) -> None:
    folder = tmp_path / "out"
    with pytest.raises(ValueError, match=r"accession|sex complement"):
        write_dataset(folder, cases, 1, seed=1)
    assert not folder.exists()
