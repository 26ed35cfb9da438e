"""``karyo models build`` and ``karyo models verify``: what to run on a new GPU host before it takes images."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress

from cli.console import AsJson, err, fail, print_json, print_table, progress_bar
from ingest.sources.folder import image_files
from karyotyping.arrays import Pixels
from karyotyping.engine_validation import compare_engines, record_inputs
from karyotyping.image.decode import ImageRejected, Limits, decode
from models import registry
from models.engine import load_engine
from models.errors import EngineUnavailable
from models.parity import Parity
from models.providers import PROVIDERS, Placement
from models.runtime import ort
from settings import EngineChoice, Settings
from training.simulation import simulate
from training.simulation.appearance import Contrast

Device = Annotated[int, typer.Option(min=0, help="Index of the GPU.")]
Cache = Annotated[Path | None, typer.Option(help="Folder of built engines; default: below XDG_CACHE_HOME.")]

SIMULATED: tuple[tuple[str, Contrast], ...] = (("46,XY", "bright_field"), ("47,XX,+21", "fluorescence"))


def build(
    engine: Annotated[EngineChoice | None, typer.Option(help="Which to make ready; default: KARYO_ENGINE.")] = None,
    device: Device = 0,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Make every network's engine ready, so that no worker has to: TensorRT's take minutes, the others nothing.

    Run it once per kind of GPU. Workers that share the folder, also read-only, load what was built.
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


def verify(
    path: Annotated[
        Path | None, typer.Argument(exists=True, help="An image, or a folder of some; default: simulated metaphases.")
    ] = None,
    *,
    engine: Annotated[
        list[EngineChoice] | None, typer.Option(help="Engine to judge, may be repeated; default: all installed here.")
    ] = None,
    device: Device = 0,
    cache: Cache = None,
    limit: Annotated[int, typer.Option(min=1, help="Images to look at.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Compare what engines compute with the networks as exported, in FP32 on the CPU, on what images show them.

    Leaves with 0 if every output of every network is within its tolerance, with 1 if one is not or an engine does not
    work here.
    """
    offered = [kind for kind, provider in PROVIDERS.items() if provider in ort.get_available_providers()]
    kinds = [choice.value for choice in engine or ()] or offered
    if EngineChoice.AUTO in kinds:
        fail("verify judges one engine at a time: name tensorrt, cuda or cpu, or leave --engine out", code=2)
    with progress_bar() as progress:
        seen = record_inputs(_photos(path, limit, progress))
    if not seen:
        fail(f"no image in {path} shows anything to a network; give metaphases, or none to simulate them")
    found: list[Parity] = []
    broken: dict[str, str] = {}
    for kind in kinds:
        try:
            found += compare_engines(seen, [kind], Placement(device=device, cache=cache))
        except EngineUnavailable as problem:
            broken[kind] = str(problem)
    passed = not broken and all(parity.passed for parity in found)
    if as_json:
        outputs = [{**asdict(parity), "passed": parity.passed} for parity in found]
        print_json({"passed": passed, "outputs": outputs, "unavailable": broken})
    else:
        columns = ("network", "engine", "output", "samples", "deviation", "tolerance", "same answer", "")
        print_table(None, columns, map(_row, found))
        for kind, sentence in broken.items():
            err.print(f"[bold red]{kind}:[/] {escape(sentence)}", soft_wrap=True)
    raise typer.Exit(0 if passed else 1)


def _row(parity: Parity) -> tuple[object, ...]:
    same = None if parity.same_answer is None else f"{parity.same_answer:.2%}"
    numbers = (parity.samples, f"{parity.deviation:.1e}", f"{parity.tolerance:.0e}", same)
    return (parity.network, parity.engine, parity.output, *numbers, "pass" if parity.passed else "FAIL")


def _photos(path: Path | None, limit: int, progress: Progress) -> Iterator[Pixels]:
    settings = Settings()
    limits = Limits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
    files = image_files(path) if path else []
    chosen = files[:: max(1, len(files) // limit)][:limit]
    task = progress.add_task("looking", total=len(chosen) if path else len(SIMULATED), note="")
    for file in chosen:
        progress.update(task, note=file.name)
        try:
            yield decode(file.path.read_bytes(), limits).pixels
        except ImageRejected as problem:
            err.print(f"[yellow]{escape(file.name)}[/]: {problem.reason}: {problem.sentence}", soft_wrap=True)
        progress.advance(task)
    for seed, (karyotype, contrast) in enumerate([] if path else SIMULATED):
        progress.update(task, note=f"simulated {karyotype}")
        yield simulate(karyotype, seed=seed, contrast=contrast, touching=4, overlapping=4).pixels
        progress.advance(task)
