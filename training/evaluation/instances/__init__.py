"""Evaluation of segmentation: COCO metrics, counting errors, edits."""
