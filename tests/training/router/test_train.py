"""Training of the router on toy regions: it learns, resumes, and exports what it computes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from karyotyping.segmentation.router import GEOMETRY, ROUTES, SIDE
from models.registry import resolve

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
pytest.importorskip("onnxscript", reason="exporting needs the extra `train`")

from models.networks.router import Probabilities  # noqa: E402
from training.common.onnx_export import export_onnx  # noqa: E402
from training.configs.router import RouterConfig  # noqa: E402
from training.router.card import write_router_card  # noqa: E402
from training.router.data import Samples  # noqa: E402
from training.router.metrics import measure  # noqa: E402
from training.router.train import augment, fit, predict  # noqa: E402

CONFIG = RouterConfig(
    seed=1, epochs=4, batch=16, learning_rate=5e-3, fields=2, held_out=1, from_reports=0.0, reports=[]
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def samples() -> Samples:
    """Squares of five sizes, one size for each route."""
    random = np.random.default_rng(0)
    route = random.integers(0, len(ROUTES), 160)
    appearance = np.zeros((len(route), 2, SIDE, SIDE), np.float16)
    for picture, size in zip(appearance, 6 + 10 * route, strict=True):
        picture[:, :size, :size] = 1
    geometry = random.normal(size=(len(route), len(GEOMETRY))).astype(np.float32)
    geometry[:, 0] = route
    return Samples(appearance, geometry, route)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of the exporter about its own calls
def test_trained_router_is_accurate_and_exports_what_it_computes(samples: Samples, tmp_path: Path) -> None:
    lines: list[str] = []
    network = fit(samples, replace(CONFIG, epochs=8), tmp_path / "checkpoint.pt", lines.append)
    assert len(lines) == 8
    measured = measure(predict(network, samples), samples.route)
    assert measured["accuracy"] > 0.9
    few = {"appearance": samples.appearance[:9].astype(np.float32), "geometry": samples.geometry[:9]}
    path = export_onnx(Probabilities(network), tmp_path / "router.onnx", few, ["probabilities"])
    assert b"site-packages" not in path.read_bytes()
    write_router_card(path, CONFIG, ["padova_qband.zip"], measured, len(samples.route))
    weights = resolve("router", tmp_path)
    assert weights.card["metrics"]["accuracy"] == measured["accuracy"]


def test_interrupted_training_resumes_with_the_same_weights(samples: Samples, tmp_path: Path) -> None:
    def stop_after_two(line: str) -> None:
        if line.startswith("epoch 3"):
            raise KeyboardInterrupt

    whole = fit(samples, CONFIG, tmp_path / "whole.pt", lambda line: None)
    with pytest.raises(KeyboardInterrupt):
        fit(samples, CONFIG, tmp_path / "parts.pt", stop_after_two)
    lines: list[str] = []
    resumed = fit(samples, CONFIG, tmp_path / "parts.pt", lines.append)
    assert lines[0] == "resuming after epoch 2"
    np.testing.assert_allclose(predict(whole, samples), predict(resumed, samples), atol=1e-5)


def test_augment_keeps_masks_binary_and_turns_both_planes_alike(samples: Samples) -> None:
    batch = torch.from_numpy(samples.appearance[:8])
    result = augment(batch, torch.Generator().manual_seed(3))
    assert set(result[:, 1].unique().tolist()) == {0.0, 1.0}
    assert ((result[:, 0] > 0) == (result[:, 1] > 0)).all()


def test_measure_counts_by_route() -> None:
    route = np.array([0, 0, 1, 2])
    measured = measure(np.eye(len(ROUTES), dtype=np.float32)[[0, 1, 1, 2]], route)
    assert measured["accuracy"] == 0.75
    assert measured["mean_recall"] == pytest.approx((0.5 + 1 + 1) / 3, abs=1e-4)
    assert measured["precision"]["cluster"] == 0.5


def test_the_shipped_weights_hold_no_paths() -> None:
    weights = resolve("router")
    assert weights.path.stat().st_size < 2**20
    assert b"site-packages" not in weights.path.read_bytes()
