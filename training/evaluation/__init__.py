"""Results compared with truth: the metrics of the paper and of COCO, and their figures."""
