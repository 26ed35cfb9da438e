"""Centromeres of outlines of known shape and of real chromosomes."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.chromosome.centromere import constriction_profile, locate_centromere
from karyotyping.chromosome.crop import measure_crops, segment_crop
from karyotyping.nomenclature.classes import CLASS_NAMES
from karyotyping.nomenclature.ideogram import centromere_index

DATA = Path(os.environ.get("KARYO_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))


def constriction_of(widths: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the constriction of an evenly stained, round-ended chromosome of widths (L,)."""
    length = len(widths)
    into = np.clip((np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5) / 7, 0, 1)
    rounded = widths * np.sqrt(into * (2 - into))
    inside = np.abs(np.arange(25) - 12) <= rounded[:, None] / 2
    return constriction_profile(inside.astype(np.float32), inside)


@pytest.mark.parametrize("place", [0.25, 0.4, 0.5, 0.75])
def test_centromere_is_at_the_constriction(place: float) -> None:
    share = np.linspace(0, 1, 70)
    assert locate_centromere(constriction_of(15 - 7 * np.exp(-(((share - place) / 0.06) ** 2)))) == pytest.approx(
        place, abs=0.03
    )


@pytest.mark.parametrize("place", [0.16, 0.18, 0.2])
@pytest.mark.parametrize("upside_down", [False, True])
def test_centromere_is_at_the_end_of_a_narrow_short_arm(place: float, upside_down: bool) -> None:
    widths = np.where(np.linspace(0, 1, 50) < place, 9.0, 15.0)
    position = locate_centromere(constriction_of(widths[::-1] if upside_down else widths))
    assert position == pytest.approx(1 - place if upside_down else place, abs=0.04)


@pytest.mark.parametrize("length", [20, 40, 100])
def test_round_ends_have_no_constriction(length: int) -> None:
    assert locate_centromere(constriction_of(np.full(length, 15.0))) is None


@pytest.mark.real_data
def test_real_centromeres_match_the_ideogram() -> None:
    path = DATA / "pki3_gband.zip"
    if not path.exists():
        pytest.skip(f"{path} is absent; set KARYO_TEST_DATA to the folder of the public evaluation sets")
    error: dict[str, list[float]] = {name: [] for name in CLASS_NAMES}
    with zipfile.ZipFile(path) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("index.csv").decode())))
        cells = sorted({row["cell"] for row in rows})
        for cell in cells[:: len(cells) // 6]:
            cell_rows = [row for row in rows if row["cell"] == cell]
            grey = [
                cv2.imdecode(np.frombuffer(archive.read(row["file"]), np.uint8), cv2.IMREAD_GRAYSCALE)
                for row in cell_rows
            ]
            for row, item in zip(
                cell_rows, measure_crops([segment_crop(np.asarray(g, np.uint8)) for g in grey]), strict=True
            ):
                if item.centromere is not None:
                    expected = centromere_index(CLASS_NAMES.index(row["class"]) + 1)
                    error[row["class"]].append(abs(item.centromere - expected))
    assert np.median(np.concatenate(list(error.values()))) < 0.03
    for acrocentric in ("13", "14", "15"):
        assert np.median(error[acrocentric]) < 0.06
