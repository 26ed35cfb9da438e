"""Losses on small tensors; training and decoding draw the same masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")

from karyotyping.segmentation.instance_decoding import (  # noqa: E402
    AXIS_BINS,
    DENSE_MAPS,
    HIDDEN_UNITS,
    PROTOTYPES,
    WINDOW_SIDE,
    mask_inputs,
    mask_logits,
)
from models.networks.segmenter import Maps, Segmenter, draw_masks  # noqa: E402
from training.segmenter.losses import LOSS_NAMES, centre_loss, compute_losses, cut_windows, dice_loss, quality_loss  # noqa: E402
from training.segmenter.sample import Sample  # noqa: E402
from training.segmenter.targets import make_batch  # noqa: E402

Draw = Callable[..., Sample]


@pytest.fixture(scope="module")
def network() -> Segmenter:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    return Segmenter(AXIS_BINS, PROTOTYPES, HIDDEN_UNITS, len(DENSE_MAPS), widths=(8, 16, 16, 16))


def test_training_and_decoding_draw_the_same_mask(network: Segmenter, draw_toy: Draw) -> None:
    batch = make_batch([draw_toy(1), draw_toy(2)], np.random.default_rng(1), max_masks=5)
    prototypes = torch.randn(2, PROTOTYPES, 128, 128)
    kernel = torch.randn(len(batch.mask), network.parameters_per_mask)
    theirs = (
        draw_masks(kernel, cut_windows(prototypes, batch), HIDDEN_UNITS).reshape(-1, WINDOW_SIDE, WINDOW_SIDE).numpy()
    )
    for k, (image, row, column) in enumerate(zip(batch.image, batch.row, batch.column, strict=True)):
        ours = mask_logits(kernel[k].numpy(), mask_inputs(prototypes[int(image)].numpy(), int(row), int(column)))
        np.testing.assert_allclose(ours, theirs[k], atol=1e-4)


def test_kernels_at_places_are_those_of_the_maps(network: Segmenter) -> None:
    stain = torch.rand(2, 1, 64, 64)
    exported = dict(zip(Maps.NAMES, Maps(network).eval()(stain), strict=True))
    where = [torch.tensor(a) for a in ([0, 1], [3, 1], [2, 15], [7, 0])]
    kernel, quality = network.kernels_at(network.eval()(stain)["conditions"], *where)
    image, lane, row, column = where
    theirs = exported["kernel"].reshape(2, AXIS_BINS, -1, 16, 16)[image, lane, :, row, column]
    torch.testing.assert_close(kernel, theirs)
    torch.testing.assert_close(quality.sigmoid(), exported["quality"][image, lane, row, column])


def test_samples_without_chromosomes_have_finite_losses(network: Segmenter, draw_toy: Draw) -> None:
    found = compute_losses(
        network, make_batch([draw_toy(1, pairs=0, singles=0)], np.random.default_rng(1), max_masks=5)
    )
    assert tuple(found) == LOSS_NAMES
    assert all(torch.isfinite(value) for value in found.values())
    torch.stack(list(found.values())).sum().backward()


def test_unknown_pixels_cost_nothing(network: Segmenter, draw_toy: Draw) -> None:
    sample = draw_toy(1)
    nothing = replace(sample, masks=sample.masks[:0], axes=sample.axes[:0])
    unknown = replace(nothing, known=np.zeros(sample.stain.shape, bool))
    parts = "centre", "dense_bce"
    for one, costs in ((nothing, True), (unknown, False)):
        found = compute_losses(network, make_batch([one], np.random.default_rng(1), max_masks=5))
        assert [float(found[name].detach()) > 1e-6 for name in parts] == [costs, costs]


def test_the_centre_loss_tolerates_predictions_near_a_midpoint() -> None:
    target = torch.zeros(1, 1, 1, 5)
    target[..., 0], target[..., 1] = 1, 0.9
    silent = torch.full((1, 1, 1, 5), -8.0)
    silent[..., 0] = 8
    near, far, missed = silent.clone(), silent.clone(), silent.clone()
    near[..., 1], far[..., 4], missed[..., 0] = 3, 3, -8
    base, adjacent, elsewhere, nothing = (float(centre_loss(a, target)) for a in (silent, near, far, missed))
    assert base < 1e-3
    assert adjacent < 1e-3
    assert elsewhere > 1
    assert nothing > 5


def test_dice_and_quality_of_right_and_wrong_masks() -> None:
    mask = torch.tensor([[1.0, 1.0, 0.0, 0.0] * 25, [0.0] * 100])
    sure = 40 * (mask - 0.5)
    assert float(dice_loss(sure, mask, dims=(1,))) < 1e-3
    assert float(dice_loss(-sure, mask, dims=(1,))) > 0.95
    half = torch.tensor([[1.0, -1.0, -1.0, -1.0] * 25])
    expected = [float(quality_loss(torch.tensor([a]), half, mask[:1])) for a in (-3.0, 0.0, 3.0)]
    assert np.argmin(expected) == 1
