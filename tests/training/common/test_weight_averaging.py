"""The mean of networks has their mean weights and a card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="averaging needs the extra `train`")

from models.registry import CARD_KEYS, ModelUnavailable, resolve  # noqa: E402 - as onnx may be missing
from training.common.card import write_card  # noqa: E402
from training.common.weight_averaging import write_mean  # noqa: E402


def written(path: Path, weight: list[float] | list[list[float]], kind: str = "Mul") -> Path:
    """Write a network of one operation with ``weight``."""
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [len(weight)]) for name in ("x", "y")]
    held = onnx.numpy_helper.from_array(np.array(weight, np.float32), "weight")
    graph = onnx.helper.make_graph([onnx.helper.make_node(kind, ["x", "weight"], ["y"])], "toy", values[:1], values[1:])
    graph.initializer.append(held)
    onnx.save(onnx.helper.make_model(graph), path)
    facts = dict.fromkeys(CARD_KEYS - {"sha256", "metrics"}, "toy") | {"data": f"the data of {path.stem}"}
    write_card(path, facts, {"accuracy": 1.0}, "# Toy")
    return path


def test_mean_has_the_mean_weights_and_the_data_of_all(tmp_path: Path) -> None:
    trained = [written(tmp_path / f"{k}.onnx", weight) for k, weight in enumerate(([1.0, 2.0], [3.0, 2.0], [5.0, 5.0]))]
    out = tmp_path / "new" / "mean.onnx"
    write_mean(trained, out)
    (weight,) = onnx.load(out).graph.initializer
    assert onnx.numpy_helper.to_array(weight).tolist() == [3.0, 3.0]
    card = resolve("mean", out.parent).card
    assert card["data"] == "the data of 0; the data of 1; the data of 2"
    assert card["metrics"] == {}


def test_unit_vectors_stay_unit_vectors(tmp_path: Path) -> None:
    pair = [
        written(tmp_path / "one.onnx", [[1.0, 0.0], [0.0, 1.0]]),
        written(tmp_path / "other.onnx", [[0.6, 0.0], [0.8, 1.0]]),
    ]
    write_mean(pair, tmp_path / "mean.onnx")
    (weight,) = onnx.load(tmp_path / "mean.onnx").graph.initializer
    mean = onnx.numpy_helper.to_array(weight)
    np.testing.assert_allclose(mean, [[0.8 / 0.8**0.5, 0.0], [0.4 / 0.8**0.5, 1.0]], atol=1e-6)


@pytest.mark.parametrize(("weight", "kind"), [([1.0, 2.0, 3.0], "Mul"), ([1.0, 2.0], "Add")])
def test_networks_of_other_architectures_raise_an_error(weight: list[float], kind: str, tmp_path: Path) -> None:
    pair = [written(tmp_path / "one.onnx", [1.0, 2.0]), written(tmp_path / "other.onnx", weight, kind)]
    with pytest.raises(ValueError, match=r"other\.onnx is not of the architecture of"):
        write_mean(pair, tmp_path / "mean.onnx")
    assert not (tmp_path / "mean.onnx").exists()


def test_a_network_without_its_card_raises_an_error(tmp_path: Path) -> None:
    trained = written(tmp_path / "one.onnx", [1.0])
    trained.with_suffix(".md").unlink()
    with pytest.raises(ModelUnavailable, match=r"one\.onnx has no card: one\.md, next to it"):
        write_mean([trained], tmp_path / "mean.onnx")
