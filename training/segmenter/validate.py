"""What the exported segmenter finds in fields that it never saw, by the code that runs in production."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

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
_FIGURES = ("AP50", "mAP", "mAR", "Acc", "AER", "WCR", "recall_overlapped")
_OVERLAPPED = 0.05
"""Others cover this share of a chromosome, or more, where it counts as overlapped."""


def measure_held_out(
    weights: Path, fields: Iterable[Sample], folder: Path, parameters: DecodeParameters | None = None
) -> dict[str, float]:
    """Find the chromosomes of ``fields``; keep truth and results as COCO files, and the figures in ``metrics.json``.

    Wanted are the chromosomes whose midpoint the tile shows; finding the others is excused.

    Returns:
        The figures of ``training.evaluation``, 0..1, by names such as ``bbox_AP50`` and ``segm_mAP``.
    """
    believed = parameters or DecodeParameters()
    engine = load_engine(weights, "cpu", Placement(threads=1))
    images: list[dict[str, Any]] = []
    truth: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for number, field in enumerate(fields):
        height, width = field.stain.shape
        images.append({"id": number, "file_name": f"{number}.png", "width": width, "height": height})
        truth += [{**item, "id": len(truth) + k, "image_id": number} for k, item in enumerate(true_instances(field))]
        maps = engine.infer({"stain": field.stain[None, None]})
        candidates = decode_instances({name: values[0] for name, values in maps.items()}, believed)
        found = select(candidates, maps["dense"][0, :2].sum(axis=0), SelectionParameters())
        masks = [region_in_image(item, 1.0, believed.level).full_mask((height, width)) for item in found]
        results += [
            {**_annotation(mask), "image_id": number, "score": item.score}
            for item, mask in zip(found, masks, strict=True)
        ]
    document = {"images": images, "annotations": truth, "categories": [{"id": 1, "name": "chromosome"}]}
    (folder / TRUTH).write_text(json.dumps(document), "utf-8")
    (folder / RESULTS).write_text(json.dumps(results), "utf-8")
    report = evaluate(folder / TRUTH, folder / RESULTS, resamples=0)["counted"]
    measured = {
        f"{kind}_{name}": round(float(figures[name]), 4)
        for kind, figures in report.items()
        for name in _FIGURES
        if figures.get(name) is not None
    }
    (folder / "metrics.json").write_text(json.dumps({"tiles": len(images), **measured}, indent=1), "utf-8")
    return measured


def true_instances(field: Sample) -> list[dict[str, Any]]:
    """The chromosomes of a field as COCO annotations, without ids."""
    wanted = find_midpoints(field.axes).shown(field)
    deep = field.masks.sum(axis=0)
    return [
        {
            **_annotation(mask),
            "iscrowd": int(not wanted[k]),
            "overlap": bool((mask & (deep > 1)).sum() >= _OVERLAPPED * mask.sum()),
        }
        for k, mask in enumerate(field.masks)
    ]


def _annotation(mask: NDArray[np.bool_]) -> dict[str, Any]:
    y, x = np.nonzero(mask)
    left, top = int(x.min()), int(y.min())
    box = [left, top, int(x.max()) - left + 1, int(y.max()) - top + 1]
    return {"category_id": 1, "bbox": box, "area": len(x), "segmentation": encode_mask(mask)}
