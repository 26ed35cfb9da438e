"""The benchmark on whole metaphase images, with a fold that held out one of two slides."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from models.registry import resolve
from tests.support.benchmark import run_benchmark
from training.simulation import write_dataset


def test_images_of_other_slides_do_not_count(tmp_path: Path) -> None:
    dataset, fold = tmp_path / "dataset", tmp_path / "fold"
    write_dataset(dataset / "images", {"SIM-001": "46,XY", "SIM-002": "46,XX"}, 1, seed=5)
    truth = json.loads((dataset / "images" / "coco.json").read_text("utf-8"))
    for image in truth["images"]:
        image["slide"] = image["file_name"].split("/")[0]
    first = truth["annotations"][0]
    first["category_id"] = first["category_id"] % 24 + 1  # as if the label were wrong
    (dataset / "coco.json").write_text(json.dumps(truth), "utf-8")
    fold.mkdir()
    shutil.copy(resolve("embedder").path, fold)
    np.savez(fold / "held-out.npz", case=np.array(["sim/SIM-001", "sim/elsewhere"]))
    printed = run_benchmark("accuracy.metaphase_images", fold, "--images", dataset)
    rows = {row[0]: row[1:] for row in ([c.strip() for c in line.split("|")[1:-1]] for line in printed.splitlines())}
    total, found, right = rows["all"]
    assert int(total) == 46
    assert int(found) >= 44
    assert 85 < float(right.rstrip("%")) < 100
    assert rows["16 to 22 and Y"][0] == "15"
