"""Speed and accuracy of 8-bit integer networks on the CPU.

    python -m benchmarks.speed.quantisation [IMAGES] [--limit 24] [--items N]

Measures every shipped network as exported (FP32), in the CPU engine, and quantised after training in three ways. Half
of the images (default: the real DAPI metaphase images, or simulated ones) calibrate; the other half are compared. It
needs the extra `train` (onnx).

Output: the BF16 kernels of ONNX Runtime, and a Markdown table.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from benchmarks.figures import data_folder, machine, markdown
from ingest.sources.folder import image_files
from karyotyping.arrays import Pixels
from karyotyping.engine_validation import EXACT, record_inputs
from karyotyping.image.decode import decode
from models import registry
from models.engine import OnnxEngine, load_engine
from models.parity import RANKING, Arrays, deviation, gather_rows, same_answer
from models.providers import Placement
from models.runtime import ort
from training.simulation import simulate

CALIBRATION_BATCH = 64  # items; ONNX Runtime needs batches of one size
ROUNDS = 5


class CalibrationBatches(CalibrationDataReader):  # type: ignore[misc]
    """Batches of a network's recorded inputs."""

    def __init__(self, inputs: Arrays) -> None:
        size = min(CALIBRATION_BATCH, _items(inputs))
        starts = range(0, _items(inputs) // size * size, size)
        self._batches = iter([{name: array[k : k + size] for name, array in inputs.items()} for k in starts])

    def get_next(self) -> Arrays | None:
        """Return the next batch, or None."""
        return next(self._batches, None)


def join_batches(batches: Sequence[Arrays]) -> Arrays:
    """Return all batches as one; images are padded with zeros to the largest."""
    result = {}
    for name in batches[0]:
        arrays = [batch[name] for batch in batches]
        sides = np.max([array.shape[1:] for array in arrays], axis=0)
        wider = [[(0, 0), *((0, n) for n in sides - array.shape[1:])] for array in arrays]
        result[name] = np.concatenate([np.pad(array, more) for array, more in zip(arrays, wider, strict=True)])
    return result


def first_items(batches: Sequence[Arrays], most: int) -> list[Arrays]:
    """Return the first batches that together have at most so many items, at least one."""
    totals = np.cumsum([_items(batch) for batch in batches])
    return list(batches[: max(1, int(np.searchsorted(totals, most, side="right")))])


def _items(batch: Arrays) -> int:
    return len(next(iter(batch.values())))


def read_images(folder: Path | None, limit: int) -> Iterator[Pixels]:
    """Yield images, evenly from a folder, or simulated ones."""
    if folder is None:
        for seed in range(limit):
            contrast = ("bright_field", "fluorescence")[seed % 2]
            yield simulate("46,XY", seed=seed, contrast=contrast, touching=4, overlapping=4).pixels  # type: ignore[arg-type]
        return
    files = image_files(folder)
    for file in files[:: max(1, len(files) // limit)][:limit]:
        yield decode(file.path.read_bytes()).pixels


def quantise(path: Path, inputs: Sequence[Arrays], folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and file of each 8-bit network made from ``path``."""
    plain = folder / "plain.onnx"
    quant_pre_process(str(path), str(plain), skip_symbolic_shape=True)
    convolutions = [node.name for node in onnx.load(plain).graph.node if node.op_type == "Conv"]
    ways: dict[str, dict[str, Any]] = {
        "int8, range by extremes": {},
        "int8, range by percentiles": {"calibrate_method": CalibrationMethod.Percentile},
        "int8, inner convolutions only": {
            "calibrate_method": CalibrationMethod.Percentile,
            "op_types_to_quantize": ["Conv"],
            "nodes_to_exclude": [convolutions[0], convolutions[-1]],
        },
    }
    types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8, "per_channel": True}
    for number, (way, options) in enumerate(ways.items()):
        out = folder / f"{number}.onnx"
        quantize_static(
            str(plain),
            str(out),
            CalibrationBatches(join_batches(inputs)),
            quant_format=QuantFormat.QDQ,
            **types,
            **options,
        )
        yield way, out


def processor_ms(engine: OnnxEngine, inputs: Sequence[Arrays]) -> float:
    """Return the CPU ms of one item, the smallest of a few rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for batch in inputs:
            engine.infer(batch)
        rounds.append(time.process_time() - began)
    return 1000 * min(rounds) / sum(map(_items, inputs))


def rows(name: str, calibration: Sequence[Arrays], compared: Sequence[Arrays]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each way to run the network ``name``."""
    path = registry.resolve(name).path
    exact = load_engine(path, "cpu", EXACT)
    reference = [exact.infer(batch) for batch in compared]
    with tempfile.TemporaryDirectory() as folder:
        ways = [("FP32, as exported", exact), ("FP32, CPU engine", load_engine(path, "cpu", Placement(threads=1)))]
        for way, file in quantise(path, calibration, Path(folder)):
            ways.append((way, load_engine(file, "cpu", Placement(threads=1))))
        for way, engine in ways:
            outputs = [engine.infer(batch) for batch in compared]
            expected, actual = (
                {output: gather_rows(parts, output) for output in parts[0]} for parts in (reference, outputs)
            )
            furthest = max(deviation(expected[output], actual[output]) for output in expected)
            ranked = [same_answer(expected[output], actual[output]) for output in expected if output in RANKING]
            same = f"{min(ranked):.2%}" if ranked else "-"
            yield name, way, f"{processor_ms(engine, compared):.3f}", f"{furthest:.4f}", same


def bfloat16(operator: str, shape: tuple[int, ...]) -> str:
    """Return whether ONNX Runtime's CPU provider has a BF16 kernel of an operator."""
    helper, kind = onnx.helper, onnx.TensorProto.BFLOAT16
    tensors = [helper.make_tensor_value_info(name, kind, shape) for name in ("x", "w")]
    result = helper.make_tensor_value_info("y", kind, None)
    graph = helper.make_graph([helper.make_node(operator, ["x", "w"], ["y"])], "one", tensors, [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # the errors of ONNX Runtime have no common base class
        return type(problem).__name__
    return "has a kernel"


def main() -> None:
    """Quantise, compare, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    real = data_folder() / "adir" / "images"
    parser.add_argument("images", type=Path, nargs="?", default=real if real.is_dir() else None)
    parser.add_argument("--limit", type=int, default=24, help="number of images")
    parser.add_argument("--items", type=int, default=100_000, help="most items of a network, of either half")
    arguments = parser.parse_args()
    images = list(read_images(arguments.images, arguments.limit))
    calibration, compared = (
        {name: first_items(batches, arguments.items) for name, batches in record_inputs(half).items()}
        for half in (images[::2], images[1::2])
    )
    table = [row for name in calibration for row in rows(name, calibration[name], compared[name])]
    print(f"{machine()}; ONNX Runtime {ort.__version__}, 1 thread, {len(images)} images")
    for operator, shape in {"Conv": (4, 4, 3, 3), "Gemm": (4, 4), "MatMul": (4, 4)}.items():
        print(f"BF16 {operator}: {bfloat16(operator, shape)}")
    print()
    print(markdown(("network", "way", "CPU ms an item", "largest deviation", "same answer"), table))


if __name__ == "__main__":
    main()
