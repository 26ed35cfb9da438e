"""Configurations: every shipped file is valid, and an error names the file and the key."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from models.registry import digest
from training.configs.embedder import read_adaptation_config, read_embedder_config
from training.configs.router import read_router_config
from training.configs.segmenter import read_segmenter_config

SHIPPED: dict[str, Callable[[], Any]] = {
    "adaptation.toml": read_adaptation_config,
    "embedder.toml": read_embedder_config,
    "photographs.toml": lambda: read_segmenter_config(shipped="photographs.toml"),
    "router.toml": read_router_config,
    "segmenter.toml": read_segmenter_config,
}


def shipped(name: str) -> str:
    return (resources.files("training.configs") / name).read_text("utf-8")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_configuration_has_the_digest_of_its_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # found from any folder
    assert digest(asdict(SHIPPED[name]())) == digest(tomllib.loads(shipped(name)))


def test_numbers_stay_as_the_file_writes_them(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(shipped("segmenter.toml").replace("centre = 1.0", "centre = 1"), "utf-8")
    assert digest(asdict(read_segmenter_config(file))) == digest(tomllib.loads(file.read_text("utf-8")))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("seed = 20241127\n", "", "key `seed` is missing"),
        ("seed = 20241127", "seed = 1.5", "key `seed` must be a valid integer"),
        ("threads = 1 ", "threads = true ", "key `threads` must be a valid integer"),
        ("averaging = 0.999", "averaging = 'long'", "key `averaging` must be a valid number"),
        ("mask_bce = 2.0\n", "", "key `weights.mask_bce` is missing"),
        ("mask_bce = 2.0", "mask_bce = 2.0\nmask_iou = 1.0", "key `weights.mask_iou` is unknown"),
        ("widths = [32,", "widths = ['wide',", "key `widths.0` must be a valid integer"),
        ("seed = 20241127", "seed = ", "is not TOML"),
    ],
)
def test_an_invalid_configuration_names_the_file_and_the_key(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(shipped("segmenter.toml").replace(old, new, 1), "utf-8")
    with pytest.raises(ValueError, match=r"own\.toml") as problem:
        read_segmenter_config(file)
    assert sentence in str(problem.value)
    assert "\n" not in str(problem.value)


def test_training_with_an_invalid_configuration_ends_with_the_sentence(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs the extra `train`")
    file = tmp_path / "own.toml"
    file.write_text(shipped("router.toml") + "epoch = 3\n", "utf-8")
    done = CliRunner().invoke(app, ["train", "router", "--config", str(file), "--out", str(tmp_path / "runs")])
    assert done.exit_code == 1
    assert "key `epoch` is unknown" in done.output.replace("\n", " ")
