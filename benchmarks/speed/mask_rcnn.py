"""torchvision's Mask R-CNN R50-FPN as a process that answers requests on stdin.

    python benchmarks/speed/mask_rcnn.py THREADS

It needs torch and torchvision alone, and runs in an environment of its own for ``benchmarks.speed.segmentation_speed``.
The network is untrained, so its 46 highest scores count as chromosomes; all else is torchvision's default.

Output: a line of JSON for each line of stdin. The path of an image (.npy, grey, 8 bit) is answered by seconds, CPU
seconds and the number of masks. ``cost`` is answered by parameters, floating-point operations for the last image, and
peak MiB.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import maskrcnn_resnet50_fpn

CHROMOSOMES = 46  # of a normal cell; karyoflow cannot be imported here


def main(threads: int) -> None:
    """Answer requests until stdin ends."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, box_score_thresh=0.0, box_detections_per_img=CHROMOSOMES
    ).eval()
    picture = torch.zeros(3, 64, 64)
    for line in sys.stdin:
        if line.strip() == "cost":
            peak = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("VmHWM"))
            with FlopCounterMode(display=False) as counter, torch.inference_mode():
                network([picture])
            parameters = sum(part.numel() for part in network.parameters())
            answer = [parameters, counter.get_total_flops(), int(peak.split()[1]) / 1024]
        else:
            grey = np.load(line.strip())
            began, worked = time.perf_counter(), time.process_time()
            with torch.inference_mode():
                picture = torch.from_numpy(grey).float().div(255).expand(3, -1, -1)
                found = network([picture])[0]
            answer = [time.perf_counter() - began, time.process_time() - worked, len(found["masks"])]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
