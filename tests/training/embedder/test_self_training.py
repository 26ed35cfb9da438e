"""Adaptation to unlabelled chromosomes: the assignments of their cells are the labels."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import app
from karyotyping.classification.embedder import EMBEDDER, ROWS
from karyotyping.pipeline import Pipeline
from karyotyping.segmentation.instance_decoding import SEGMENTER
from models.engine import Placement, load_engine
from models.registry import resolve

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
pytest.importorskip("pytorch_metric_learning", reason="training needs the extra `train`")
pytest.importorskip("onnxscript", reason="exporting needs the extra `train`")

from models.networks.embedder import Embedder, Prototypes, Scores  # noqa: E402
from training.configs.embedder import AdaptationConfig, read_adaptation_config  # noqa: E402
from training.embedder.checkpoint import restore_embedder  # noqa: E402
from training.embedder.data import Chromosomes  # noqa: E402
from training.embedder.losses import PROTOTYPES  # noqa: E402
from training.embedder.self_training import adapt, adapt_to, agreement, pseudo_label, read_images  # noqa: E402
from training.embedder.synthetic import read_simulated  # noqa: E402
from training.simulation import simulate  # noqa: E402

SCALE = 16.0 * 0.75
"""Of the network that karyoflow comes with."""

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # of the exporter about its own calls


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Chromosomes:
    """Five cells of 46."""
    return read_simulated(5, 3, tmp_path_factory.mktemp("drawn"), log=lambda line: None)


@pytest.fixture
def settings() -> AdaptationConfig:
    return replace(read_adaptation_config(), simulated_cells=1, batch=16)


@pytest.fixture
def frozen(settings: AdaptationConfig) -> AdaptationConfig:
    """Return a configuration with which nothing is learned."""
    return replace(settings, steps=1, learning_rate=0.0, weight_decay=0.0)


def test_pseudo_labels_are_the_classes_of_the_cells_with_the_p_arm_up(cells: Chromosomes) -> None:
    turned = np.arange(len(cells)) % 3 == 0
    canvas = np.where(turned[:, None, None], cells.canvas[:, ::-1], cells.canvas)
    unlabelled = replace(cells, canvas=canvas, class_index=np.full(len(cells), -1), upright=np.zeros(len(cells), bool))
    labelled = pseudo_label(resolve(EMBEDDER).path, unlabelled)
    assert len(labelled) > 0.95 * len(cells)
    place = {name: k for k, name in enumerate(cells.name.tolist())}
    ours = cells[np.array([place[name] for name in labelled.name.tolist()])]
    assert (labelled.class_index == ours.class_index).mean() > 0.97
    assert labelled.upright.mean() > 0.9
    upright = (labelled.canvas[labelled.upright] == ours.canvas[labelled.upright]).all(axis=(1, 2))
    assert upright.mean() > 0.97


def test_an_exported_network_is_restored_for_training(cells: Chromosomes) -> None:
    start, seen = resolve(EMBEDDER).path, cells.visible
    trained: Any = torch.nn.ModuleList([Embedder(ROWS), Prototypes(PROTOTYPES)])
    restore_embedder(trained, start, torch.from_numpy(seen))
    exported = load_engine(start, "cpu", Placement(threads=1)).infer({"appearance": seen[:40]})
    with torch.no_grad():
        embedding, scores, polarity = Scores(trained, SCALE)(torch.from_numpy(seen[:40]))
    np.testing.assert_allclose(embedding, exported["embedding"], atol=1e-4)
    np.testing.assert_allclose(scores, exported["scores"], atol=1e-3)
    np.testing.assert_allclose(polarity, exported["polarity"], atol=1e-3)
    with pytest.raises(ValueError, match="no export of such a network"):
        restore_embedder(trained, resolve(SEGMENTER).path, torch.from_numpy(seen[:2]))


def test_adaptation_ignores_true_classes(cells: Chromosomes, frozen: AdaptationConfig, tmp_path: Path) -> None:
    wrong = replace(cells, class_index=np.roll(cells.class_index, 7), upright=~cells.upright)
    start, lines = resolve(EMBEDDER).path, list[str]()
    right = adapt_to(cells, frozen, tmp_path, lines.append, start)
    first = right.read_bytes()
    (tmp_path / "other").mkdir()
    assert adapt_to(wrong, frozen, tmp_path / "other", lines.append, start).read_bytes() == first


def test_the_card_reports_the_agreement_of_held_out_cells(
    cells: Chromosomes, frozen: AdaptationConfig, tmp_path: Path
) -> None:
    lines: list[str] = []
    weights = adapt_to(cells, frozen, tmp_path, lines.append, resolve(EMBEDDER).path)
    card = resolve(EMBEDDER, weights.parent).card
    aside = cells[cells.cell == np.unique(cells.cell)[-1]]
    assert card["metrics"]["agreement_before"] == agreement(resolve(EMBEDDER).path, aside)
    assert 0.7 < card["metrics"]["agreement_after"] <= 1
    assert resolve(EMBEDDER).sha256[:16] in card["data"]
    assert any("of 184 chromosomes" in line for line in lines)  # without the fifth cell
    assert lines[-1].endswith("keep the network that you have")  # nothing was learned


def test_fewer_than_five_cells_hold_none_out(cells: Chromosomes, frozen: AdaptationConfig, tmp_path: Path) -> None:
    few = cells[np.isin(cells.cell, np.unique(cells.cell)[:4])]
    lines: list[str] = []
    weights = adapt_to(few, frozen, tmp_path, lines.append, resolve(EMBEDDER).path)
    assert resolve(EMBEDDER, weights.parent).card["metrics"] == {}
    assert "none was held out" in lines[-1]


def test_cells_without_probable_classes_fail(cells: Chromosomes, frozen: AdaptationConfig, tmp_path: Path) -> None:
    faceless = replace(cells, canvas=np.zeros_like(cells.canvas))
    with pytest.raises(ValueError, match="no chromosome has a probable class"):
        adapt_to(faceless, frozen, tmp_path, lambda line: None, resolve(EMBEDDER).path)


def test_images_are_segmented_once_and_those_without_chromosomes_are_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metaphase, blank, text = (tmp_path / name for name in ("a.png", "b.png", "c.png"))
    cv2.imwrite(str(metaphase), simulate("46,XY", seed=3).pixels)
    cv2.imwrite(str(blank), np.full((400, 400), 240, np.uint8))
    text.write_text("no picture")
    lines: list[str] = []
    chromosomes = read_images([metaphase, blank, text], tmp_path, lines.append)
    assert 40 <= len(chromosomes) <= 50
    assert not chromosomes.upright.any()
    assert (chromosomes.class_index == -1).all()
    assert len(set(chromosomes.cell.tolist())) == 1
    assert [line.partition(":")[0] for line in lines] == ["1 of 3", "b.png", "c.png"]

    monkeypatch.setattr(Pipeline, "measure", lambda *_: pytest.fail("segmented twice"))
    again = read_images([metaphase], tmp_path, lines.append)
    np.testing.assert_array_equal(again.canvas, chromosomes.canvas)
    copy = tmp_path / "copy.png"
    copy.write_bytes(metaphase.read_bytes())
    assert len(read_images([metaphase, copy], tmp_path, lines.append)) == len(chromosomes)
    with pytest.raises(ValueError, match="none of the images shows chromosomes"):
        read_images([text], tmp_path, lines.append)


def test_images_of_one_name_in_two_folders_are_two_cells(tmp_path: Path) -> None:
    files = [tmp_path / folder / "1.png" for folder in ("case-1", "case-2")]
    for seed, file in enumerate(files):
        file.parent.mkdir()
        cv2.imwrite(str(file), simulate("46,XX", seed=seed).pixels)
    chromosomes = read_images(files, tmp_path, lambda line: None)
    _, count = np.unique(chromosomes.cell, return_counts=True)
    assert len(count) == 2
    assert count.max() <= 50


def test_adapt_goes_from_images_to_weights(tmp_path: Path, settings: AdaptationConfig) -> None:
    config, image = tmp_path / "adaptation.toml", tmp_path / "a.png"
    cv2.imwrite(str(image), simulate("46,XX", seed=4).pixels)
    write_toml(config, replace(settings, steps=8))
    weights = adapt(config, tmp_path / "runs", [image], lambda line: None)
    assert "chromosomes of metaphase images, labelled by their cells" in resolve(EMBEDDER, weights.parent).card["data"]


def test_the_benchmark_measures_on_cells_without_adaptation(
    config: Path, settings: AdaptationConfig, tmp_path: Path
) -> None:
    assert config.parent == tmp_path  # where the report is, and KARYO_TEST_DATA
    folder, quick = tmp_path / "without-toy", tmp_path / "adaptation.toml"
    folder.mkdir()
    shutil.copy(resolve(EMBEDDER).path, folder)
    with zipfile.ZipFile(tmp_path / "toy.zip") as report:
        names = [name for name in report.namelist() if name.endswith(".png")]
    np.savez(folder / "held-out.npz", report=np.full(len(names), "toy"), name=np.array(names))
    write_toml(quick, replace(settings, steps=8))
    for same, count in (([], 16), (["--same"], 32)):
        run = subprocess.run(
            [
                sys.executable,
                "benchmarks/accuracy/adaptation.py",
                folder,
                "--config",
                quick,
                "--out",
                tmp_path / "runs",
                *same,
            ],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        stored = [Path(line.rpartition(" ")[2]) for line in run.stdout.splitlines() if "every prediction in" in line]
        assert [len(np.load(file)["name"]) for file in stored] == [count, count]
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in run.stdout.splitlines()[-2:]]
        assert [row[:3] for row in rows] == [["toy", "before", str(count)], ["toy", "after", str(count)]]
        assert all(0 < float(share.rstrip("%")) <= 100 for row in rows for share in row[3:])


def test_options_for_training_and_adapting_exclude_each_other(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((9, 9), np.uint8))
    both = CliRunner().invoke(app, ["train", "embedder", "--photographs", str(tmp_path), "--fold", "0"])
    assert both.exit_code == 1
    assert "do not go with --photographs" in both.output
    leaking = CliRunner().invoke(app, ["train", "embedder", "--start", str(tmp_path / "a.png"), "--fold", "0"])
    assert leaking.exit_code == 1
    assert "--start has perhaps learned" in leaking.output
    (tmp_path / "empty").mkdir()
    none = CliRunner().invoke(app, ["train", "embedder", "--photographs", str(tmp_path / "empty")])
    assert none.exit_code == 1
    assert "no image files in" in none.output


def write_toml(path: Path, config: AdaptationConfig) -> None:
    path.write_text("\n".join(f"{key} = {value!r}" for key, value in asdict(config).items()), "utf-8")
