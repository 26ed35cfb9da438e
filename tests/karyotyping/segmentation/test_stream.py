"""Segmentation of simulated cells, and accuracy on real ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest

from karyotyping.image.normalise import normalise
from karyotyping.segmentation.geometric import grow_masks
from karyotyping.segmentation.instance_decoding import SEGMENTER
from karyotyping.segmentation.outlines import OutlineParameters
from karyotyping.segmentation.result import Instance, Segmentation, StreamParameters
from karyotyping.segmentation.router import ROUTER
from karyotyping.segmentation.sister_chromatids import sister_share
from karyotyping.segmentation.stream import Networks, _shows_chromatids, segment
from models.engine import Placement, load_engine
from models.registry import resolve
from training.evaluation.instances.report import evaluate
from training.simulation import simulate


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks(*(load_engine(resolve(name).path, "cpu", Placement(threads=1)) for name in (ROUTER, SEGMENTER)))


@pytest.mark.parametrize("contrast", ["bright_field", "fluorescence"])
def test_all_separate_chromosomes_are_detected(
    contrast: Literal["bright_field", "fluorescence"], networks: Networks
) -> None:
    cell = simulate("46,XX", seed=0, contrast=contrast)
    found = segment(normalise(cell.pixels), networks, StreamParameters())
    masks = np.stack([instance.full_mask(cell.pixels.shape) for instance in found.instances])
    best = [((masks & truth).sum((1, 2)) / (masks | truth).sum((1, 2))).max() for truth in cell.masks]
    assert min(best) > 0.6
    assert len(masks) - len(cell.masks) in range(3)
    assert found.nucleus_count == len(cell.nuclei)


def test_the_same_image_gives_the_same_result(networks: Networks) -> None:
    cell = simulate("46,XY", seed=5, touching=8, shape=(500, 640))
    first, second = (segment(normalise(cell.pixels), networks, StreamParameters()) for _ in range(2))
    assert [i.score for i in first.instances] == [i.score for i in second.instances]
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(first.instances, second.instances, strict=True))


def test_a_chromosome_at_the_border_is_flagged() -> None:
    cell = simulate("46,XX", seed=0, contrast="fluorescence")
    x, y, w, h = cell.boxes[0]
    window = cell.pixels[y + h // 2 :, :] if h > w else cell.pixels[:, x + w // 2 :]
    found = segment(normalise(window), Networks(), StreamParameters())
    assert any("cut_by_border" in instance.flags for instance in found.instances)
    assert all(0.0 <= instance.score <= 1.0 for instance in found.instances)


@pytest.mark.parametrize("kind", ["flat", "noise", "gradient"])
def test_images_without_chromosomes_have_no_instances(kind: str) -> None:
    generator = np.random.default_rng(1)
    pixels = {
        "flat": np.full((200, 260), 90.0),
        "noise": generator.normal(90, 8, (200, 260)),
        "gradient": np.linspace(20, 200, 260)[None].repeat(200, axis=0) + generator.normal(0, 1, (200, 260)),
    }[kind]
    assert segment(normalise(pixels.astype(np.uint8)), Networks(), StreamParameters()).instances == ()


def test_growing_stops_at_the_neighbour_and_at_the_rim() -> None:
    one, other, into = (np.zeros((9, 20), bool) for _ in range(3))
    one[2:7, 2:8], other[2:7, 11:17], into[2:7] = True, True, True
    grown = grow_masks([one, other], into, 4.0)
    assert not (grown[0] & grown[1]).any()
    assert not grown[0][:2].any()
    assert grown[0][4, 8]
    assert grown[1][4, 10]


def test_the_full_mask_is_at_the_origin_of_the_instance() -> None:
    mask = np.ones((4, 5), bool)
    placed = Instance(mask, (-2, 3), 1.0).full_mask((10, 12))
    assert placed.sum() == 12
    assert placed[3:7, :3].all()


def test_crossing_chromosomes_have_whole_overlapping_masks(networks: Networks) -> None:
    cell = simulate("46,XX", seed=7, contrast="fluorescence", overlapping=5, shape=(560, 680))
    found = segment(normalise(cell.pixels), networks, StreamParameters())
    masks = np.stack([instance.full_mask(cell.pixels.shape) for instance in found.instances])
    deep = cell.masks.sum(axis=0) > 1
    crossing = [truth for truth in cell.masks if (truth & deep).sum() > 0.1 * truth.sum()]
    best = [((masks & truth).sum((1, 2)) / (masks | truth).sum((1, 2))).max() for truth in crossing]
    assert len(crossing) >= 6
    assert np.mean(np.array(best) > 0.6) >= 0.7
    assert found.overlap_count >= 2
    assert sum("overlapped" in instance.flags for instance in found.instances) >= 4


@pytest.mark.real_data
@pytest.mark.parametrize(("network", "least"), [(False, 0.6), (True, 0.7)])
def test_real_metaphases_score_above_the_classical_baselines(
    network: bool, least: float, test_data: Path, networks: Networks, tmp_path: Path
) -> None:
    """Eight cells of eight slides; the benchmark measures all 82."""
    import json

    from karyotyping.model import encode_mask

    truth = json.loads((test_data / "adir" / "coco.json").read_text())
    by_slide = {image["slide"]: image for image in truth["images"]}
    images = [by_slide[slide] for slide in sorted(by_slide)[:8]]
    asked = networks if network else replace(networks, segmenter=None)
    results = []
    for image in images:
        pixels = cv2.imread(str(test_data / "adir" / "images" / image["file_name"]), cv2.IMREAD_GRAYSCALE)
        assert pixels is not None
        for instance in segment(normalise(np.asarray(pixels, np.uint8)), asked, StreamParameters()).instances:
            mask = instance.full_mask((pixels.shape[0], pixels.shape[1]))
            box = cv2.boundingRect(mask.astype(np.uint8))
            results.append(
                {
                    "image_id": image["id"],
                    "category_id": 1,
                    "bbox": [int(n) for n in box],
                    "segmentation": encode_mask(mask),
                    "score": instance.score,
                }
            )
    chosen = {image["id"] for image in images}
    kept = [a | {"category_id": 1} for a in truth["annotations"] if a["image_id"] in chosen]
    smaller = {"images": images, "annotations": kept, "categories": [{"id": 1, "name": "chromosome"}]}
    (tmp_path / "truth.json").write_text(json.dumps(smaller))
    (tmp_path / "results.json").write_text(json.dumps(results))
    boxes = evaluate(tmp_path / "truth.json", tmp_path / "results.json", resamples=0)["counted"]["bbox"]
    assert boxes["AP50"] > least
    assert boxes["Acc"] > 0.6


@pytest.mark.parametrize(("pairs", "chromatids"), [(23, False), (24, True)])
def test_twins_above_the_normal_count_are_chromatids(pairs: int, chromatids: bool) -> None:
    bar = np.pad(np.ones((6, 24), bool), 1)
    corners = [(40 * (k % 8), 30 * (k // 8) + below) for k in range(pairs) for below in (0, 7)]
    instances = tuple(Instance(bar, corner, 0.95) for corner in corners)
    found = Segmentation(instances, nucleus_count=0, debris_count=0, cluster_count=0, overlap_count=0)
    assert sister_share([item.region() for item in instances]) == 1.0
    assert _shows_chromatids(found, StreamParameters()) is chromatids


def test_a_wrong_scale_is_corrected(networks: Networks) -> None:
    cell = simulate("46,XY", seed=5, touching=8, shape=(500, 640))
    image = normalise(cell.pixels)
    wrong = replace(image, scale=2.5 * image.scale)
    masks_only = StreamParameters(outlines=OutlineParameters(reach=1e-3))  # the stain mends the outlines of any scale
    twice = segment(wrong, networks, masks_only)
    once = segment(wrong, networks, replace(masks_only, wider=99.0))
    masks = [[instance.full_mask(cell.pixels.shape) for instance in found.instances] for found in (once, twice)]
    hits = [
        sum(max((m & truth).sum() / (m | truth).sum() for m in some) > 0.75 for truth in cell.masks) for some in masks
    ]
    assert hits[1] > hits[0] + 5
