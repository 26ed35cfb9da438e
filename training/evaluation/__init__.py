"""Results compared with truth: the metrics of the paper and of COCO, as pure functions from files to dictionaries."""
