"""``karyo models verify``: engines compared with the exported networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress

from cli.console import err, fail, print_json, print_rejection, print_table, progress_bar
from cli.models_build import Cache, Device
from cli.options import AsJson
from ingest.sources.folder import image_files
from karyotyping.arrays import Pixels
from karyotyping.engine_validation import compare_engines, record_inputs
from karyotyping.image.decode import ImageRejected, Limits, decode
from models.errors import EngineUnavailable
from models.parity import Parity
from models.providers import PROVIDERS, Placement
from models.runtime import ort
from settings import EngineChoice, Settings
from training.simulation import simulate
from training.simulation.appearance import Contrast

SIMULATED: tuple[tuple[str, Contrast], ...] = (("46,XY", "bright_field"), ("47,XX,+21", "fluorescence"))
"""Karyotype and contrast of each simulated metaphase; its index is the seed."""


def verify(
    path: Annotated[
        Path | None, typer.Argument(exists=True, help="An image, or a folder of some; default: simulated metaphases.")
    ] = None,
    *,
    engine: Annotated[
        list[EngineChoice] | None, typer.Option(help="Engine to verify, may be repeated; default: all installed here.")
    ] = None,
    device: Device = 0,
    cache: Cache = None,
    limit: Annotated[int, typer.Option(min=1, help="Most images to use.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Compare engines with the exported networks on inputs taken from images.

    The exported networks run in FP32 on the CPU. Exits with 0 if every output of every network is within its
    tolerance, with 1 if one is not or an engine does not work here.
    """
    installed = [kind for kind, provider in PROVIDERS.items() if provider in ort.get_available_providers()]
    kinds = [choice.value for choice in engine or ()] or installed
    if EngineChoice.AUTO in kinds:
        fail("verify compares one engine at a time: name tensorrt, cuda or cpu, or leave --engine out", code=2)
    with progress_bar() as progress:
        inputs = record_inputs(_images(path, limit, progress))
    if not inputs:
        fail(f"no image in {path} has an input for a network; give metaphases, or none to simulate them")
    parities: list[Parity] = []
    unavailable: dict[str, str] = {}
    for kind in kinds:
        try:
            parities += compare_engines(inputs, [kind], Placement(device=device, cache=cache))
        except EngineUnavailable as problem:
            unavailable[kind] = str(problem)
    passed = not unavailable and all(parity.passed for parity in parities)
    if as_json:
        outputs = [{**asdict(parity), "passed": parity.passed} for parity in parities]
        print_json({"passed": passed, "outputs": outputs, "unavailable": unavailable})
    else:
        columns = ("network", "engine", "output", "samples", "deviation", "tolerance", "same answer", "")
        print_table(None, columns, map(_row, parities))
        for kind, sentence in unavailable.items():
            err.print(f"[bold red]{kind}:[/] {escape(sentence)}", soft_wrap=True)
    raise typer.Exit(0 if passed else 1)


def _row(parity: Parity) -> tuple[object, ...]:
    same = None if parity.same_answer is None else f"{parity.same_answer:.2%}"
    numbers = (parity.samples, f"{parity.deviation:.1e}", f"{parity.tolerance:.0e}", same)
    return (parity.network, parity.engine, parity.output, *numbers, "pass" if parity.passed else "FAIL")


def _images(path: Path | None, limit: int, progress: Progress) -> Iterator[Pixels]:
    """Yield about ``limit`` images, spread over the folder; simulated ones without a path."""
    settings = Settings()
    limits = Limits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
    files = image_files(path) if path else []
    chosen = files[:: max(1, len(files) // limit)][:limit]
    task = progress.add_task("analysing", total=len(chosen) if path else len(SIMULATED), note="")
    for file in chosen:
        progress.update(task, note=file.name)
        try:
            yield decode(file.path.read_bytes(), limits).pixels
        except ImageRejected as problem:
            print_rejection(file.name, problem.reason, problem.sentence)
        progress.advance(task)
    for seed, (karyotype, contrast) in enumerate([] if path else SIMULATED):
        progress.update(task, note=f"simulated {karyotype}")
        yield simulate(karyotype, seed=seed, contrast=contrast, touching=4, overlapping=4).pixels
        progress.advance(task)
