"""The benchmark of aneuploidies, on cells with a known outcome."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.benchmark import run_benchmark

FEMALE = np.repeat(np.arange(23), 2)
LOST_21 = np.delete(FEMALE, 41)


def tables(folder: Path, evidence: np.ndarray, cells: list[np.ndarray]) -> str:
    """The benchmark's output for ``cells`` of class indices, with ``evidence`` by class."""
    sizes = [len(cell) for cell in cells]
    true = np.concatenate(cells)
    names = np.repeat([f"cell{k}" for k in range(len(cells))], sizes)
    arrays = {"log_probabilities": evidence[true], "class_index": true, "cell": names, "case": names}
    np.savez(folder / "probabilities.npz", **arrays, report=np.full(len(true), "simulated"))
    words = ("--resamples", "20", "--strengths", "2.5", "10", "--events", "24")
    return run_benchmark("accuracy.aneuploidy", folder / "probabilities.npz", *words)


def shares(printed: str, kind: str, strength: str) -> list[float]:
    """The three shares, in percent, of one kind of cell."""
    table = printed.split(f"\n{kind}: ")[1]
    row = re.search(rf"^\| {re.escape(strength)} \|(.*)$", table, re.MULTILINE)
    assert row
    return [float(cell.split("%")[0]) for cell in row[1].strip(" |").split("|")]


@pytest.fixture(scope="module")
def certain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Tables of a classifier that is right and certain: 12 nats."""
    evidence = np.where(np.eye(24, dtype=bool), 0.0, -12.0)
    return tables(tmp_path_factory.mktemp("certain"), evidence, [FEMALE, FEMALE, LOST_21])


@pytest.mark.parametrize("kind", ["normal", "loss", "gain", "gain and loss", "abnormal in truth"])
def test_certain_classifier_is_right_for_every_kind(certain: str, kind: str) -> None:
    assert shares(certain, kind, "2.5") == [100, 0, 0]


def test_too_strong_prior_hides_a_gain_and_loss(certain: str) -> None:
    right, false_normal, _ = shares(certain, "gain and loss", "10.0")
    assert right < 5
    assert false_normal > 95


def test_uniform_evidence_makes_every_cell_normal(tmp_path: Path) -> None:
    blind = tables(tmp_path, np.zeros((24, 24)), [FEMALE, FEMALE])
    assert shares(blind, "normal", "2.5")[1] == 0  # false abnormal
    assert shares(blind, "gain and loss", "2.5")[1] == 100  # false normal
    assert shares(blind, "loss", "2.5")[0] < 20
