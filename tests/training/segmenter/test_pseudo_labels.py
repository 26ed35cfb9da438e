"""Pseudo-labels: labels cover the stain, and regions of few orientations are unknown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from karyotyping.image.normalise import Normalised, normalise
from karyotyping.image.orientation import ORIENTATIONS
from karyotyping.segmentation.result import Segmentation, StreamParameters
from karyotyping.segmentation.stream import Networks, segment
from training.segmenter import pseudo_labels
from training.segmenter.consensus import Consensus, find_consensus
from training.segmenter.pseudo_labels import (
    LabelledImage,
    accept_consensus,
    cut_sample,
    interleave,
    label_images,
    predict_orientations,
)
from training.segmenter.sample import Sample
from training.simulation import simulate


@pytest.fixture(scope="module")
def metaphase() -> np.ndarray:
    return simulate("46,XX", seed=5, contrast="fluorescence").pixels


@pytest.fixture(scope="module")
def labelled(metaphase: np.ndarray) -> LabelledImage:
    found = find_consensus(predict_orientations(metaphase, Networks()))
    return accept_consensus(found, normalise(metaphase))


def test_orientations_agree_on_separate_chromosomes(metaphase: np.ndarray) -> None:
    orientations = predict_orientations(metaphase, Networks())
    assert len(orientations) == ORIENTATIONS
    found = find_consensus(orientations)
    assert sum(item.share > 0.8 for item in found) > 30
    stain = normalise(metaphase).stain
    for item in found[:30]:
        assert stain[item.region.pixels(stain.shape)].mean() > 0.35


@pytest.mark.parametrize("seed", range(4))
def test_a_sample_shows_the_labels(labelled: LabelledImage, seed: int) -> None:
    sample = cut_sample(labelled, np.random.default_rng(seed))
    assert sample.stain.shape == (256, 256)
    assert len(sample.masks) == len(sample.axes) >= 1
    outside = ~sample.masks.any(axis=0)
    for mask, axis in zip(sample.masks, sample.axes, strict=True):
        assert sample.stain[mask].mean() > 3 * np.median(sample.stain[outside]) + 0.2
        seen = axis[((axis > 2) & (axis < 253)).all(axis=1)].round().astype(int)
        near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8))
        assert near[seen[:, 1], seen[:, 0]].mean() > 0.9


def test_regions_of_few_orientations_are_unknown(metaphase: np.ndarray, labelled: LabelledImage) -> None:
    image = normalise(metaphase)
    certain, doubtful = labelled.chromosomes[0].region, labelled.chromosomes[1].region
    one = accept_consensus(
        [Consensus(certain, 1.0), Consensus(doubtful, 0.5), Consensus(labelled.chromosomes[2].region, 0.1)], image
    )
    assert [item.region for item in one.chromosomes] == [certain]
    assert one.unknown.sum() == doubtful.area
    samples = [cut_sample(one, np.random.default_rng(seed)) for seed in range(30)]
    assert all(len(sample.masks) <= 1 for sample in samples)
    assert any(sample.known is not None and not sample.known.all() for sample in samples)


def test_every_second_sample_is_of_an_image_whatever_the_start(labelled: LabelledImage) -> None:
    def drawn(start: int) -> Iterator[Sample]:
        return (
            Sample(np.full((2, 2), n, np.float32), np.zeros((0, 2, 2), bool), np.zeros((0, 16, 2)))
            for n in count(start)
        )

    stream = interleave(drawn, [labelled], seed=3)
    whole = list(islice(stream(0), 6))
    assert [sample.stain[0, 0] for sample in whole[::2]] == [0, 1, 2]
    for start in (1, 2, 3):
        for sample, again in zip(whole[start:], stream(start), strict=False):
            np.testing.assert_array_equal(sample.stain, again.stain)
            np.testing.assert_array_equal(sample.masks, again.masks)


def test_files_are_segmented_once_and_non_images_are_logged(metaphase: np.ndarray, tmp_path: Path) -> None:
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    cv2.imwrite(str(files[0]), metaphase)
    files[1].write_bytes(b"no picture")
    lines: list[str] = []
    (first,) = label_images(files, Networks(), tmp_path / "told.jsonl", lines.append)
    assert any("b.png" in line for line in lines)
    (line,) = (tmp_path / "told.jsonl").read_text("utf-8").splitlines()
    kept = json.loads(line)
    kept["told"] = kept["told"][:5]
    (tmp_path / "told.jsonl").write_text(json.dumps(kept) + "\n" + line[:20], "utf-8")  # killed while it wrote
    (again,) = label_images(files, Networks(), tmp_path / "told.jsonl", lines.append)
    assert len(again.chromosomes) == 5 < len(first.chromosomes)
    assert json.loads((tmp_path / "told.jsonl").read_text("utf-8")) == kept


def test_labels_are_not_wider_than_what_is_more_likely_chromosome(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = []

    def record(image: Normalised, networks: Networks, parameters: StreamParameters) -> Segmentation:
        levels.append(parameters.decoding.inside)
        return segment(image, networks, parameters)

    monkeypatch.setattr(pseudo_labels, "ORIENTATIONS", 1)
    monkeypatch.setattr(pseudo_labels, "segment", record)
    predict_orientations(np.zeros((64, 64), np.uint8), Networks())
    assert levels == [0.5]
