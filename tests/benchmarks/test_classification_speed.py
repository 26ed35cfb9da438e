"""The benchmark of classification speed, on small networks and a cell of sticks."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from karyotyping.classification.embedder import COLUMNS, ROWS

ROOT = Path(__file__).parents[2]


def write_network(path: Path, name: str, shape: tuple[int, ...], outputs: dict[str, int]) -> Path:
    """A network whose outputs (N, k) are multiples of its input's mean."""
    onnx = pytest.importorskip("onnx", reason="the extra `train` brings onnx")
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    axes = helper.make_tensor("axes", onnx.TensorProto.INT64, [len(shape) - 1], range(2, len(shape) + 1))
    first = helper.make_node("ReduceMean", [name, "axes"], ["mean"], keepdims=0)
    one = helper.make_node("ReduceMean", ["mean", "last"], ["one"], keepdims=1)
    last = helper.make_tensor("last", onnx.TensorProto.INT64, [1], [1])
    weights = [helper.make_tensor(f"{out}_w", float32, [1, k], np.linspace(0, 9, k)) for out, k in outputs.items()]
    products = [helper.make_node("MatMul", ["one", f"{out}_w"], [out]) for out in outputs]
    graph = helper.make_graph(
        [first, one, *products],
        "tiny",
        [helper.make_tensor_value_info(name, float32, ["batch", *shape])],
        [helper.make_tensor_value_info(out, float32, ["batch", k]) for out, k in outputs.items()],
        [axes, last, *weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def write_report(path: Path) -> Path:
    """A cell of 46 dark sticks on white, the longest four times as long as the shortest."""
    with zipfile.ZipFile(path, "w") as archive:
        index = io.StringIO()
        rows = csv.writer(index)
        rows.writerow(("file", "class", "cell"))
        for number in range(46):
            pixels = np.full((100, 30), 255, np.uint8)
            pixels[8 : 28 + round(60 * number / 45), 9:21] = 90
            encoded = io.BytesIO()
            Image.fromarray(pixels).save(encoded, "PNG")
            archive.writestr(f"{number}.png", encoded.getvalue())
            rows.writerow((f"{number}.png", 1, "c"))
        archive.writestr("index.csv", index.getvalue())
    return path


def test_every_contender_has_a_row(tmp_path: Path) -> None:
    embedder = write_network(
        tmp_path / "embedder.onnx", "appearance", (1, ROWS, COLUMNS), {"scores": 52, "embedding": 128}
    )
    resnet = write_network(tmp_path / "resnet.onnx", "picture", (3, 32, 32), {"logits": 24})
    report = write_report(tmp_path / "report.zip")
    command = ["-m", "benchmarks.speed.classification_speed", "--rounds", "2", "--threads", "1"]
    run = subprocess.run(
        [sys.executable, *command, "--embedder", embedder, "--resnet", resnet, "--report", report],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in run.stdout.splitlines() if "|" in line][2:]
    assert [row[0] for row in rows] == ["network, one pass", "network, both ways up", "whole way", "ResNet-50"]
    rates = [float(row[1].split()[0]) for row in rows]
    assert rates[0] > rates[2] > 0  # measuring a chromosome costs more than the mean of a picture
    assert rows[3][2] == "1.0 (1.0 to 1.0)"
    assert "measure" in run.stdout.splitlines()[-1]
    if sys.platform == "linux":
        assert all(10 < float(row[6]) < 2000 for row in rows)
