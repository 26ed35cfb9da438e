"""``karyo validate``: a signed backlog through the pipeline, compared with what was signed."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from filelock import FileLock, Timeout
from rich.markup import escape

from cli.console import err, fail, print_json, print_rejection, print_table, progress_bar, warn
from cli.files import fail_without_images
from cli.options import AsJson, ImagesArgument
from cli.pipeline_options import ClassifierOption, SegmenterOption
from ingest.rejections import Rejected
from ingest.sources.base import Item
from ingest.sources.content import PassedOver, describe_passed_over
from ingest.sources.labels import LabelError, read_label
from ingest.sources.location import open_source
from ingest.sources.tables import read_table
from karyotyping.case.cell import CellSummary
from karyotyping.case_summary import summarise
from karyotyping.image.decode import ImageRejected, Limits, decode
from karyotyping.model import AnalysisError
from karyotyping.pipeline import Classifier, Pipeline, Segmenter
from reports.html import render
from reports.kept_cells import KeptCells
from reports.tables import write_csv
from settings import EngineChoice, Settings
from training.evaluation.cases.report import CASE_COLUMNS, CaseReport, Proportion, case_report, risk_curve
from training.evaluation.cases.truth import COLUMNS, CaseTruth, LeftOut, read_truths
from training.evaluation.cases.verdict import JudgedCase, compare_case

KEPT = "images.jsonl"
UNEXPECTED = "unexpected_error"
"""Reason of an image that made the pipeline fail; the command exits with 1, and the next call tries it again."""


@dataclass(slots=True)
class _Case:
    """Images of one case and their results."""

    images: list[Item] = field(default_factory=list)
    cells: dict[str, CellSummary] = field(default_factory=dict)
    """By name of the image."""

    @property
    def tissue(self) -> str | None:
        """Label of the first image that has one."""
        return next((item.labels.tissue for item in self.images if item.labels.tissue), None)


def validate(
    path: ImagesArgument,
    truth: Annotated[
        Path,
        typer.Option(exists=True, dir_okay=False, help="Table (CSV or XLSX) with the columns case, iscn[, outcome]."),
    ],
    *,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the results.")] = Path("karyo-validation"),
    as_json: AsJson = False,
    classifier: ClassifierOption = Classifier.EMBEDDING,
    segmenter: SegmenterOption = Segmenter.NETWORK,
    engine: Annotated[EngineChoice | None, typer.Option(help="Engine of the networks; default: KARYO_ENGINE.")] = None,
) -> None:
    """Karyotype a signed backlog on this machine, and compare every case with what was signed.

    Each sub-folder is a case, unless a manifest names it. An interrupted validation resumes when it is called again.
    Exits with 0 if a case was judged and no image made the pipeline fail.
    """
    truths, left_out = _read_truth(truth)
    settings = Settings()
    cases, passed_over, rejected = _collect(path, settings)
    if not cases and not rejected:
        fail_without_images(path, passed_over)
    usable = {name: case for name, case in cases.items() if name in truths}
    left_out += _left_out(truths, cases, {one.case for one in left_out})
    if not usable:
        fail(f"no case has both images and a readable truth: {left_out[0].case}: {left_out[0].why}")
    pipeline = Pipeline.default(engine or settings.engine, classifier, segmenter)
    with _claim(out):
        rejected += _analyse(usable, pipeline, settings, KeptCells(out / KEPT))
        judged = [_judge(truths[name], case) for name, case in usable.items()]
        report = case_report(judged, left_out)
        document = {
            "pipeline": {"digest": pipeline.digest, **pipeline.document},
            **report,
            "not_analysed": [item._asdict() for item in rejected],
            "passed_over": dict(passed_over),
        }
        _write(out, document, report, judged)
    if as_json:
        print_json(document)
    else:
        _print_figures(report)
    for one in left_out:
        warn(f"{one.case} is left out: {one.why}")
    counts = f"{len(judged)} cases judged, {len(left_out)} left out, {len(rejected)} images without a result"
    err.print(escape("; ".join(filter(None, (counts, describe_passed_over(passed_over))))), soft_wrap=True)
    err.print(f"report: [bold]{escape(str((out / 'validation.html').resolve()))}[/]", soft_wrap=True)
    raise typer.Exit(int(any(item.reason == UNEXPECTED for item in rejected)))


def _read_truth(file: Path) -> tuple[dict[str, CaseTruth], list[LeftOut]]:
    """Return the truth of every readable case, and the unreadable ones."""
    table = read_table(file, file.read_bytes(), COLUMNS)
    if "case" not in table.columns or not {"iscn", "karyotype", "outcome"} & set(table.columns):
        fail(f"the truth {file} needs the column case, and iscn or outcome", 2)
    for note in table.notes:
        warn(note)
    rows: list[Mapping[str, str]] = []
    unreadable: list[LeftOut] = []
    for row in table.rows:
        try:
            rows.append({**row.values, "case": read_label("case", row.values["case"])})
        except LabelError as problem:
            unreadable.append(LeftOut(f"line {row.line}", str(problem)))
            continue
        if row.problem is not None:
            unreadable.append(LeftOut(rows.pop()["case"], f"Line {row.line} has a cell that cannot be read."))
    spoilt = {one.case for one in unreadable}
    truths, left_out = read_truths(row for row in rows if row["case"] not in spoilt)
    return truths, [*unreadable, *left_out]


def _collect(location: str, settings: Settings) -> tuple[dict[str, _Case], Counter[str], list[Rejected]]:
    """Return the images by case, the kinds of other files, and the rejected files."""
    cases: dict[str, _Case] = {}
    passed_over: Counter[str] = Counter()
    rejected: list[Rejected] = []
    with open_source(location, endpoint_url=settings.s3_endpoint_url) as source:
        for answer in source.items():
            if isinstance(answer, PassedOver):
                passed_over[answer.kind] += 1
            elif isinstance(answer, Rejected):
                rejected.append(answer)
            else:
                cases.setdefault(answer.labels.case, _Case()).images.append(answer)
    return cases, passed_over, rejected


def _left_out(truths: Mapping[str, CaseTruth], cases: Mapping[str, _Case], named: set[str]) -> list[LeftOut]:
    """Return the cases without a truth and those without images, that are not ``named`` already."""
    without_truth = [
        LeftOut(name, f"Its {len(case.images)} images have no row in the truth.")
        for name, case in cases.items()
        if name not in truths and name not in named
    ]
    return [*without_truth, *(LeftOut(name, "It has no images.") for name in truths if name not in cases)]


@contextmanager
def _claim(out: Path) -> Iterator[None]:
    """Create the folder of results, and keep other validations out until the end.

    Exits with 1 if the folder holds files of somebody else, or is in use.
    """
    if out.exists() and any(out.iterdir()) and not (out / KEPT).exists():
        fail(f"{out} holds files that are no validation; choose another --out, or empty it")
    out.mkdir(parents=True, exist_ok=True)
    (out / KEPT).touch()
    lock = FileLock(out / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        fail(f"another validation writes to {out}; choose another --out")
    try:
        yield
    finally:
        lock.release()


def _analyse(cases: Mapping[str, _Case], pipeline: Pipeline, settings: Settings, kept: KeptCells) -> list[Rejected]:
    """Analyse the images of all cases, and return those without a result."""
    limits = Limits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
    rejected: list[Rejected] = []
    with progress_bar() as progress:
        task = progress.add_task("analysing", total=sum(len(case.images) for case in cases.values()), note="")
        for case in cases.values():
            for number, item in enumerate(case.images):
                result = _result(item, pipeline, limits, kept)
                if isinstance(result, Rejected):
                    print_rejection(*result)
                    rejected.append(result)
                else:
                    labels = item.labels
                    case.cells[item.name] = replace(
                        result, analysis_id=number, culture=labels.culture, colony=labels.colony
                    )
                progress.update(task, advance=1, note=item.name)
    return rejected


def _result(item: Item, pipeline: Pipeline, limits: Limits, kept: KeptCells) -> CellSummary | Rejected:
    """Return the kept or new result of one image; no error ends the others'."""
    try:
        data = item.read(limits.max_bytes)
        if isinstance(data, Rejected):
            return data
        key = f"{pipeline.digest}:{hashlib.sha256(data).hexdigest()}"
        if (known := kept.get(key, item.name)) is not None:
            return known
        try:
            result: CellSummary | Rejected = CellSummary.of(0, pipeline.analyse(decode(data, limits).pixels))
        except (ImageRejected, AnalysisError) as problem:
            result = Rejected(item.name, problem.reason, problem.sentence)
        kept.add(key, result)
        return result
    except Exception as error:
        return Rejected(item.name, UNEXPECTED, f"{type(error).__name__}: {error}; please report it with the image.")


def _judge(truth: CaseTruth, case: _Case) -> JudgedCase:
    summary = summarise(case.cells.values(), tissue=case.tissue)
    return compare_case(truth, case.cells, summary.judgement, images=len(case.images), specimen=summary.specimen)


def _write(out: Path, document: Mapping[str, Any], report: CaseReport, judged: Sequence[JudgedCase]) -> None:
    """Write the table, the document and the page."""
    write_csv(out / "validation.csv", CASE_COLUMNS, report["cases"])
    (out / "validation.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    page = render("validation.html", report=document, figure=_draw(judged), can_draw=_can_draw())
    (out / "validation.html").write_text(page, encoding="utf-8")


def _draw(judged: Sequence[JudgedCase]) -> str | None:
    """Return the risk-coverage curve as a base64 PNG; None without matplotlib or a called case."""
    curve = risk_curve(judged)
    if not _can_draw() or not len(curve.score):
        return None
    from training.evaluation.cases.plots import risk_png  # noqa: PLC0415 - matplotlib is an extra

    return base64.b64encode(risk_png(curve)).decode()


def _can_draw() -> bool:
    return find_spec("matplotlib") is not None


def _print_figures(report: CaseReport) -> None:
    def percent(value: float | None) -> str | None:
        return None if value is None else f"{100 * value:.1f} %"

    rows: Iterable[tuple[Any, ...]] = (
        (
            name.replace("_", " ").replace("iscn", "ISCN"),
            f"{one['count']} of {one['of']}",
            *map(percent, (one["share"], one["low"], one["high"])),
        )
        for name, one in cast("Mapping[str, Proportion]", report["figures"]).items()
    )
    print_table("95 % intervals after Wilson", ("figure", "cases", "share", "from", "to"), rows)
