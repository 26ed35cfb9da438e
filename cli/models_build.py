"""``karyo models build``: engines of a new GPU host, built before it takes images."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from cli.console import print_json, print_table, progress_bar
from cli.options import AsJson
from models import registry
from models.engine import load_engine
from models.providers import Placement
from settings import EngineChoice, Settings

Device = Annotated[int, typer.Option(min=0, help="Index of the GPU.")]
Cache = Annotated[Path | None, typer.Option(help="Folder of built engines; default: below XDG_CACHE_HOME.")]


def build(
    engine: Annotated[EngineChoice | None, typer.Option(help="Engine to build; default: KARYO_ENGINE.")] = None,
    device: Device = 0,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Build the engine of every network before the workers start.

    An engine of TensorRT takes minutes, the others take no time. Run it once per kind of GPU. Workers that share
    the folder, also read-only, load what was built.
    """
    rows = []
    with progress_bar() as progress:
        task = progress.add_task("building", total=len(registry.available()), note="")
        for name in registry.available():
            progress.update(task, note=name)
            began = time.monotonic()
            placement = Placement(device=device, cache=cache)
            loaded = load_engine(registry.resolve(name).path, engine or Settings().engine, placement)
            seconds = round(time.monotonic() - began, 2)
            rows.append({"network": name, "engine": loaded.kind, "seconds": seconds})
            progress.advance(task)
    if as_json:
        print_json(rows)
    else:
        print_table(None, ("network", "engine", "seconds"), (list(row.values()) for row in rows))
