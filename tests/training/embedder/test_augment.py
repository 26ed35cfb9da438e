"""Augmentation: bounded, reproducible, and the identity at strength zero."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")

from karyotyping.classification.embedder import COLUMNS, ROWS  # noqa: E402
from training.embedder import augment as augment_module  # noqa: E402
from training.embedder.augment import Strength, augment, stain_centromeres  # noqa: E402
from training.embedder.data import CANVAS_SHAPE, LEVELS, MARGIN  # noqa: E402

NO_STRENGTH = Strength(*(0.0 for _ in fields(Strength)))


@pytest.fixture
def canvas() -> torch.Tensor:
    """Return four bodies with bands, all of them darker towards their upper end."""
    made = np.zeros((4, *CANVAS_SHAPE), np.uint8)
    rows = np.arange(24, 104)
    made[:, 24:104, 9:23] = (LEVELS * (1.4 - 0.6 * (rows - 24) / 80 + 0.3 * np.sin(rows / 5)))[None, :, None]
    return torch.from_numpy(made)


def test_zero_strength_only_crops_and_turns(canvas: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    for chance in ("_CROSSED_SHARE", "_CUT_SHARE"):
        monkeypatch.setattr(augment_module, chance, 0.0)
    turned = torch.tensor([False, True, False, True])
    result = augment(canvas, turned, torch.Generator().manual_seed(1), NO_STRENGTH)
    assert result.shape == (4, 1, ROWS, COLUMNS)
    top = MARGIN // 2
    middle = canvas[0, top : top + ROWS, CANVAS_SHAPE[1] // 2].float() / LEVELS
    along = result[:, 0, :, COLUMNS // 2]
    torch.testing.assert_close(along[0], middle, atol=0.02, rtol=0)
    torch.testing.assert_close(along[1], middle.flip(0), atol=0.02, rtol=0)


def test_result_depends_on_the_seed_alone(canvas: torch.Tensor) -> None:
    turned = torch.zeros(4, dtype=torch.bool)
    first, again, other = (augment(canvas, turned, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_background_stays_empty_and_stain_within_bounds(canvas: torch.Tensor) -> None:
    random = torch.Generator().manual_seed(3)
    result = augment(canvas.repeat(16, 1, 1), torch.zeros(64, dtype=torch.bool), random, Strength(noise=0.3))
    assert float(result.min()) >= 0
    assert float(result.max()) <= 3
    assert float((result == 0).float().mean()) > 0.3


def test_only_known_centromeres_are_stained(canvas: torch.Tensor) -> None:
    many = canvas.repeat(100, 1, 1)
    centromere = torch.full((400,), 50.0)
    centromere[::2] = torch.nan
    stained = stain_centromeres(many, centromere, torch.Generator().manual_seed(4))
    torch.testing.assert_close(stained[::2], many[::2].float())
    torch.testing.assert_close(stained[:, :24], many[:, :24].float())
    changed = ((stained - many).abs() > 0.5).any(dim=2).any(dim=1)
    assert int(changed.sum()) == pytest.approx(augment_module._STAINED_SHARE * 200, abs=25)
    added = (stained - many)[changed].mean(dim=2)
    near, far = added[:, 45:55].mean(dim=1), added[:, 65:75].mean(dim=1)
    assert float((near > far).float().mean()) > 0.9
