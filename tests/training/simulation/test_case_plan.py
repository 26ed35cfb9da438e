"""Mosaics and mixes of qualities: exact shares, order by the seed, truth of each image."""

from __future__ import annotations

import csv
import zlib
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli.main import app
from karyotyping.nomenclature.iscn import format_iscn, parse_iscn
from training.simulation import simulate, write_dataset
from training.simulation.case_plan import QUALITIES, apportion, parse_mix, plan_case

MOSAIC = "mos 47,XX,+8[12]/46,XX[8]"


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(1, 300))
def test_apportioned_cells_are_within_one_of_their_share(shares: list[int], total: int) -> None:
    numbers = apportion(shares, total)
    assert sum(numbers) == total
    assert all(abs(n - share * total / sum(shares)) < 1 for n, share in zip(numbers, shares, strict=True))


def test_a_mosaic_has_its_shares_in_an_order_of_the_seed() -> None:
    mix = {"good": 60.0, "crowded": 30.0, "poor": 10.0}
    plans = [plan_case("A", MOSAIC, 200, seed=seed, mix=mix) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]
    for plan in plans:
        assert plan.karyotype == "mos 47,XX,+8[120]/46,XX[80]"
        assert Counter(format_iscn(cell.copies) for cell in plan.cells) == {"47,XX,+8": 120, "46,XX": 80}
        assert Counter(cell.quality for cell in plan.cells) == {"good": 120, "crowded": 60, "poor": 20}
    both = Counter((format_iscn(cell.copies), cell.quality) for cell in plans[0].cells)
    assert len(both) == 6  # quality does not follow the cell line


def test_the_truth_keeps_the_karyotype_of_each_image(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["simulate", str(tmp_path), "--karyotype", MOSAIC, "--cells", "5", "--quality", "good=1,poor=1,burst=1"]
    )
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader((tmp_path / "truth.csv").read_text().splitlines()))
    assert {row["karyotype"] for row in rows} == {"mos 47,XX,+8[3]/46,XX[2]"}
    assert Counter(row["quality"] for row in rows) == {"good": 2, "poor": 2, "burst": 1}
    assert [row["path"] for row in rows] == [f"SIM-001/SIM-001_{n:03d}.png" for n in range(1, 6)]
    low, high = QUALITIES["burst"].lost
    for row in rows:
        count = sum(parse_iscn(row["image_karyotype"]).values())
        if row["quality"] == "burst":
            assert 46 - high <= count <= 47 - low
        else:
            assert row["image_karyotype"] in ("47,XX,+8", "46,XX")


def test_one_karyotype_draws_what_it_drew_before_mixes(tmp_path: Path) -> None:
    written = write_dataset(tmp_path, {"A-1": "47,XY,+21"}, 2, seed=4, touching=(2, 4), overlapping=(0, 2))
    assert written.truth.read_text() == 'case,karyotype,cells,contrast\nA-1,"47,XY,+21",2,bright_field\n'
    for number, name in enumerate(written.images):
        entropy = (4, zlib.crc32(b"A-1"), number)
        rng = np.random.default_rng(entropy)
        touching, overlapping, nuclei, debris = (int(rng.integers(*ends)) for ends in ((2, 5), (0, 3), (0, 4), (0, 16)))
        drawn = simulate(
            "47,XY,+21", seed=entropy, touching=touching, overlapping=overlapping, nuclei=nuclei, debris=debris
        )
        np.testing.assert_array_equal(cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED), drawn.pixels)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--karyotype", "mos 47,XX,+8[12]/46,XX[9", "--cells", "9"], "is not a whole chromosome|sex complement"),
        (["--karyotype", "47,XX,+8[2]/48,idem,+99[1]"], "'+99' in '48,idem,+99'"),
        (["--karyotype", "47,XX,+8[0]/46,XX[2]"], "a cell line of no cells"),
        (["--karyotype", "47,XX,+8[1]/46,XX[99]", "--cells", "3"], "3 cells are too few"),
        (["--quality", "good=60,superb=40"], "'superb=40' in the mix"),
        (["--quality", "good=0"], "qualities are: good, crowded, poor, burst"),
        (["--quality", "good=1,good=2"], "each named once"),
    ],
)
def test_a_malformed_argument_is_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    done = CliRunner().invoke(app, ["simulate", str(tmp_path / "out"), *arguments])
    assert done.exit_code == 1
    assert any(part in done.stderr for part in sentence.split("|"))
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_mix_is_read_with_blanks() -> None:
    assert parse_mix(" good = 60, burst=5 ") == {"good": 60, "burst": 5}


def test_the_presets_are_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "validate.md").read_text(encoding="utf-8")

    def number(ends: tuple[int, int]) -> str:
        return "0" if ends == (0, 0) else f"{ends[0]} to {ends[1]}"

    for name, one in QUALITIES.items():
        ranges = map(number, (one.touching, one.overlapping, one.debris, one.nuclei, one.lost))
        blur = {1.0: "usual", 2.0: "twice the usual"}[one.blur]
        assert f"| `{name}` | {' | '.join(ranges)} | {blur} |" in page
