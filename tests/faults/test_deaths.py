"""A worker dies at every step of an image, and nothing is lost or repeated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.laboratory import Laboratory

pytestmark = pytest.mark.stack

STEPS = ("leased", "fetched", "begun", "decoded", "analysed", "drawn", "stored", "finishing", "finished", "summarised")


@pytest.fixture(scope="module")
def deaths(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in which a file triggers one death at the step that it is named after."""
    return tmp_path_factory.mktemp("deaths")


@pytest.fixture(scope="module")
def mortal(standing_laboratory: Laboratory, deaths: Path) -> Laboratory:
    """Laboratory whose worker dies when a file says so."""
    standing_laboratory.worker(KARYO_FAILPOINTS=str(deaths))
    standing_laboratory.scheduler()
    return standing_laboratory


@pytest.mark.parametrize("step", STEPS)
def test_death_at_any_step_loses_nothing_and_repeats_nothing(mortal: Laboratory, deaths: Path, step: str) -> None:
    (deaths / step).touch()
    mortal.add(mortal.pipeline(), 5, prefix=step, accession=step)
    mortal.wait(mortal.summarised)
    assert not (deaths / step).exists()
    assert set(mortal.states().values()) == {"done"}
    # A death is no image's fault while other images are in the process; each is then analysed alone.
    assert {analysis.attempts for analysis in mortal.analyses()} == {1}
    mortal.assert_each_once()


def test_clocks_that_differ_by_hours_change_nothing(laboratory: Laboratory) -> None:
    laboratory.add(laboratory.pipeline(seconds=0.2), 16)
    ahead = laboratory.worker(CLOCK_SKEW_SECONDS="7200")
    laboratory.worker(CLOCK_SKEW_SECONDS="-7200")
    laboratory.scheduler()
    laboratory.wait(lambda: len({one.worker for one in laboratory.analyses() if one.worker}) == 2)
    ahead.kill()  # its images are pending again when its leases expire, and not before
    laboratory.wait(laboratory.summarised)
    assert set(laboratory.states().values()) == {"done"}
    assert {analysis.attempts for analysis in laboratory.analyses()} == {1}
    assert "lease.lost" not in laboratory.log()
    laboratory.assert_each_once()
