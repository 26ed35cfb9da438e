"""What counts as right, and what a wrong answer costs."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
pytest.importorskip("pytorch_metric_learning", reason="training needs the extra `train`")

from training.embedder.losses import (  # noqa: E402
    CLASSES,
    PROTOTYPES,
    WAYS,
    margin_softmax,
    polarity_loss,
    right_prototypes,
    triplet_loss,
)


def test_a_known_polarity_leaves_one_prototype_right() -> None:
    right = right_prototypes(torch.tensor([2, 2]), torch.tensor([False, True]), torch.tensor([True, True]))
    assert right.nonzero().tolist() == [[0, 2 * WAYS], [1, 2 * WAYS + 1]]


def test_an_unknown_polarity_leaves_both_ways_right() -> None:
    right = right_prototypes(torch.tensor([5]), torch.tensor([True]), torch.tensor([False]))
    assert right.nonzero()[:, 1].tolist() == [5 * WAYS, 5 * WAYS + 1]


def test_what_is_no_chromosome_belongs_to_none_of_the_classes() -> None:
    right = right_prototypes(torch.tensor([-1]), torch.tensor([False]), torch.tensor([False]))
    assert right[0, : CLASSES * WAYS].sum() == 0
    assert right[0, CLASSES * WAYS :].all()


def test_the_margin_makes_a_right_answer_cost_more_and_either_right_one_will_do() -> None:
    cosine = torch.zeros(1, PROTOTYPES)
    cosine[0, 10] = 0.5
    right = right_prototypes(torch.tensor([5]), torch.tensor([False]), torch.tensor([False]))
    free, strict = (float(margin_softmax(cosine, right, margin=margin)) for margin in (0.0, 0.4))
    assert free < 0.05
    assert strict > 2
    wrong = right_prototypes(torch.tensor([6]), torch.tensor([False]), torch.tensor([False]))
    assert float(margin_softmax(cosine, wrong, margin=0.0)) > 5


def test_polarity_is_asked_only_where_it_is_known() -> None:
    logit, turned = torch.tensor([4.0, 4.0]), torch.tensor([False, True])
    assert float(polarity_loss(logit, turned, torch.tensor([True, False]))) < 0.05
    assert float(polarity_loss(logit, turned, torch.tensor([False, True]))) > 3.9
    assert float(polarity_loss(logit, turned, torch.tensor([False, False]))) == 0


def test_triplets_cost_nothing_once_classes_lie_apart_and_no_class_takes_no_part() -> None:
    apart = torch.eye(4)[[0, 0, 1, 1, 2]]
    labels = torch.tensor([0, 0, 1, 1, -1])
    assert float(triplet_loss(apart, labels)) == 0
    mixed = torch.nn.functional.normalize(
        torch.tensor([[1.0, 0.3], [1.0, -0.3], [1.0, -0.35], [1.0, 0.35], [0.0, 1.0]])
    )
    assert float(triplet_loss(mixed, labels)) > 0
