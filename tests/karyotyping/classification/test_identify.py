"""Identification combines detections, measurements, predictions and assignments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.chromosome.measure import Measurement, measure
from karyotyping.chromosome.picture import draw_straightened
from karyotyping.classification.identify import Detection, cell_iscn
from karyotyping.classification.identify import identify as identify_drawn
from karyotyping.classification.prediction import P_DOWN, P_UP, Prediction
from karyotyping.model import Chromosome, decode_mask
from karyotyping.nomenclature.iscn import parse_iscn
from karyotyping.quality import measure_crop_quality

CLASSES = [class_id for class_id, copies in parse_iscn("46,XX").items() for _ in range(copies)]


def confident(class_id: int, orientation: int = P_UP, unknown: float = 0.0) -> Prediction:
    joint = np.full((24, 2), -12.0)
    joint[class_id - 1, orientation] = 0.0
    return Prediction(joint, unknown, np.ones(4, np.float32) / 2)


def outline(top: int, height: int) -> NDArray[np.bool_]:
    mask = np.zeros((80, 40), bool)
    mask[top : top + height, 10:20] = True
    mask[top + height // 4, 10:12] = mask[top + height // 4, 18:20] = False
    return mask


def identify(
    detections: Sequence[Detection], measured: Sequence[Measurement], predictions: Sequence[Prediction]
) -> tuple[Chromosome, ...]:
    """Identify chromosomes with pictures of their measurements."""
    return identify_drawn(detections, measured, predictions, draw_straightened(measured))


@pytest.fixture(scope="module")
def straight() -> Measurement:
    """Return a chromosome with its centromere at a quarter of the length from the upper end."""
    return replace(measure(outline(5, 60).astype(np.float32), outline(5, 60)), centromere=0.25)


def test_chromosomes_are_ordered_by_length_and_keep_their_detections(straight: Measurement) -> None:
    masks = [outline(10, 30), outline(5, 60)]
    measured = [measure(mask.astype(np.float32), mask) for mask in masks]
    detections = [
        Detection(mask, score, frozenset({"touching"})) for mask, score in zip(masks, (0.5, 0.75), strict=True)
    ]
    first, second = identify(detections, measured, [confident(22), confident(1)])
    assert [(c.ordinal, c.class_id, c.score) for c in (first, second)] == [(0, 1, 0.75), (1, 22, 0.5)]
    assert (first.box, second.box) == ((10, 5, 10, 60), (10, 10, 10, 30))
    np.testing.assert_array_equal(decode_mask(first.mask), masks[1])
    assert first.flags == {"touching"}
    assert first.embedding is not None
    assert np.linalg.norm(first.embedding) == pytest.approx(1)


def test_the_centromere_index_is_the_share_of_the_p_arm(straight: Measurement) -> None:
    mask = outline(5, 60)
    shares = {}
    for orientation in (P_UP, P_DOWN):
        (one,) = identify([Detection(mask)], [straight], [confident(5, orientation)])
        shares[one.orientation] = one.centromere_index
    assert shares == {"p_up": 0.25, "p_down": 0.75}
    uninformative = Prediction(np.log(np.full((24, 2), 1 / 48)))
    (one,) = identify([Detection(mask)], [straight.rotated()], [uninformative])
    assert (one.orientation, one.centromere_index) == ("unknown", 0.25)
    (one,) = identify([Detection(mask)], [replace(straight, centromere=None)], [confident(5)])
    assert one.centromere_index is None


def test_a_third_copy_has_no_class_if_it_is_probably_not_whole(straight: Measurement) -> None:
    merged = confident(21, unknown=0.9999)
    detections, measured = [Detection(outline(5, 60), 0.9)] * 47, [straight] * 47
    *cell, unidentified = identify(detections, measured, [*map(confident, CLASSES), merged])
    assert unidentified.class_id is None
    assert unidentified.score == pytest.approx(0.00009)
    assert [item.class_id for item in cell] == CLASSES
    *_, third = identify(detections, measured, [*map(confident, CLASSES), replace(merged, unknown=0.0)])
    assert (third.class_id, third.score) == (21, 0.9)


def test_a_karyotype_counts_chromosomes_without_a_class(straight: Measurement) -> None:
    mask = outline(5, 60)
    (one,) = identify([Detection(mask)], [straight], [confident(5)])
    cell = [replace(one, class_id=class_id) for class_id in CLASSES]
    assert called(cell) == "46,XX"
    assert (called([*cell, replace(one, class_id=None)]) or "").startswith("47,")


@pytest.mark.parametrize(
    ("karyotype", "unexplained", "iscn"),
    [
        ("45,XX,-17", 0, "45,XX,-17"),
        ("45,XX,-17", 1, "45,XX,-17,inc"),
        ("45,X", 2, "45,X,inc"),
        ("46,XY", 1, "46,XY"),
        ("47,XX,+21", 1, "47,XX,+21"),
    ],
)
def test_an_object_that_may_be_the_lacking_chromosome_makes_a_karyotype_incomplete(
    straight: Measurement, karyotype: str, unexplained: int, iscn: str
) -> None:
    (one,) = identify([Detection(outline(5, 60))], [straight], [confident(5)])
    cell = [
        replace(one, class_id=class_id) for class_id, copies in parse_iscn(karyotype).items() for _ in range(copies)
    ]
    assert cell_iscn(cell, replace(measure_crop_quality(cell), unexplained_objects=unexplained)) == iscn


def called(cell: Sequence[Chromosome]) -> str | None:
    return cell_iscn(cell, measure_crop_quality(cell))


@pytest.mark.parametrize(
    ("karyotype", "unidentified", "iscn"),
    [
        ("50,XX,+4,+6,+10,+21", 0, "50,XX,+4,+6,+10,+21"),
        ("51,XX,+4,+6,+10,+17,+21", 0, None),
        ("46,XX", 15, None),
        ("69,XXY", 0, "69,XXY"),
        ("92,XXYY", 0, "92,XXYY"),
        ("91<4n>,XXXYYY,-1,-2,-3", 0, None),
        ("92,XXYY", 2, None),
        ("38,XX,-1,-2,-3,-4,-5,-6,-7,-8", 0, "38,XX,-1,-2,-3,-4,-5,-6,-7,-8"),
    ],
)
def test_an_image_with_too_many_chromosomes_has_no_karyotype_unless_it_is_polyploid(
    straight: Measurement, karyotype: str, unidentified: int, iscn: str | None
) -> None:
    (one,) = identify([Detection(outline(5, 60))], [straight], [confident(5)])
    cell = [
        replace(one, class_id=class_id) for class_id, copies in parse_iscn(karyotype).items() for _ in range(copies)
    ]
    cell += [replace(one, class_id=None)] * unidentified
    assert called(cell) == iscn
    assert ("too_many" in measure_crop_quality(cell).flags) == (iscn is None)
