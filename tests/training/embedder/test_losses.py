"""Losses: which prototypes are right, and what wrong predictions cost."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
pytest.importorskip("pytorch_metric_learning", reason="training needs the extra `train`")

from karyotyping.classification.embedder import ORIENTATION_COUNT  # noqa: E402
from karyotyping.nomenclature.classes import CLASS_COUNT  # noqa: E402
from training.embedder.data import ANY_CLASS  # noqa: E402
from training.embedder.losses import (  # noqa: E402
    PROTOTYPES,
    margin_softmax,
    polarity_loss,
    right_prototypes,
    triplet_loss,
)


def test_a_known_polarity_leaves_one_prototype_right() -> None:
    right = right_prototypes(torch.tensor([2, 2]), torch.tensor([False, True]), torch.tensor([True, True]))
    assert right.nonzero().tolist() == [[0, 2 * ORIENTATION_COUNT], [1, 2 * ORIENTATION_COUNT + 1]]


def test_an_unknown_polarity_leaves_both_prototypes_right() -> None:
    right = right_prototypes(torch.tensor([5]), torch.tensor([True]), torch.tensor([False]))
    assert right.nonzero()[:, 1].tolist() == [5 * ORIENTATION_COUNT, 5 * ORIENTATION_COUNT + 1]


def test_objects_without_a_class_belong_to_the_unknown_prototypes() -> None:
    right = right_prototypes(torch.tensor([-1]), torch.tensor([False]), torch.tensor([False]))
    assert right[0, : CLASS_COUNT * ORIENTATION_COUNT].sum() == 0
    assert right[0, CLASS_COUNT * ORIENTATION_COUNT :].all()


def test_a_whole_chromosome_of_an_unknown_class_belongs_to_the_prototypes_of_all_classes() -> None:
    right = right_prototypes(torch.tensor([ANY_CLASS]), torch.tensor([False]), torch.tensor([False]))
    assert right[0, : CLASS_COUNT * ORIENTATION_COUNT].all()
    assert right[0, CLASS_COUNT * ORIENTATION_COUNT :].sum() == 0


def test_margin_raises_the_loss_and_one_right_prototype_suffices() -> None:
    cosine = torch.zeros(1, PROTOTYPES)
    cosine[0, 10] = 0.5
    right = right_prototypes(torch.tensor([5]), torch.tensor([False]), torch.tensor([False]))
    free, strict = (float(margin_softmax(cosine, right, margin=margin)) for margin in (0.0, 0.4))
    assert free < 0.05
    assert strict > 2
    wrong = right_prototypes(torch.tensor([6]), torch.tensor([False]), torch.tensor([False]))
    assert float(margin_softmax(cosine, wrong, margin=0.0)) > 5


def test_polarity_loss_ignores_unknown_polarities() -> None:
    logit, turned = torch.tensor([4.0, 4.0]), torch.tensor([False, True])
    assert float(polarity_loss(logit, turned, torch.tensor([True, False]))) < 0.05
    assert float(polarity_loss(logit, turned, torch.tensor([False, True]))) > 3.9
    assert float(polarity_loss(logit, turned, torch.tensor([False, False]))) == 0


def test_triplet_loss_is_zero_for_separate_classes_and_ignores_objects_without_one() -> None:
    apart = torch.eye(4)[[0, 0, 1, 1, 2]]
    labels = torch.tensor([0, 0, 1, 1, -1])
    assert float(triplet_loss(apart, labels)) == 0
    mixed = torch.nn.functional.normalize(
        torch.tensor([[1.0, 0.3], [1.0, -0.3], [1.0, -0.35], [1.0, 0.35], [0.0, 1.0]])
    )
    assert float(triplet_loss(mixed, labels)) > 0
