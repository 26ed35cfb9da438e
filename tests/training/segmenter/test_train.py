"""Training on toy samples: learns, resumes, exports, validates and writes its card."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import app
from models.engine import Placement, load_engine
from models.registry import resolve

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
onnx = pytest.importorskip("onnx", reason="exporting needs the extra `train`")
pytest.importorskip("onnxscript", reason="exporting needs the extra `train`")

from training.configs.segmenter import LossWeights, SegmenterConfig, read_segmenter_config  # noqa: E402
from training.segmenter.loop import Stream, fit  # noqa: E402
from training.segmenter.losses import LOSS_NAMES  # noqa: E402
from training.segmenter.sample import Sample  # noqa: E402
from training.segmenter.train import train, train_on  # noqa: E402
from training.simulation import simulate  # noqa: E402

Draw = Callable[..., Sample]
CONFIG = SegmenterConfig(
    seed=1,
    reports=[],
    cases={},
    widths=[16, 24, 24, 32],
    steps=4,
    batch=1,
    masks=16,
    threads=1,
    turns=1,
    workers=1,
    learning_rate=2e-2,
    weight_decay=0.01,
    averaging=0.9,
    kept=0.0,
    settling=2,
    every=2,
    held_out=2,
    weights=LossWeights(**dict.fromkeys(LOSS_NAMES, 1.0) | {"mask_bce": 2.0, "mask_dice": 2.0}),
)
FROZEN = replace(CONFIG, learning_rate=0.0, weight_decay=0.0)
"""A configuration with which nothing is learned."""

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # of the exporter about its own calls


@pytest.fixture
def toys(draw_toy: Draw) -> Stream:
    """Return a stream of one sample."""
    sample = draw_toy(0, pairs=3, singles=1)

    def stream(start: int) -> Iterator[Sample]:
        return (sample for _ in count(start))

    return stream


def test_trained_segmenter_separates_crossing_bars(toys: Stream, tmp_path: Path) -> None:
    lines: list[str] = []
    weights = train_on(toys, toys, replace(CONFIG, steps=90, every=10), tmp_path, lines.append)
    measured = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert measured["segm_AP50"] > 0.9
    assert measured["segm_recall_overlapped"] > 0.9
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in log] == [*range(10, 100, 10)]
    assert log[-1]["loss"] < 0.3 * log[0]["loss"]
    assert len(lines) == len(log) + 1
    card = resolve("segmenter", tmp_path).card
    assert card["metrics"]["bbox_mAP"] == measured["bbox_mAP"]
    assert b"site-packages" not in weights.read_bytes()
    operators = {node.op_type for node in onnx.load(weights).graph.node}
    assert operators == {"Add", "AveragePool", "Conv", "Relu", "Resize", "Sigmoid"}  # TensorRT parses them all


def test_interrupted_training_resumes_to_the_same_weights(toys: Stream, tmp_path: Path) -> None:
    def stop_half_way(line: str) -> None:
        if line.startswith("step 4"):
            raise KeyboardInterrupt

    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = fit(toys, CONFIG, tmp_path / "whole", lambda line: None)
    with pytest.raises(KeyboardInterrupt):
        fit(toys, CONFIG, tmp_path / "parts", stop_half_way)
    lines: list[str] = []
    parts = fit(toys, CONFIG, tmp_path / "parts", lines.append)
    assert lines[0] == "resuming after step 2 of 4"
    seen = torch.from_numpy(next(toys(0)).stain)[None, None]
    with torch.no_grad():
        for name, values in whole(seen).items():
            np.testing.assert_allclose(values, parts(seen)[name], atol=1e-4)


def test_training_starts_from_the_weights_of_a_checkpoint(toys: Stream, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first = fit(toys, CONFIG, tmp_path / "first", lambda line: None)
    second = fit(toys, FROZEN, tmp_path / "second", lambda line: None, start=tmp_path / "first" / "checkpoint.pt")
    for (name, one), other in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other), name


def test_final_weights_keep_a_share_of_the_starting_weights(toys: Stream, tmp_path: Path) -> None:
    for name in ("first", "freely", "kept"):
        (tmp_path / name).mkdir()
    first, start = fit(toys, CONFIG, tmp_path / "first", print), tmp_path / "first" / "checkpoint.pt"
    freely = fit(toys, CONFIG, tmp_path / "freely", print, start=start)
    kept = fit(toys, replace(CONFIG, kept=0.25), tmp_path / "kept", print, start=start)
    for (name, one), free, between in zip(
        first.named_parameters(), freely.parameters(), kept.parameters(), strict=True
    ):
        torch.testing.assert_close(between, 0.25 * one + 0.75 * free, msg=name)


def test_blocks_that_a_checkpoint_lacks_start_as_shortcuts(toys: Stream, tmp_path: Path) -> None:
    for name in ("first", "second", "third"):
        (tmp_path / name).mkdir()
    first = fit(toys, CONFIG, tmp_path / "first", lambda line: None)
    stored = torch.load(tmp_path / "first" / "checkpoint.pt", weights_only=True)
    stored["averaged"] = {k: v for k, v in stored["averaged"].items() if ".to_sixteenth.2" not in k}
    torch.save(stored, tmp_path / "older.pt")
    second = fit(toys, FROZEN, tmp_path / "second", lambda line: None, start=tmp_path / "older.pt")
    seen = torch.rand(1, 32, 4, 4)
    assert torch.equal(second.to_sixteenth[2](seen), seen)
    assert torch.equal(second.to_sixteenth[3].first[0].weight, first.to_sixteenth[3].first[0].weight)
    wider = replace(CONFIG, widths=[16, 24, 24, 40])
    with pytest.raises(ValueError, match=r"older\.pt is no checkpoint of a segmenter of these widths"):
        fit(toys, wider, tmp_path / "third", lambda line: None, start=tmp_path / "older.pt")


def test_training_starts_from_an_exported_network(toys: Stream, tmp_path: Path) -> None:
    for name in ("first", "second", "third"):
        (tmp_path / name).mkdir()
    exported = train_on(toys, toys, CONFIG, tmp_path / "first", lambda line: None)
    second = fit(toys, replace(FROZEN, steps=1), tmp_path / "second", lambda line: None, start=exported)
    seen = next(toys(0)).stain[None, None]
    ours = load_engine(exported, "cpu", Placement(threads=1)).infer({"stain": seen})
    with torch.no_grad():
        maps = second(torch.from_numpy(seen))
    np.testing.assert_allclose(ours["prototypes"], maps["prototypes"], atol=1e-2)
    np.testing.assert_allclose(ours["centre"], maps["centre"].sigmoid(), atol=1e-2)
    norms = [norm for norm in second.modules() if isinstance(norm, torch.nn.BatchNorm2d)]
    assert all(float(norm.running_var.max()) > 0 for norm in norms)
    wider = replace(CONFIG, widths=[16, 24, 24, 40])
    with pytest.raises(ValueError, match=r"segmenter\.onnx is no export of such a network"):
        fit(toys, wider, tmp_path / "third", lambda line: None, start=exported)


def test_the_configuration_has_a_weight_for_every_loss() -> None:
    assert set(asdict(CONFIG.weights)) == set(LOSS_NAMES)


def test_training_uses_unlabelled_images(toys: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KARYO_TEST_DATA", str(tmp_path))
    monkeypatch.setattr("training.segmenter.train.SimulatedSamples", lambda *_reports, **_how: toys)
    settings = read_segmenter_config(shipped="photographs.toml")
    brief = replace(settings, steps=2, batch=2, every=1, settling=1, held_out=1)
    config = tmp_path / "brief.toml"
    config.write_text(toml(asdict(brief)), "utf-8")
    metaphase, empty = tmp_path / "metaphase.png", tmp_path / "nothing.png"
    cv2.imwrite(str(metaphase), simulate("46,XX", seed=1, contrast="fluorescence").pixels)
    cv2.imwrite(str(empty), np.full((200, 200), 7, np.uint8))
    lines: list[str] = []
    weights = train(config, tmp_path / "out", lines.append, images=[metaphase, empty])
    assert "drawn from ideograms alone" in lines[0]
    card = resolve("segmenter", weights.parent).card
    assert "2 tiles of 1 unlabelled metaphase images" in card["data"]
    assert (weights.parent / "told.jsonl").read_text("utf-8").count("\n") == 2
    with pytest.raises(ValueError, match="in none of the images"):
        train(config, tmp_path / "out", lines.append, images=[empty])


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["train", "segmenter", "--photographs", str(tmp_path)])
    assert done.exit_code == 1
    assert "no image files" in done.stderr


def toml(settings: dict[str, Any]) -> str:
    """Return the TOML of plain values and tables of plain values."""
    plain = {name: value for name, value in settings.items() if not isinstance(value, dict)}
    lines = [f"{name} = {json.dumps(value)}" for name, value in plain.items()]
    for name in settings.keys() - plain.keys():
        lines += [f"[{name}]", *(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in settings[name].items())]
    return "\n".join(lines)
