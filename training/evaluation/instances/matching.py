"""Results paired with a COCO ground truth, image by image, by pycocotools' own matching."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

Kind = Literal["bbox", "segm"]

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A truth and the results for it, aligned by image."""

    images: list[dict[str, Any]]
    """The truth's images, as they stand there."""
    truth: list[list[dict[str, Any]]]
    """Per image its annotations; those with ``iscrowd`` excuse results instead of wanting one."""
    results: list[list[dict[str, Any]]]
    """Per image its results, in the order of the file."""
    elsewhere: int
    """Results for images that the truth does not have."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What can be compared: masks only if every instance on both sides has one; a crowd's region may be a box."""
        instances = [item for side in (self.truth, self.results) for image in side for item in image]
        masked = all(item.get("segmentation") or item.get("iscrowd") for item in instances)
        return ("bbox", "segm") if masked else ("bbox",)

    @property
    def has_unlabelled(self) -> bool:
        """Whether the truth names boxes of chromosome-like objects that it does not label."""
        return any(image.get("unlabelled") for image in self.images)

    @property
    def classes(self) -> list[int]:
        """Class ids of the truth."""
        return sorted({item["category_id"] for image in self.truth for item in image if not item.get("iscrowd")})

    def excusing(self) -> Comparison:
        """The same with each ``unlabelled`` box as a crowd region: COCO's way to let results there count as nothing."""
        truth = [
            [*items, *({"category_id": 0, "bbox": box, "iscrowd": 1} for box in image.get("unlabelled", ()))]
            for image, items in zip(self.images, self.truth, strict=True)
        ]
        return Comparison(self.images, truth, self.results, self.elsewhere)

    def boxes_alone(self) -> Comparison:
        """The same without masks."""
        truth, results = (
            [[item | {"segmentation": None} for item in items] for items in side] for side in (self.truth, self.results)
        )
        return Comparison(self.images, truth, results, self.elsewhere)

    def of_class(self, class_id: int) -> Comparison:
        """Only the instances of one class."""
        truth, results = (
            [[item for item in items if item.get("category_id") == class_id] for items in side]
            for side in (self.truth, self.results)
        )
        return Comparison(self.images, truth, results, self.elsewhere)


@dataclass(frozen=True, slots=True)
class ImageMatches:
    """The matching of one image. D results by decreasing score, T = 10 IoU thresholds."""

    truth: int
    """Instances to be found."""
    scores: NDArray[np.float64]
    """(D,)"""
    hit: NDArray[np.bool_]
    """(T, D): the result is the one match of a true instance."""
    excused: NDArray[np.bool_]
    """(T, D): the result lies in a region where results do not count."""
    right_class: NDArray[np.bool_]
    """(D,): it has the class of the instance that it matches at IoU .5."""
    overlapped: tuple[int, int]
    """Instances that others overlap, found at IoU .5 and in all; zeros where the truth does not tell."""


def load(ground_truth: Path, results: Path) -> Comparison:
    """Read a COCO ground truth and a COCO results list.

    A result belongs to the image of its ``file_name`` (as a whole, or else its last part), and without one to the
    image of its ``image_id``.

    Raises:
        ValueError: a file is not what it should be; the message says which.
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

    def index_of(item: dict[str, Any]) -> int | None:
        if name := item.get("file_name"):
            return by_name.get(name, by_name.get(PurePath(name).name))
        return by_id.get(item["image_id"])

    truth: list[list[dict[str, Any]]] = [[] for _ in images]
    for annotation in document["annotations"]:
        truth[by_id[annotation["image_id"]]].append(annotation)
    found: list[list[dict[str, Any]]] = [[] for _ in images]
    elsewhere = 0
    for item in listed:
        index = index_of(item)
        if index is None:
            elsewhere += 1
        else:
            found[index].append(item)
    return Comparison(images, truth, found, elsewhere)


def match(comparison: Comparison, kind: Kind) -> list[ImageMatches]:
    """Match every image's results with its instances, whatever their classes: by decreasing score, each result to the
    free instance of highest IoU (Lin et al. 2014, as in pycocotools). No result is left out."""
    truth, results = indexed(comparison, comparison.truth, kind), indexed(comparison, comparison.results, kind)
    evaluation = COCOeval(truth, results, kind)
    evaluation.params.useCats = 0
    evaluation.params.iouThrs = IOU_THRESHOLDS
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.params.maxDets = [max(100, *map(len, comparison.results), 0)]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
    return [_image_matches(found, truth, results) for found in evaluation.evalImgs]


def indexed(comparison: Comparison, side: Sequence[Sequence[dict[str, Any]]], kind: Kind) -> COCO:
    """A pycocotools index of one side, with ids from 1 up: it takes a match with id 0 for none."""
    annotations: list[dict[str, Any]] = []
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


def _box_mask(box: Sequence[float], image: dict[str, Any]) -> dict[str, Any]:
    encoded: list[dict[str, Any]] = rle.frPyObjects(np.array([box], float), image["height"], image["width"])
    return encoded[0]


def _image_matches(found: dict[str, Any] | None, truth: COCO, results: COCO) -> ImageMatches:
    thresholds = len(IOU_THRESHOLDS)
    if found is None:  # nothing to find and nothing found
        nothing = np.zeros((thresholds, 0), bool)
        return ImageMatches(0, np.zeros(0), nothing, nothing, np.zeros(0, bool), (0, 0))
    partner = found["dtMatches"].astype(int)  # (T, D) ids of truth, 0 for none
    excused = found["dtIgnore"].astype(bool)
    right_class = [
        gt > 0 and truth.anns[gt]["class_id"] == results.anns[dt]["class_id"]
        for gt, dt in zip(partner[0], found["dtIds"], strict=True)
    ]
    wanted = np.asarray(found["gtIgnore"]) == 0
    overlapped = np.array([truth.anns[gt]["overlap"] for gt in found["gtIds"]], bool) & wanted
    return ImageMatches(
        truth=int(wanted.sum()),
        scores=np.asarray(found["dtScores"], float),
        hit=(partner > 0) & ~excused,
        excused=excused,
        right_class=np.array(right_class, bool) & ~excused[0],
        overlapped=(int((found["gtMatches"][0] > 0)[overlapped].sum()), int(overlapped.sum())),
    )
