"""Results matched with a COCO ground truth, image by image, by pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from karyotyping.arrays import Bools, Floats

Kind = Literal["bbox", "segm"]
"""What is compared: boxes or masks."""
CocoItem = dict[str, Any]
"""An image, annotation or result as its COCO file has it."""

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A truth and its results, aligned by image."""

    images: list[CocoItem]
    """The truth's images."""
    truth: list[list[CocoItem]]
    """Per image its annotations; those with ``iscrowd`` are regions where results are excused."""
    results: list[list[CocoItem]]
    """Per image its results, in the order of the file."""
    other_results: int
    """Number of results for images that the truth does not have."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Masks count only if every instance on both sides has one; a crowd region may be a box."""
        instances = [item for side in (self.truth, self.results) for image in side for item in image]
        masked = all(item.get("segmentation") or item.get("iscrowd") for item in instances)
        return ("bbox", "segm") if masked else ("bbox",)

    @property
    def has_unlabelled(self) -> bool:
        """Whether the truth has boxes of chromosome-like objects without a label."""
        return any(image.get("unlabelled") for image in self.images)

    @property
    def classes(self) -> list[int]:
        """Class ids of the truth."""
        return sorted({item["category_id"] for image in self.truth for item in image if not item.get("iscrowd")})

    def with_excused_regions(self) -> Comparison:
        """Return the comparison with each ``unlabelled`` box as a crowd region."""
        truth = [
            [*items, *({"category_id": 0, "bbox": box, "iscrowd": 1} for box in image.get("unlabelled", ()))]
            for image, items in zip(self.images, self.truth, strict=True)
        ]
        return replace(self, truth=truth)

    def without_masks(self) -> Comparison:
        """Return the comparison with boxes alone."""
        truth, results = (
            [[item | {"segmentation": None} for item in items] for items in side] for side in (self.truth, self.results)
        )
        return replace(self, truth=truth, results=results)

    def of_class(self, class_id: int) -> Comparison:
        """Return the comparison of one class's instances."""
        truth, results = (
            [[item for item in items if item.get("category_id") == class_id] for items in side]
            for side in (self.truth, self.results)
        )
        return replace(self, truth=truth, results=results)


@dataclass(frozen=True, slots=True)
class ImageMatches:
    """The matching of one image: D results by decreasing score, T = 10 IoU thresholds."""

    truth: int
    """Number of instances to be found."""
    scores: Floats
    """(D,) 0..1."""
    hit: Bools
    """(T, D) whether the result is the one match of a true instance."""
    excused: Bools
    """(T, D) whether the result is in a region where results do not count."""
    right_class: Bools
    """(D,) whether its class is that of the instance that it matches at IoU .5."""
    overlapped: tuple[int, int]
    """Number of instances that others overlap, found at IoU .5 and in all; zeros if the truth marks none."""


def load(ground_truth: Path, results: Path) -> Comparison:
    """Read a COCO ground truth and a COCO results list.

    A result belongs to the image of its ``file_name``, whole or its last part. A result without a name belongs to the
    image of its ``image_id``.

    Raises:
        ValueError: a file is not in its format; the message names it.
    """
    document, listed = json.loads(ground_truth.read_text("utf-8")), json.loads(results.read_text("utf-8"))
    if not isinstance(document, dict) or not {"images", "annotations"} <= document.keys():
        raise ValueError(f"{ground_truth} is no COCO ground truth: it needs `images` and `annotations`")
    if not isinstance(listed, list) or not all(
        isinstance(item, dict) and {"bbox", "score"} <= item.keys() and item.keys() & {"file_name", "image_id"}
        for item in listed
    ):
        raise ValueError(f"{results} is no COCO results list: each item needs file_name or image_id, bbox and score")
    images = document["images"]
    if not images:
        raise ValueError(f"{ground_truth} has no images to evaluate")
    by_name = {image["file_name"]: index for index, image in enumerate(images)}
    by_id = {image["id"]: index for index, image in enumerate(images)}

    def index_of(item: CocoItem) -> int | None:
        if name := item.get("file_name"):
            return by_name.get(name, by_name.get(PurePath(name).name))
        return by_id.get(item["image_id"])

    truth: list[list[CocoItem]] = [[] for _ in images]
    for annotation in document["annotations"]:
        truth[by_id[annotation["image_id"]]].append(annotation)
    per_image: list[list[CocoItem]] = [[] for _ in images]
    other_results = 0
    for item in listed:
        index = index_of(item)
        if index is None:
            other_results += 1
        else:
            per_image[index].append(item)
    return Comparison(images, truth, per_image, other_results)


def match(comparison: Comparison, kind: Kind) -> list[ImageMatches]:
    """Match every image's results with its instances, whatever their classes.

    By decreasing score, each result takes the free instance of highest IoU (Lin et al. 2014, "Microsoft COCO",
    DOI 10.1007/978-3-319-10602-1_48). All results of an image take part.
    """
    truth, results = coco_index(comparison, comparison.truth, kind), coco_index(comparison, comparison.results, kind)
    evaluation = COCOeval(truth, results, kind)
    evaluation.params.useCats = 0
    evaluation.params.iouThrs = IOU_THRESHOLDS
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.params.maxDets = [max(100, *map(len, comparison.results), 0)]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
    return [_image_matches(image, truth, results) for image in evaluation.evalImgs]


def coco_index(comparison: Comparison, side: Sequence[Sequence[CocoItem]], kind: Kind) -> COCO:
    """Return a pycocotools index of one side, its ids from 1 up: 0 means "no match"."""
    annotations: list[CocoItem] = []
    for number, (image, items) in enumerate(zip(comparison.images, side, strict=True)):
        for item in items:
            record = {
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": 1,
                "class_id": item.get("category_id"),
                "overlap": bool(item.get("overlap")),
                "bbox": item["bbox"],
                "area": item["bbox"][2] * item["bbox"][3],
                "iscrowd": item.get("iscrowd", 0),
                "score": item.get("score", 1.0),
            }
            if kind == "segm":
                record["segmentation"] = item.get("segmentation") or _box_mask(item["bbox"], image)
            annotations.append(record)
    index = COCO()
    index.dataset = {
        "images": [{**image, "id": number} for number, image in enumerate(comparison.images)],
        "categories": [{"id": 1, "name": "chromosome"}],
        "annotations": annotations,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        index.createIndex()
    return index


def _box_mask(box: Sequence[float], image: CocoItem) -> dict[str, Any]:
    encoded: list[dict[str, Any]] = rle.frPyObjects(np.array([box], float), image["height"], image["width"])
    return encoded[0]


def _image_matches(evaluated: dict[str, Any] | None, truth: COCO, results: COCO) -> ImageMatches:
    """Return the matches of one of ``evalImgs``, which is None without truth and results."""
    if evaluated is None:
        empty = np.zeros((len(IOU_THRESHOLDS), 0), bool)
        return ImageMatches(0, np.zeros(0), empty, empty, np.zeros(0, bool), (0, 0))
    partner = evaluated["dtMatches"].astype(int)  # (T, D) ids of truth, 0 for none
    excused = evaluated["dtIgnore"].astype(bool)
    right_class = [
        gt > 0 and truth.anns[gt]["class_id"] == results.anns[dt]["class_id"]
        for gt, dt in zip(partner[0], evaluated["dtIds"], strict=True)
    ]
    wanted = np.asarray(evaluated["gtIgnore"]) == 0
    overlapped = np.array([truth.anns[gt]["overlap"] for gt in evaluated["gtIds"]], bool) & wanted
    return ImageMatches(
        truth=int(wanted.sum()),
        scores=np.asarray(evaluated["dtScores"], float),
        hit=(partner > 0) & ~excused,
        excused=excused,
        right_class=np.array(right_class, bool) & ~excused[0],
        overlapped=(int((evaluated["gtMatches"][0] > 0)[overlapped].sum()), int(overlapped.sum())),
    )
