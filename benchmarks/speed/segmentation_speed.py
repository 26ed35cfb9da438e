"""Segmentation beside Mask R-CNN R50-FPN on the CPU: seconds, peak memory, parameters and operations per image.

    python -m venv build/mask-rcnn && build/mask-rcnn/bin/pip install torch torchvision
    python -m benchmarks.speed.segmentation_speed --torchvision build/mask-rcnn/bin/python [--images DIR] [--count 5]
        [--segmenter network|geometric]

Prints a Markdown table. Mask R-CNN is untrained, runs at torchvision's default size and draws 46 masks. Both have the
same threads; each image goes through both in turn, so that whatever else the machine does hits both alike, and ratios
are those of one image. Seconds go from the pixels to the masks; karyoflow's are those that the default pipeline notes
for normalising and segmenting. Its seconds of the processor, which depend less on what else runs, and its peak memory
are those of the whole pipeline, classifier and all. Operations are those of the networks: a multiplication and an
addition are two. Without ``--images`` metaphases are simulated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.onnx_cost import cost
from karyotyping.pipeline import Pipeline, Segmenter
from models.engine import Engine, Placement
from models.registry import by_digest
from training.simulation import simulate

OURS, RIVAL = "karyoflow", "Mask R-CNN R50-FPN"
STAGES = ("normalise", "segment")
USED = ("router", "segmenter")
"""Networks that segmentation asks."""


class Rival:
    """Another program that segments, in a process of its own."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line: str) -> list[float]:
        """One line there, one back."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("no pipes")
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self._process.args} ended with {self._process.wait()}")
        found: list[float] = json.loads(answer)
        return found

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()


class Counted:
    """An engine, and how many values its network is shown."""

    def __init__(self, counted: Engine, name: str, shown: Counter[str]) -> None:
        self._engine, self._name, self._shown = counted, name, shown
        self.digest, self.providers, self.largest_batch = counted.digest, counted.providers, counted.largest_batch

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """What the engine answers."""
        self._shown[self._name] += sum(array.size for array in inputs.values())
        return self._engine.infer(inputs)


class CountedPipeline(Pipeline):
    """The pipeline, whose engines count."""

    def __init__(self, document: Mapping[str, Any], engine: str = "cpu") -> None:
        super().__init__(document, engine)
        self.shown: Counter[str] = Counter()

    def _load(self, name: str) -> Engine:
        return Counted(super()._load(name), name, self.shown)


def serve(choice: dict[str, Segmenter]) -> None:
    """karyoflow's side of the same conversation."""
    pipeline = CountedPipeline.default("cpu", **choice)
    images, peak = 0, 0.0
    for line in sys.stdin:
        if line.strip() == "cost":
            used = [by_digest(digest) for name, digest in pipeline.document["models"].items() if name in USED]
            costs = {weights.path.stem: cost(weights.path) for weights in used}
            flops = sum(one.flops * pipeline.shown[name] / one.values for name, one in costs.items()) / images
            answer = [sum(one.parameters for one in costs.values()), flops, peak]
        else:
            worked = time.process_time()
            cell = pipeline.analyse(np.load(line.strip()))
            worked = time.process_time() - worked
            images, peak = images + 1, own_peak_mib()
            answer = [sum(cell.seconds[stage] for stage in STAGES), worked, len(cell.chromosomes)]
        print(json.dumps(answer), flush=True)


def own_peak_mib() -> float:
    """Peak resident memory since this program started."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def pictures(folder: Path | None, count: int) -> list[NDArray[np.uint8]]:
    """``count`` grey images, evenly out of a folder, or simulated."""
    if folder is None:
        return [
            simulate("46,XY", seed=seed, contrast="fluorescence", touching=8, overlapping=5, shape=(517, 645)).pixels
            for seed in range(count)
        ]
    files = sorted(path for path in folder.iterdir() if path.suffix in {".png", ".tif", ".tiff", ".jpg"})
    chosen = files[:: max(1, len(files) // count)][:count]
    return [np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8) for path in chosen]


def spread(values: NDArray[np.float64], digits: int) -> str:
    """Median, and the smallest and the largest."""
    return f"{np.median(values):.{digits}f} ({values.min():.{digits}f} to {values.max():.{digits}f})"


def main() -> None:
    """Time both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torchvision", type=Path, help="Python that has torch and torchvision")
    parser.add_argument("--images", type=Path)
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--segmenter", choices=list(Segmenter), type=Segmenter, help="another than the default one")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    threads = str(Placement().cpu_threads)
    if arguments.serve:
        cv2.setNumThreads(int(threads))
        serve({"segmenter": arguments.segmenter} if arguments.segmenter else {})
        return
    if arguments.torchvision is None:
        parser.error("--torchvision is needed: the Python of an environment that has torch and torchvision")
    ours = [sys.executable, "-m", "benchmarks.speed.segmentation_speed", "--serve"]
    ours += ["--segmenter", arguments.segmenter] if arguments.segmenter else []
    theirs = [str(arguments.torchvision), str(Path(__file__).with_name("mask_rcnn.py")), threads]
    rivals = {OURS: Rival(ours), RIVAL: Rival(theirs)}
    with tempfile.TemporaryDirectory() as scratch:
        paths = [Path(scratch) / f"{number}.npy" for number in range(arguments.count)]
        images = pictures(arguments.images, arguments.count)
        for path, pixels in zip(paths, images, strict=False):
            np.save(path, pixels)
        for rival in rivals.values():  # the first call of each loads and allocates
            rival.ask(str(paths[0]))
        answers = [[rival.ask(str(path))[:2] for rival in rivals.values()] for path in paths[: len(images)]]
        seconds, worked = np.array(answers).transpose(2, 1, 0)
        costs = [rival.ask("cost") for rival in rivals.values()]
    for rival in rivals.values():
        rival.close()
    shapes = ", ".join(sorted({"x".join(map(str, pixels.shape[::-1])) for pixels in images}))
    print(f"{len(images)} images of {shapes}, {threads} threads; median (smallest to largest)\n")
    print("| | s/image | times as long | processor s/image | times as much | peak MiB | parameters, M | GFLOP/image |")
    print("| --- " * 8 + "|")
    for name, taken, work, (parameters, flops, peak) in zip(rivals, seconds, worked, costs, strict=True):
        row = (
            name,
            spread(taken, 2),
            spread(taken / seconds[0], 1),
            spread(work, 2),
            spread(work / worked[0], 1),
            f"{peak:.0f}",
            f"{parameters / 1e6:.2f}",
            f"{flops / 1e9:.1f}",
        )
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
