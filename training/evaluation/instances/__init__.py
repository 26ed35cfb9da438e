"""Evaluates segmentation: COCO metrics, counting errors, edits."""
