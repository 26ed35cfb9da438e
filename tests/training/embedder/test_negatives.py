"""Objects without a class: each kind differs from the chromosomes that it is made of."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")

from karyotyping.classification.embedder import COLUMNS, ROWS  # noqa: E402
from training.embedder.negatives import make_negatives  # noqa: E402


def chromosomes(count: int) -> torch.Tensor:
    appearance = torch.zeros(count, 1, ROWS, COLUMNS)
    for k in range(count):
        appearance[k, 0, 30 : 80 + k, 6:18] = 0.5 + 0.1 * k
    return appearance


def test_every_kind_differs_from_its_chromosome() -> None:
    whole = chromosomes(8)
    made = make_negatives(whole, torch.Generator().manual_seed(2))
    assert made.shape == whole.shape
    for before, after in zip(whole, made, strict=True):
        assert not torch.equal(before, after)
        assert after.amax() > 0.04
        assert after.amin() >= 0


def test_a_piece_is_about_half_and_centred() -> None:
    whole = chromosomes(4)
    piece = make_negatives(whole, torch.Generator().manual_seed(5))[2, 0]
    rows = torch.nonzero(piece.amax(dim=1) > 0)[:, 0]
    assert 0.35 < len(rows) / 52 < 0.65
    assert abs(float(rows.float().mean()) - ROWS / 2) < 3


def test_result_depends_on_the_generator_alone() -> None:
    first, again = (make_negatives(chromosomes(4), torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, again)
