"""``karyo campaign diff``: which cases change between two pipelines or campaigns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.connections import open_services
from cli.console import err, fail, print_json, print_table
from cli.files import check_output_files
from cli.options import AsJson
from db.pipelines import UnknownPipeline
from db.result_pairs import find_side
from reports.pipeline_diff import PipelineDiff, compare_sides, describe, render_html, signed_rows, to_document, to_rows
from reports.tables import write_parquet

SideArgument = Annotated[
    str,
    typer.Argument(help="A campaign's number or name, or a pipeline's alias, name or first characters of its digest."),
]


def diff(
    before: SideArgument,
    after: SideArgument,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a self-contained page too.")] = None,
    parquet: Annotated[Path | None, typer.Option(metavar="FILE", help="Write one row per case too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show which cases change between two pipelines or campaigns, by clinical consequence.

    A campaign means its pipeline and limits the comparison to the cases of its images.
    """
    check_output_files(html, parquet)
    with open_services(with_pipeline=True) as services, services.sessions() as session:
        try:
            sides = find_side(session, before), find_side(session, after)
        except UnknownPipeline as problem:
            fail(str(problem), code=2)
        compared = compare_sides(session, *sides, services.settings.promotion_contradictions)
    if html:
        html.write_text(render_html(compared), encoding="utf-8")
    if parquet:
        write_parquet(parquet, to_rows(compared))
    if as_json:
        print_json(to_document(compared))
    else:
        _print(compared)


def _print(compared: PipelineDiff) -> None:
    coverage = compared.coverage
    err.print(f"before: {compared.before.label}\nafter: {compared.after.label}", markup=False, soft_wrap=True)
    err.print(
        f"{coverage.both} cases have a result of both, {coverage.only_before} only the first, "
        f"{coverage.only_after} only the second"
    )
    print_table(None, ("consequence", "cases"), [(kind.value, count) for kind, count in compared.counts.items()])
    if compared.changed:
        rows = [
            (
                change.consequence.value,
                change.case,
                describe(change.before),
                describe(change.after),
                change.signed or "-",
            )
            for change in compared.changed
        ]
        print_table("Cases that change", ("consequence", "case", "before", "after", "signed"), rows)
    columns = ("metric", "images", "before", "after", "lower", "higher")
    print_table(
        "Images that both analysed, means",
        columns,
        [(m.metric, m.images, m.before, m.after, m.lower, m.higher) for m in compared.metrics],
    )
    if compared.signed_after.signed:
        print_table(None, ("signed cases", "before", "after"), signed_rows(compared))
    if compared.objection:
        err.print(f"promotion is refused without --because: it {compared.objection}", markup=False, soft_wrap=True)
