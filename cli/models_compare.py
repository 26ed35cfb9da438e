"""``karyo models compare``: two pipeline versions, and how often their results agree."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cli.connections import open_services
from cli.console import out, print_json, print_table
from cli.models_list import describe_difference
from cli.options import AsJson
from db import pipelines
from db.pipeline_comparison import Agreement, agreement, differences
from db.pipelines import label

AnyPipeline = Annotated[str, typer.Argument(help="Alias, name, or the first characters of the digest.")]


def compare(first: AnyPipeline, second: AnyPipeline, as_json: AsJson = False) -> None:
    """Compare two pipelines, and their results of the images that both analysed."""
    with open_services(with_pipeline=True) as services, services.sessions() as session:
        one, other = (pipelines.resolve(session, name, allow_retired=True) for name in (first, second))
        changes = differences(one.document, other.document)
        agreed = agreement(session, one.id, other.id)
    if as_json:
        ends = [{"id": end.id, "name": end.name, "digest": end.digest} for end in (one, other)]
        print_json({"pipelines": ends, "differences": list(map(asdict, changes)), "agreement": asdict(agreed)})
        return
    if changes:
        print_table(None, (f"{label(one)} -> {label(other)}",), ([describe_difference(change)] for change in changes))
    else:
        out.print(f"{label(one)} and {label(other)} do not differ", markup=False, soft_wrap=True)
    print_table(None, ("analysed by both", "agree", "of", "share"), _rows(agreed))


def _rows(agreed: Agreement) -> list[tuple[str, int, int, str | None]]:
    counts = [
        ("images, count of chromosomes", agreed.equal_count, agreed.images),
        ("images, karyotype", agreed.equal_karyotype, agreed.images),
        ("cases, karyotype", agreed.equal_case_karyotype, agreed.cases),
    ]
    return [(what, equal, total, f"{100 * equal / total:.1f} %" if total else None) for what, equal, total in counts]
