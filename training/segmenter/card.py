"""The segmenter's model card: what it is, what it was made from and how well it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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

_ROWS = ("AP50", "mAP", "mAR", "Acc", "AER", "WCR", "recall_overlapped")


def write_segmenter_card(
    weights: Path,
    settings: Mapping[str, Any],
    reports: Sequence[str],
    measured: Mapping[str, float],
    *,
    start: Path | None = None,
    photographs: int = 0,
) -> None:
    """Write the card of the exported segmenter; ``measured`` is what ``measure_held_out`` gives, ``start``
    what its training began with, ``photographs`` how many it learned from."""
    maps, cells = (f"H / {n}, W / {n}" for n in (STRIDE, STRIDE * KERNEL_STRIDE))
    drawn = HIDDEN_UNITS * (PROTOTYPES + 2) + 2 * HIDDEN_UNITS + 1
    sources = ", ".join(_named(name, settings["cases"]) for name in reports) or "no report"
    seen = settings["steps"] * settings["batch"]
    drawn_fields = seen - seen // 2 if photographs else seen
    of_photographs = (
        f"{seen - drawn_fields} tiles of {photographs} photographs of metaphases in which nobody has drawn"
        if photographs
        else "no photograph of a metaphase"
    )
    facts = {
        "summary": "chromosomes in a tile of a metaphase, overlapping ones too: midpoints, and masks of their own",
        "data": f"{drawn_fields // settings['turns']} tiles of simulated metaphases in "
        f"{settings['turns']} orientations each, drawn from ideograms or composed of the single chromosomes of "
        f"{sources}; {of_photographs}",
        "licence": licences(Path(name).stem for name in reports),
        "command": "karyo train segmenter"
        + (f" --start {start.name}" if start else "")
        + (" --photographs FOLDER" if photographs else ""),
        "seed": settings["seed"],
        "inputs": f"stain float32 (N, 1, H, W), multiples of {TILE_SIDE_STEP}: normalised, a chromosome "
        f"{CANONICAL_WIDTH:g} px wide",
        "outputs": f"centre float32 (N, {AXIS_BINS}, {maps}), probability of a midpoint by direction; kernel "
        f"float32 (N, {AXIS_BINS * drawn}, {cells}), how masks are drawn; quality float32 (N, {AXIS_BINS}, {cells}), "
        f"IoU expected of them; prototypes float32 (N, {PROTOTYPES}, {maps}); dense float32 "
        f"(N, {len(DENSE_MAPS)}, {maps}), foreground, overlap, boundary and axes by direction, 0..1",
    }
    rows = [
        f"| {name} | "
        + " | ".join(f"{measured.get(f'{kind}_{name}', float('nan')):.3f}" for kind in ("bbox", "segm"))
        + " |"
        for name in _ROWS
    ]
    text = _TEXT.format(held_out=settings["held_out"])
    write_card(weights, facts, dict(measured), "\n".join([text, *rows]))


def _named(report: str, cases: Mapping[str, Sequence[str]]) -> str:
    """A report, and the cases that alone were taken from it."""
    return f"{report} (cases {', '.join(cases[report])})" if report in cases else report


_TEXT = """# Segmenter

Models 4 and 5 of KaryoXpert (Chen et al. 2024, section 3.3.2) in one network of one stage: conditional convolutions
(CondInst, Tian et al. 2020) at the midpoints of the chromosomes' axes, sought by direction, so that two that cross in
their middles are two. `karyotyping.segmentation.instance_decoding` makes masks of its maps.

**Meant for** tiles of a metaphase that `karyotyping.image.normalise` brought to one convention and that were resampled
to one chromosome width, dark-field or bright-field. **Not meant for** anything else. Nobody has drawn a mask for it.

On {held_out} simulated tiles whose cells were held out, class-agnostic; a chromosome counts where its midpoint lies
within the tile:

| figure | boxes | masks |
| --- | --- | --- |"""
