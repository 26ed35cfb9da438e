"""Fields out of photographs: what was told lies where the stain is, what was doubted is not known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from karyotyping.image.normalise import normalise
from karyotyping.segmentation.stream import Networks
from training.segmenter.consensus import Consensus, find_consensus
from training.segmenter.pseudo_labels import (
    LabelledImage,
    accept_consensus,
    cut_sample,
    interleave,
    label_images,
    predict_orientations,
)
from training.segmenter.sample import ORIENTATIONS, Sample
from training.simulation import simulate


@pytest.fixture(scope="module")
def metaphase() -> np.ndarray:
    return simulate("46,XX", seed=5, contrast="fluorescence").pixels


@pytest.fixture(scope="module")
def labelled(metaphase: np.ndarray) -> LabelledImage:
    found = find_consensus(predict_orientations(metaphase, Networks()))
    return accept_consensus(found, normalise(metaphase))


def test_every_orientation_tells_the_same_chromosomes_where_they_lie_apart(metaphase: np.ndarray) -> None:
    told = predict_orientations(metaphase, Networks())
    assert len(told) == ORIENTATIONS
    found = find_consensus(told)
    assert sum(item.share > 0.8 for item in found) > 30
    stain = normalise(metaphase).stain
    for item in found[:30]:
        assert stain[item.region.pixels(stain.shape)].mean() > 0.35


@pytest.mark.parametrize("seed", range(4))
def test_a_field_shows_what_was_told(labelled: LabelledImage, seed: int) -> None:
    field = cut_sample(labelled, np.random.default_rng(seed))
    assert field.stain.shape == (256, 256)
    assert len(field.masks) == len(field.axes) >= 1
    outside = ~field.masks.any(axis=0)
    for mask, axis in zip(field.masks, field.axes, strict=True):
        assert field.stain[mask].mean() > 3 * np.median(field.stain[outside]) + 0.2
        seen = axis[((axis > 2) & (axis < 253)).all(axis=1)].round().astype(int)
        near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8))
        assert near[seen[:, 1], seen[:, 0]].mean() > 0.9


def test_what_is_doubted_is_not_known_and_no_chromosome(metaphase: np.ndarray, labelled: LabelledImage) -> None:
    image = normalise(metaphase)
    sure, doubted = labelled.chromosomes[0].region, labelled.chromosomes[1].region
    one = accept_consensus(
        [Consensus(sure, 1.0), Consensus(doubted, 0.5), Consensus(labelled.chromosomes[2].region, 0.1)], image
    )
    assert [item.region for item in one.chromosomes] == [sure]
    assert one.doubted.sum() == doubted.area
    fields = [cut_sample(one, np.random.default_rng(seed)) for seed in range(30)]
    assert all(len(field.masks) <= 1 for field in fields)
    assert any(field.known is not None and not field.known.all() for field in fields)


def test_every_second_field_is_of_a_photograph_wherever_one_begins(labelled: LabelledImage) -> None:
    def drawn(start: int) -> Iterator[Sample]:
        return (
            Sample(np.full((2, 2), n, np.float32), np.zeros((0, 2, 2), bool), np.zeros((0, 16, 2)))
            for n in count(start)
        )

    stream = interleave(drawn, [labelled], seed=3)
    whole = list(islice(stream(0), 6))
    assert [field.stain[0, 0] for field in whole[::2]] == [0, 1, 2]
    for start in (1, 2, 3):
        for field, again in zip(whole[start:], stream(start), strict=False):
            np.testing.assert_array_equal(field.stain, again.stain)
            np.testing.assert_array_equal(field.masks, again.masks)


def test_files_are_looked_at_once_and_what_is_none_is_said(metaphase: np.ndarray, tmp_path: Path) -> None:
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    cv2.imwrite(str(files[0]), metaphase)
    files[1].write_bytes(b"no picture")
    said: list[str] = []
    (first,) = label_images(files, Networks(), tmp_path / "told.jsonl", said.append)
    assert any("b.png" in line for line in said)
    (line,) = (tmp_path / "told.jsonl").read_text("utf-8").splitlines()
    kept = json.loads(line)
    kept["told"] = kept["told"][:5]
    (tmp_path / "told.jsonl").write_text(json.dumps(kept) + "\n" + line[:20], "utf-8")  # killed while it wrote
    (again,) = label_images(files, Networks(), tmp_path / "told.jsonl", said.append)
    assert len(again.chromosomes) == 5 < len(first.chromosomes)
    assert json.loads((tmp_path / "told.jsonl").read_text("utf-8")) == kept
