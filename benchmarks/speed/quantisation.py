"""Speed and accuracy of 8-bit integer networks on the CPU.

    python -m benchmarks.speed.quantisation [IMAGES]

Every shipped network as exported (FP32), as the CPU engine runs it, and quantised after training in three ways, on what
the images of a folder (default: the real DAPI metaphases, or simulated ones) show to it. Half of the images calibrate,
the other half are judged. Needs the extra `train` (onnx).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from benchmarks.figures import machine, markdown
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

CALIBRATED = 64
"""Items of one batch of calibration; ONNX Runtime wants all batches alike."""
ROUNDS = 5


class Shown(CalibrationDataReader):  # type: ignore[misc]
    """Batches of what a network was shown."""

    def __init__(self, seen: Arrays) -> None:
        size = min(CALIBRATED, _items(seen))
        starts = range(0, _items(seen) // size * size, size)
        self._batches = iter([{name: array[k : k + size] for name, array in seen.items()} for k in starts])

    def get_next(self) -> Arrays | None:
        """The next batch, or None."""
        return next(self._batches, None)


def together(batches: Sequence[Arrays]) -> Arrays:
    """One batch of all; pictures become as large as the largest, with nothing beyond their borders."""
    result = {}
    for name in batches[0]:
        arrays = [batch[name] for batch in batches]
        sides = np.max([array.shape[1:] for array in arrays], axis=0)
        wider = [[(0, 0), *((0, n) for n in sides - array.shape[1:])] for array in arrays]
        result[name] = np.concatenate([np.pad(array, more) for array, more in zip(arrays, wider, strict=True)])
    return result


def _items(batch: Arrays) -> int:
    return len(next(iter(batch.values())))


def photos(folder: Path | None, limit: int) -> Iterator[Pixels]:
    """Images, spread over a folder."""
    if folder is None:
        for seed in range(limit):
            contrast = ("bright_field", "fluorescence")[seed % 2]
            yield simulate("46,XY", seed=seed, contrast=contrast, touching=4, overlapping=4).pixels  # type: ignore[arg-type]
        return
    files = image_files(folder)
    for file in files[:: max(1, len(files) // limit)][:limit]:
        yield decode(file.path.read_bytes()).pixels


def quantised(path: Path, seen: Sequence[Arrays], folder: Path) -> Iterator[tuple[str, Path]]:
    """The network of ``path`` in 8 bits, by the names of the ways."""
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
        quantize_static(str(plain), str(out), Shown(together(seen)), quant_format=QuantFormat.QDQ, **types, **options)
        yield way, out


def processor_ms(engine: OnnxEngine, seen: Sequence[Arrays]) -> float:
    """CPU milliseconds of one item, the least of a few rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for batch in seen:
            engine.infer(batch)
        rounds.append(time.process_time() - began)
    return 1000 * min(rounds) / sum(map(_items, seen))


def rows(name: str, calibration: Sequence[Arrays], judged: Sequence[Arrays]) -> Iterator[tuple[str, ...]]:
    """A row for each way to run the network ``name``."""
    path = registry.resolve(name).path
    exact = load_engine(path, "cpu", EXACT)
    reference = [exact.infer(batch) for batch in judged]
    with tempfile.TemporaryDirectory() as folder:
        ways = [("FP32, as exported", exact), ("FP32, CPU engine", load_engine(path, "cpu", Placement(threads=1)))]
        for way, file in quantised(path, calibration, Path(folder)):
            ways.append((way, load_engine(file, "cpu", Placement(threads=1))))
        for way, engine in ways:
            outputs = [engine.infer(batch) for batch in judged]
            wanted, said = (
                {output: gather_rows(parts, output) for output in parts[0]} for parts in (reference, outputs)
            )
            furthest = max(deviation(wanted[output], said[output]) for output in wanted)
            ranked = [same_answer(wanted[output], said[output]) for output in wanted if output in RANKING]
            same = f"{min(ranked):.2%}" if ranked else "-"
            yield name, way, f"{processor_ms(engine, judged):.3f}", f"{furthest:.4f}", same


def bfloat16(operator: str, shape: tuple[int, ...]) -> str:
    """What ONNX Runtime's CPU provider says to one operator in BF16."""
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
    """Quantise, compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    real = Path(os.environ.get("KARYO_TEST_DATA", "../shared/data")) / "adir" / "images"
    parser.add_argument("images", type=Path, nargs="?", default=real if real.is_dir() else None)
    parser.add_argument("--limit", type=int, default=24, help="images to look at")
    arguments = parser.parse_args()
    images = list(photos(arguments.images, arguments.limit))
    calibration, judged = record_inputs(images[::2]), record_inputs(images[1::2])
    table = [row for name in calibration for row in rows(name, calibration[name], judged[name])]
    print(f"{machine()}; ONNX Runtime {ort.__version__}, 1 thread, {len(images)} images")
    for operator, shape in {"Conv": (4, 4, 3, 3), "Gemm": (4, 4), "MatMul": (4, 4)}.items():
        print(f"BF16 {operator}: {bfloat16(operator, shape)}")
    print()
    print(markdown(("network", "way", "CPU ms an item", "largest deviation", "same answer"), table))


if __name__ == "__main__":
    main()
