"""Model card of the segmenter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from karyotyping.image.normalise import CANONICAL_WIDTH
from karyotyping.segmentation.instance_decoding import (
    AXIS_BINS,
    DENSE_MAPS,
    HIDDEN_UNITS,
    KERNEL_STRIDE,
    PROTOTYPES,
    STRIDE,
    TILE_SIDE_STEP,
)
from training.common.card import licences, write_card
from training.configs.segmenter import SegmenterConfig
from training.segmenter.validate import FIGURES


def write_segmenter_card(
    weights: Path,
    config: SegmenterConfig,
    reports: Sequence[str],
    metrics: Mapping[str, float],
    *,
    start: Path | None = None,
    images: int = 0,
) -> None:
    """Write the card of the exported segmenter.

    Args:
        weights: ONNX file.
        config: configuration of the training.
        reports: file names of the karyotype reports that were available.
        metrics: what ``measure_held_out`` returned.
        start: checkpoint or exported network that the training started from.
        images: number of metaphase images that it learned from.
    """
    facts = {
        "summary": "chromosomes in a tile of a metaphase, overlapping ones too: midpoints, and masks of their own",
        "data": _data(config, reports, images),
        "licence": licences(Path(name).stem for name in reports),
        "command": "karyo train segmenter"
        + (f" --start {start.name}" if start else "")
        + (" --photographs FOLDER" if images else ""),
        "seed": config.seed,
        **_interface(),
    }
    rows = [
        f"| {name} | "
        + " | ".join(f"{metrics.get(f'{kind}_{name}', float('nan')):.3f}" for kind in ("bbox", "segm"))
        + " |"
        for name in FIGURES
    ]
    write_card(weights, facts, dict(metrics), "\n".join([_TEXT.format(held_out=config.held_out), *rows]))


def _data(config: SegmenterConfig, reports: Sequence[str], images: int) -> str:
    """Return which tiles the network was trained on."""
    sources = ", ".join(
        f"{report} (cases {', '.join(config.cases[report])})" if report in config.cases else report
        for report in reports
    )
    tiles = config.steps * config.batch
    simulated = tiles - tiles // 2 if images else tiles
    real = f"{tiles - simulated} tiles of {images} unlabelled metaphase images" if images else "no real metaphase image"
    return (
        f"{simulated // config.turns} tiles of simulated metaphases in {config.turns} orientations each, drawn from "
        f"ideograms or composed of the single chromosomes of {sources or 'no report'}; {real}"
    )


def _interface() -> dict[str, str]:
    """Return names, shapes and meaning of the network's inputs and outputs."""
    maps, cells = (f"H / {n}, W / {n}" for n in (STRIDE, STRIDE * KERNEL_STRIDE))
    parameters = HIDDEN_UNITS * (PROTOTYPES + 2) + 2 * HIDDEN_UNITS + 1
    return {
        "inputs": f"stain float32 (N, 1, H, W), multiples of {TILE_SIDE_STEP}: normalised, a chromosome "
        f"{CANONICAL_WIDTH:g} px wide",
        "outputs": f"centre float32 (N, {AXIS_BINS}, {maps}), probability of a midpoint by direction; kernel "
        f"float32 (N, {AXIS_BINS * parameters}, {cells}), how masks are drawn; quality float32 "
        f"(N, {AXIS_BINS}, {cells}), IoU expected of them; prototypes float32 (N, {PROTOTYPES}, {maps}); dense float32 "
        f"(N, {len(DENSE_MAPS)}, {maps}), foreground, overlap, boundary and axes by direction, 0..1",
    }


_TEXT = """# Segmenter

Models 4 and 5 of KaryoXpert (Chen et al. 2024, section 3.3.2) in one network of one stage: conditional convolutions
(CondInst, Tian et al. 2020) at the midpoints of the chromosomes' axes. Midpoints are detected by direction, so that two
chromosomes that cross in their middles are two. `karyotyping.segmentation.instance_decoding` decodes its maps.

**Meant for** tiles of a metaphase that `karyotyping.image.normalise` normalised and that were resampled to one
chromosome width, dark-field or bright-field. **Not meant for** anything else. No mask was annotated for its training.

Accuracy on {held_out} simulated tiles of held-out cells, class-agnostic; a chromosome counts where its midpoint is in
the tile:

| figure | boxes | masks |
| --- | --- | --- |"""
