"""Speed, memory and operations of segmentation, compared with Mask R-CNN R50-FPN.

    python -m venv build/mask-rcnn && build/mask-rcnn/bin/pip install torch torchvision
    python -m benchmarks.speed.segmentation_speed --torchvision build/mask-rcnn/bin/python [--images DIR] [--count 5]
        [--segmenter network|geometric]

Both programs run on the CPU, with the same threads. Mask R-CNN is untrained, has torchvision's default input size and
predicts 46 masks. Each image goes through both in turn, so that other load on the machine affects both; ratios are
those of one image. Seconds are from the pixels to the masks: karyoflow's are those of normalising and segmenting in the
default pipeline. Its CPU seconds and its peak memory are those of the whole pipeline, with its classifier. Operations
are those of the networks; a multiplication and an addition are two. Without ``--images`` metaphase images are
simulated.

Output: a Markdown table with a row for each program.
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

from benchmarks.figures import peak_mib, print_header, print_row, spread
from benchmarks.speed.onnx_cost import cost
from karyotyping.pipeline import Pipeline, PipelineDocument, Segmenter
from models.engine import Engine, Placement
from models.registry import by_digest
from training.simulation import simulate

OURS, RIVAL = "karyoflow", "Mask R-CNN R50-FPN"
STAGES = ("normalise", "segment")
COLUMNS = (
    *("", "s/image", "times as long", "processor s/image", "times as much"),
    *("peak MiB", "parameters, M", "GFLOP/image"),
)
USED = ("router", "segmenter")  # networks of segmentation


class Rival:
    """A program that segments, in a separate process."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def request(self, line: str) -> list[float]:
        """Send one line, and return the answer."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("no pipes")
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self._process.args!r} ended with {self._process.wait()}")
        found: list[float] = json.loads(answer)
        return found

    def close(self) -> None:
        """Close its pipes and wait for its end."""
        self._process.communicate()


class CountingEngine:
    """An engine that counts the values of its inputs."""

    def __init__(self, engine: Engine, name: str, values: Counter[str]) -> None:
        self._engine, self._name, self._values = engine, name, values
        self.digest, self.providers, self.largest_batch = engine.digest, engine.providers, engine.largest_batch

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return what the engine infers."""
        self._values[self._name] += sum(array.size for array in inputs.values())
        return self._engine.infer(inputs)


class CountingPipeline(Pipeline):
    """The pipeline with counting engines."""

    def __init__(self, document: PipelineDocument, engine: str = "cpu") -> None:
        super().__init__(document, engine)
        self.values: Counter[str] = Counter()

    def _load(self, name: str) -> Engine:
        return CountingEngine(super()._load(name), name, self.values)


def serve(choice: dict[str, Segmenter]) -> None:
    """Answer requests with karyoflow, as ``benchmarks.speed.mask_rcnn`` does with Mask R-CNN."""
    pipeline = CountingPipeline.default("cpu", **choice)
    images, peak = 0, 0.0
    for line in sys.stdin:
        if line.strip() == "cost":
            used = [by_digest(digest) for name, digest in pipeline.document["models"].items() if name in USED]
            costs = {weights.path.stem: cost(weights.path) for weights in used}
            flops = sum(one.flops * pipeline.values[name] / one.values for name, one in costs.items()) / images
            answer = [sum(one.parameters for one in costs.values()), flops, peak]
        else:
            worked = time.process_time()
            cell = pipeline.analyse(np.load(line.strip()))
            worked = time.process_time() - worked
            images, peak = images + 1, peak_mib()
            answer = [sum(cell.seconds[stage] for stage in STAGES), worked, len(cell.chromosomes)]
        print(json.dumps(answer), flush=True)


def read_images(folder: Path | None, count: int) -> list[NDArray[np.uint8]]:
    """Return ``count`` grey images, evenly from a folder, or simulated."""
    if folder is None:
        return [
            simulate("46,XY", seed=seed, contrast="fluorescence", touching=8, overlapping=5, shape=(517, 645)).pixels
            for seed in range(count)
        ]
    files = sorted(path for path in folder.iterdir() if path.suffix in {".png", ".tif", ".tiff", ".jpg"})
    chosen = files[:: max(1, len(files) // count)][:count]
    return [np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8) for path in chosen]


def main() -> None:
    """Measure both and print the table."""
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
        images = read_images(arguments.images, arguments.count)
        for path, pixels in zip(paths, images, strict=False):
            np.save(path, pixels)
        for rival in rivals.values():  # the first call of each loads and allocates
            rival.request(str(paths[0]))
        answers = [[rival.request(str(path))[:2] for rival in rivals.values()] for path in paths[: len(images)]]
        seconds, cpu_seconds = np.array(answers).transpose(2, 1, 0)
        costs = [rival.request("cost") for rival in rivals.values()]
    for rival in rivals.values():
        rival.close()
    shapes = ", ".join(sorted({"x".join(map(str, pixels.shape[::-1])) for pixels in images}))
    print(f"{len(images)} images of {shapes}, {threads} threads; median (smallest to largest)")
    print_header(*COLUMNS)
    for name, taken, work, (parameters, flops, peak) in zip(rivals, seconds, cpu_seconds, costs, strict=True):
        row = (
            name,
            spread(taken, 2),
            spread(taken / seconds[0], 1),
            spread(work, 2),
            spread(work / cpu_seconds[0], 1),
            f"{peak:.0f}",
            f"{parameters / 1e6:.2f}",
            f"{flops / 1e9:.1f}",
        )
        print_row(*row)


if __name__ == "__main__":
    main()
