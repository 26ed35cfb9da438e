"""``karyo analyse`` of a file with several channels and planes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from cli.main import app
from tests.support.image_files import encode, tiff
from training.simulation import simulate

run = CliRunner().invoke


def analysed(image: Path, *options: str) -> dict[str, str]:
    """Return the row of the only image, without the name of its file."""
    cells = image.parent / "cells.csv"
    done = run(app, ["analyse", str(image), "--cells", str(cells), *options])
    assert done.exit_code == 0, done.output
    with cells.open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    return {name: value for name, value in row.items() if name != "file_name"}


def test_analyse_takes_the_chosen_channel_and_plane(tmp_path: Path) -> None:
    cell = simulate("46,XY", seed=5, nuclei=0, debris=0).pixels
    (tmp_path / "plain.png").write_bytes(encode(cell, "PNG"))
    planes = np.zeros((2, 2, *cell.shape), cell.dtype)  # focus, channel
    planes[1, 1] = cell
    names = {"axes": "ZCYX", "Channel": {"Name": ["TRITC", "DAPI"]}}
    (tmp_path / "stack.ome.tif").write_bytes(tiff(planes, ome=True, photometric="minisblack", metadata=names))

    assert analysed(tmp_path / "stack.ome.tif")["rejected"] == "ambiguous_channel"
    chosen = analysed(tmp_path / "stack.ome.tif", "--channel", "dapi", "--plane", "1")
    assert chosen == analysed(tmp_path / "plain.png")
    assert chosen["iscn"]
