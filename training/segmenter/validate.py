"""Validation of the exported segmenter on held-out samples, by the code of the pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from karyotyping.model import encode_mask
from karyotyping.segmentation.instance_decoding import DecodeParameters, decode_instances
from karyotyping.segmentation.proposals import region_in_image
from karyotyping.segmentation.selection import SelectionParameters, select
from models.engine import Placement, load_engine
from training.evaluation.instances.report import evaluate
from training.segmenter.sample import Sample
from training.segmenter.targets import find_midpoints

TRUTH, RESULTS = "truth.json", "results.json"
FIGURES = ("AP50", "mAP", "mAR", "Acc", "AER", "WCR", "recall_overlapped")
"""Figures of ``training.evaluation.instances`` in the card, for boxes and masks."""
_MIN_OVERLAP = 0.05  # share of a chromosome, 0..1, that others cover from which it counts as overlapped


def measure_held_out(
    weights: Path, samples: Iterable[Sample], folder: Path, parameters: DecodeParameters | None = None
) -> dict[str, float]:
    """Segment the tiles of samples, and compare the results with the truth.

    Chromosomes whose midpoint is outside of the tile are excused (COCO's ``iscrowd``).

    Args:
        weights: exported network.
        samples: tiles with their truth.
        folder: folder of ``truth.json`` and ``results.json`` (COCO) and ``metrics.json``.
        parameters: decoding parameters; the usual ones by default.

    Returns:
        ``FIGURES``, 0..1, by names such as ``bbox_AP50`` and ``segm_mAP``.
    """
    decoding = parameters or DecodeParameters()
    engine = load_engine(weights, "cpu", Placement(threads=1))
    images: list[dict[str, Any]] = []
    truth: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for number, sample in enumerate(samples):
        height, width = sample.stain.shape
        images.append({"id": number, "file_name": f"{number}.png", "width": width, "height": height})
        truth += [{**item, "id": len(truth) + k, "image_id": number} for k, item in enumerate(true_instances(sample))]
        maps = engine.infer({"stain": sample.stain[None, None]})
        candidates = decode_instances({name: values[0] for name, values in maps.items()}, decoding)
        selected = select(candidates, maps["dense"][0, :2].sum(axis=0), SelectionParameters())
        masks = [region_in_image(item, 1.0, decoding.level).full_mask((height, width)) for item in selected]
        results += [
            {**_annotation(mask), "image_id": number, "score": item.score}
            for item, mask in zip(selected, masks, strict=True)
        ]
    document = {"images": images, "annotations": truth, "categories": [{"id": 1, "name": "chromosome"}]}
    (folder / TRUTH).write_text(json.dumps(document), "utf-8")
    (folder / RESULTS).write_text(json.dumps(results), "utf-8")
    views = evaluate(folder / TRUTH, folder / RESULTS, resamples=0)["counted"]
    by_kind = cast("Mapping[str, Mapping[str, float | None]]", views)
    metrics = {
        f"{kind}_{name}": round(float(figure), 4)
        for kind, figures in by_kind.items()
        for name in FIGURES
        if (figure := figures.get(name)) is not None
    }
    (folder / "metrics.json").write_text(json.dumps({"tiles": len(images), **metrics}, indent=1), "utf-8")
    return metrics


def true_instances(sample: Sample) -> list[dict[str, Any]]:
    """Return the chromosomes of a sample as COCO annotations, without ids."""
    counted = find_midpoints(sample.axes).visible_in(sample)
    depth = sample.masks.sum(axis=0)
    return [
        {
            **_annotation(mask),
            "iscrowd": int(not counted[k]),
            "overlap": bool((mask & (depth > 1)).sum() >= _MIN_OVERLAP * mask.sum()),
        }
        for k, mask in enumerate(sample.masks)
    ]


def _annotation(mask: NDArray[np.bool_]) -> dict[str, Any]:
    y, x = np.nonzero(mask)
    left, top = int(x.min()), int(y.min())
    box = [left, top, int(x.max()) - left + 1, int(y.max()) - top + 1]
    return {"category_id": 1, "bbox": box, "area": len(x), "segmentation": encode_mask(mask)}
