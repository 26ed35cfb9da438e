"""Keys of the report on instances, as ``karyo evaluate coco`` prints them."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from training.evaluation.statistics import Figure


class InstanceFigures(TypedDict):
    """Figures of one kind of outline; docs/reference/evaluation.md defines each."""

    AP50: Figure
    AP75: Figure
    mAP: Figure
    mAR: Figure
    AP50_eq6: Figure
    mAP_eq6: Figure
    WCR: Figure
    AER: Figure
    Acc: Figure
    precision: Figure
    recall: Figure
    count_exact: Figure
    count_error: Figure
    count_bias: Figure
    class_accuracy: Figure
    TP: int
    FP: int
    FN: int
    clinical_precision: NotRequired[Figure]
    clinical_recall: NotRequired[Figure]
    edits: NotRequired[Figure]
    splits: NotRequired[Figure]
    joins: NotRequired[Figure]
    deletions: NotRequired[Figure]
    additions: NotRequired[Figure]
    recall_overlapped: NotRequired[Figure]
    interval95: NotRequired[dict[str, list[Figure]]]
    """``[low, high]`` of the bootstrap."""
    per_class: NotRequired[dict[str, InstanceFigures]]


Views = dict[Literal["bbox", "segm"], InstanceFigures]
"""Figures of boxes, and of masks if both sides have them."""


class Summary(TypedDict):
    """Sizes of a comparison."""

    images: int
    images_without_results: int
    chromosomes: int
    results: int
    results_for_other_images: int
    min_score: float


class DomainReport(TypedDict):
    """Figures of the images with one value of a field."""

    images: int
    chromosomes: int
    counted: Views
    excused: NotRequired[Views]


class ImageRow(TypedDict):
    """Errors at IoU .5 in one image, and for masks the edits that it needs."""

    file_name: str
    truth: int
    bbox_TP: int
    bbox_FP: int
    bbox_FN: int
    bbox_right_class: int
    segm_TP: NotRequired[int]
    segm_FP: NotRequired[int]
    segm_FN: NotRequired[int]
    segm_right_class: NotRequired[int]
    chromosomes: NotRequired[int]
    results: NotRequired[int]
    right: NotRequired[int]
    splits: NotRequired[int]
    joins: NotRequired[int]
    deletions: NotRequired[int]
    additions: NotRequired[int]


class InstanceReport(TypedDict):
    """The whole report; ``report.report`` explains its parts."""

    summary: Summary
    counted: Views
    excused: NotRequired[Views]
    by: NotRequired[dict[str, DomainReport]]
    images: list[ImageRow]
