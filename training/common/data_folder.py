"""The folder of karyotype reports that trainings read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def data_folder() -> Path:
    """Return the folder that ``KARYO_TEST_DATA`` names, or the current one."""
    return Path(os.environ.get("KARYO_TEST_DATA", "."))


def available_reports(names: Iterable[str]) -> list[Path]:
    """Return the karyotype reports of these file names that are in the data folder."""
    return [data_folder() / name for name in names if (data_folder() / name).is_file()]
