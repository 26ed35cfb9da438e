"""Speed and memory of engines, segmentation and classification."""
