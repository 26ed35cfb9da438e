"""Held-out predictions as files of ``karyo evaluate classes``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.benchmark import run_benchmark
from training.evaluation.classification.report import evaluate_classes

CELL = np.repeat(np.arange(23), 2)


def write_fold(path: Path, cell: str, report: str = "a") -> Path:
    """Write a cell of 46,XX and debris; alone, an X is predicted as 7, a 3 upside down."""
    true = np.append(CELL, -1)
    joint = np.where(np.arange(24) == true[:, None], 0.0, -9.0)[..., None] + np.log([0.9, 0.1])
    joint[45, [22, 6]] += [[0.0], [9.7]]
    joint[46] = np.log([0.5, 0.5])
    joint[5] = joint[5, :, ::-1]
    joint -= np.logaddexp.reduce(joint, axis=(1, 2), keepdims=True)
    n = len(true)
    names = np.array([f"{cell}/{k}.png" for k in range(n)])
    np.savez(
        path,
        joint=joint,
        unknown=np.where(true < 0, 0.97, 0.01),
        class_index=true,
        upright=true >= 0,
        name=names,
        cell=np.full(n, cell),
        case=np.full(n, cell),
        report=np.full(n, report),
    )
    return path


def convert(folder: Path, *folds: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.accuracy.out_of_fold", *folds, "--out", folder / "out"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_folds_are_evaluated_as_one(tmp_path: Path) -> None:
    done = convert(tmp_path, write_fold(tmp_path / "1.npz", "c"), write_fold(tmp_path / "2.npz", "d"))
    assert done.returncode == 0, done.stderr
    found = evaluate_classes(tmp_path / "out" / "truth.csv", tmp_path / "out" / "predictions.csv", resamples=0)
    assert (found["chromosomes"], found["cells"], found["missing"]) == (94, 2, 0)
    assert found["accuracy_top1"] == pytest.approx(45 / 47)  # alone, debris gets a class with a low score
    assert found["confusion"]["X"] == {"X": 2, "7": 2}
    assert found["accuracy_assigned"] == 1
    assert found["no_class"]["isolated"]["auroc"] == 1
    assert found["no_class"]["assigned"]["recall"] == 1
    assert found["polarity"]["wrong_per_class"] == {"3": 2}


def test_chromosome_in_two_folds_is_rejected(tmp_path: Path) -> None:
    fold = write_fold(tmp_path / "1.npz", "c")
    done = convert(tmp_path, fold, fold)
    assert done.returncode != 0
    assert "47 chromosomes are in two folds" in done.stderr


def test_files_of_several_reports_start_with_the_report(tmp_path: Path) -> None:
    folds = write_fold(tmp_path / "1.npz", "c", "a"), write_fold(tmp_path / "2.npz", "c", "b")
    assert convert(tmp_path, *folds).returncode == 0
    found = evaluate_classes(tmp_path / "out" / "truth.csv", tmp_path / "out" / "predictions.csv", resamples=0)
    assert sorted(found["by"]["report"]) == ["a", "b"]
    assert found["by"]["report"]["b"]["chromosomes"] == 47


def test_known_counts_exclude_a_class_that_the_cell_lacks(tmp_path: Path) -> None:
    write_fold(tmp_path / "fold.npz", "a/1")
    with np.load(tmp_path / "fold.npz") as stored:
        real = {name: stored[name][:46] for name in stored.files}  # without the debris
    real["joint"][45, [22, 6]] += [[-7.0], [0.0]]  # only the counts contradict a 7
    np.savez(tmp_path / "fold.npz", **real)
    printed = run_benchmark("accuracy.known_counts", tmp_path / "fold.npz")
    assert printed.splitlines()[-1] == "| a | 46 | 97.83% | 97.83% | 100.00% |"
