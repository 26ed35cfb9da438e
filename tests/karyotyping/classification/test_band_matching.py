"""Classes from bands and shape: accurate on simulated cells, calibrated on real ones."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from karyotyping.chromosome.measure import Measurement, measure
from karyotyping.classification.assignment import assign
from karyotyping.classification.band_matching import classify
from karyotyping.classification.band_templates import load_templates
from karyotyping.nomenclature.classes import CLASS_NAMES, class_name
from karyotyping.nomenclature.iscn import format_iscn
from training.simulation.metaphase import simulate

DATA = Path(os.environ.get("KARYO_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))


def simulated(karyotype: str, seed: int) -> tuple[list[int], list[Measurement], list[bool]]:
    """Return classes, measurements and p-arm-up flags of a simulated cell without overlaps."""
    cell = simulate(karyotype, seed=seed, nuclei=0, debris=0)
    foreground = cell.masks.any(axis=0)
    darkness = np.median(cell.pixels[~foreground]) - cell.pixels.astype(np.float32)
    stain = (darkness / np.percentile(darkness[foreground], 90)).astype(np.float32)
    measured, p_up = [], []
    for (x, y, width, height), mask, axis in zip(cell.boxes, cell.masks, cell.axes, strict=True):
        crop = np.s_[y : y + height, x : x + width]
        measured.append(measure(stain[crop], mask[crop]))
        tip = measured[-1].axis[0] + (x, y)
        p_up.append(bool(np.hypot(*(axis[0] - tip)) < np.hypot(*(axis[-1] - tip))))
    return list(cell.classes), measured, p_up


def predicted_karyotype(measured: list[Measurement]) -> tuple[str, list[int | None]]:
    """Return the karyotype and the classes assigned to a cell."""
    assigned = assign([item.log_probabilities for item in classify(measured, "dark_on_light")])
    classes = [item.class_id for item in assigned]
    return format_iscn(Counter(n for n in classes if n is not None)), classes


@pytest.mark.parametrize(
    ("karyotype", "seed"), [("46,XX", 21), ("47,XY,+21", 22), ("45,X", 23), ("47,XXY", 24), ("45,XY,-7", 25)]
)
def test_simulated_karyotypes_are_predicted(karyotype: str, seed: int) -> None:
    classes, measured, p_up = simulated(karyotype, seed)
    iscn, assigned = predicted_karyotype(measured)
    assert iscn == karyotype
    assert np.mean(np.array(assigned) == classes) > 0.95
    classified = classify(measured, "dark_on_light")
    ways = [item.orientation(class_id) for item, class_id in zip(classified, classes, strict=True)]
    wrong = [way for way, up in zip(ways, p_up, strict=True) if way != "unknown" and (way == "p_up") != up]
    assert len(wrong) <= 1
    assert ways.count("unknown") <= 5


@pytest.mark.parametrize("class_id", [1, 9, 16, 21, 23])
def test_losing_or_doubling_a_chromosome_changes_only_its_class(class_id: int) -> None:
    classes, measured, _ = simulated("46,XX", 31)
    index = classes.index(class_id)
    name = class_name(class_id)
    lost, _ = predicted_karyotype([*measured[:index], *measured[index + 1 :]])
    gained, _ = predicted_karyotype([*measured, measured[index]])
    assert lost == ("45,X" if name == "X" else f"45,XX,-{name}")
    assert gained == ("47,XXX" if name == "X" else f"47,XX,+{name}")


def test_probabilities_sum_to_one_and_rotate_with_the_chromosome() -> None:
    _, measured, _ = simulated("46,XX", 31)
    classified = classify(measured, "dark_on_light")
    rotated = classify([item.rotated() for item in measured], "dark_on_light")
    for item, other in zip(classified, rotated, strict=True):
        assert np.exp(item.log_probabilities).sum() == pytest.approx(1)
        assert item.top5[0][1] == pytest.approx(float(np.exp(item.log_probabilities).max()))
        np.testing.assert_allclose(item.log_probabilities, other.log_probabilities, atol=1e-3)
        assert item.p_up() == pytest.approx(1 - other.p_up(), abs=1e-3)


def test_a_single_chromosome_is_classified_by_its_bands() -> None:
    classes, measured, _ = simulated("46,XX", 31)
    assert classify([]) == ()
    (only,) = classify([measured[classes.index(1)]])
    assert 1 in [class_id for class_id, _ in only.top5]


def test_the_templates_cover_every_class() -> None:
    templates = load_templates("G")
    assert templates.profiles.shape == (24, len(templates.warp), 64)
    np.testing.assert_allclose(np.linalg.norm(templates.profiles, axis=-1), 1, atol=1e-6)
    assert templates.warp.min() == 0


def real_cells(name: str, count: int) -> list[list[tuple[int, Measurement]]]:
    """Return ``count`` evenly spaced cells of a set of single chromosomes."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is absent; set KARYO_TEST_DATA to the folder of the public evaluation sets")
    with zipfile.ZipFile(path) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("index.csv").decode())))
        names = sorted({row["cell"] for row in rows})
        chosen = names[:: len(names) // count][:count]
        cells: dict[str, list[tuple[int, Measurement]]] = {cell: [] for cell in chosen}
        for row in rows:
            if row["cell"] in cells:
                pixels = cv2.imdecode(np.frombuffer(archive.read(row["file"]), np.uint8), cv2.IMREAD_GRAYSCALE)
                assert pixels is not None
                stain = pixels.astype(np.float32) / 255
                stain = 1 - stain if row["banding"] == "G" else stain
                mask = stain > 0.1
                if mask.sum() > 15:
                    cells[row["cell"]].append((CLASS_NAMES.index(row["class"]) + 1, measure(stain, mask)))
    return list(cells.values())


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "min_accuracy"), [("pki3_gband.zip", 0.65), ("padova_qband.zip", 0.55)])
def test_real_chromosomes_are_classified_without_overconfidence(name: str, min_accuracy: float) -> None:
    correct, scores = [], []
    for cell in real_cells(name, 8):
        contrast = "dark_on_light" if "gband" in name else "light_on_dark"
        assigned = assign([item.log_probabilities for item in classify([m for _, m in cell], contrast)])
        correct += [item.class_id == truth for item, (truth, _) in zip(assigned, cell, strict=True)]
        scores += [item.score for item in assigned]
    assert np.mean(correct) > min_accuracy
    assert np.mean(scores) < np.mean(correct) + 0.05
