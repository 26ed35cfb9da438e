"""Training on a toy report: split by case, interrupted, resumed, exported, validated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.registry import resolve

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
pytest.importorskip("pytorch_metric_learning", reason="training needs the extra `train`")
pytest.importorskip("onnxscript", reason="exporting needs the extra `train`")

from training.configs.embedder import read_embedder_config  # noqa: E402
from training.embedder.loop import Batches, fit  # noqa: E402
from training.embedder.train import held_out_of, read_all, train  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # of the exporter about its own calls


def test_a_fold_is_measured_on_its_held_out_cases_and_the_whole_gets_a_card(config: Path, tmp_path: Path) -> None:
    fold = train(config, tmp_path / "runs", lambda line: None, fold=0)
    measured = json.loads((fold.parent / "metrics.json").read_text("utf-8"))
    assert measured["toy"]["chromosomes"] == 16
    with np.load(fold.parent / "held-out.npz") as stored:
        assert len(set(stored["case"].tolist())) == 1
        np.testing.assert_allclose(np.exp(stored["joint"]).sum(axis=(1, 2)), 1, atol=1e-6)
    weights = train(config, tmp_path / "runs", lambda line: None)
    card = resolve("embedder", weights.parent).card
    assert "32 single chromosomes of toy, and 1 simulated cells" in card["data"]
    assert card["metrics"]["toy_isolated"] == measured["toy"]["isolated"]
    assert b"site-packages" not in weights.read_bytes()


def test_training_goes_on_from_an_exported_network(config: Path, tmp_path: Path) -> None:
    first = train(config, tmp_path / "runs", lambda line: None)
    second = train(config, tmp_path / "runs", lambda line: None, start=first)
    assert first.parent != second.parent
    assert "started from the weights of sha256" in resolve("embedder", second.parent).card["data"]
    with pytest.raises(ValueError, match="no export of such a network"):
        train(config, tmp_path / "runs", lambda line: None, start=resolve("router").path)


def test_interrupted_training_resumes_to_the_same_weights(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.embedder.loop._LOG_EVERY", 4)
    settings = read_embedder_config(config)
    chromosomes = read_all(settings, tmp_path, lambda line: None)
    batches = Batches(chromosomes, np.ones(len(chromosomes)), settings)

    def stop_in_the_second_cycle(line: str) -> None:
        if line.startswith("step 16"):
            raise KeyboardInterrupt

    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = fit(batches, settings, tmp_path / "whole", lambda line: None)
    with pytest.raises(KeyboardInterrupt):
        fit(batches, settings, tmp_path / "parts", stop_in_the_second_cycle)
    lines: list[str] = []
    parts = fit(batches, settings, tmp_path / "parts", lines.append)
    assert lines[0] == "resuming after step 12 of 16"
    seen = torch.from_numpy(chromosomes.visible[:9])
    torch.testing.assert_close(whole[0](seen)[0], parts[0](seen)[0], atol=1e-4, rtol=0)


def test_folds_partition_the_cases_and_simulated_cells_are_never_held_out(config: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    chromosomes = read_all(read_embedder_config(config), tmp_path / "cache", lambda line: None)
    held = [held_out_of(chromosomes, 2, fold, None) for fold in range(2)]
    assert not (held[0] & held[1]).any()
    np.testing.assert_array_equal(held[0] | held[1], chromosomes.report == "toy")
    np.testing.assert_array_equal(held_out_of(chromosomes, 2, None, "toy"), chromosomes.report == "toy")
    assert not held_out_of(chromosomes, 2, None, None).any()
    with pytest.raises(ValueError, match="no report 'nowhere'"):
        held_out_of(chromosomes, 2, None, "nowhere")
    with pytest.raises(ValueError, match="fold 2"):
        held_out_of(chromosomes, 2, 2, None)


def test_centromeres_follow_the_ideogram_if_the_p_arm_is_up(config: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    settings = replace(read_embedder_config(config), simulated_cells=0)
    chromosomes = read_all(settings, tmp_path / "cache", lambda line: None)
    acrocentric, metacentric = (chromosomes.class_index == n - 1 for n in (14, 1))
    middle = chromosomes.canvas.shape[1] / 2
    np.testing.assert_allclose(chromosomes.centromere[metacentric], middle, atol=6)
    assert (chromosomes.centromere[acrocentric] < middle - 6).all()
    unknown = replace(chromosomes, upright=np.zeros(len(chromosomes), bool))
    assert np.isnan(unknown.centromere).all()
