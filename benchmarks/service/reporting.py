"""Measure every report on a database of many analyses.

    python -m benchmarks.service.reporting [--analyses 100000] [--chromosomes 46] [--rounds 3] [--json FILE]

PostgreSQL generates the rows (``report_filling.py``): cases of 50 images over a year, two pipelines, corrections,
signatures, failures and a backlog. Prints a Markdown table of the seconds of each report, warm, with the transfer of
its rows, and the sequential scans of large tables that its plan has. ``case_status`` and ``image_quality`` are limited
to the last 30 days, as a person would. Further tables have the seconds of a campaign's dry run by filter, those of each
refresh, and the bytes of the largest tables per million images.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks.figures import add_output_options, log_progress, machine, print_header, print_row, write_json
from benchmarks.service.report_filling import fill
from db import campaigns, reporting
from db.engine import SessionFactory, make_engine, make_sessions
from db.report_refresh import refresh_reports
from db.reporting import Period
from embedded import EmbeddedStack
from reports.catalogue import PRESENTATIONS, Presentation

LONGEST = 2.0  # s, of a report
LARGE = 50_000  # rows of a table whose sequential scans are listed
LAST_DAYS = 30  # of the reports with a row per case and image
LAST_DAYS_ONLY = ("case_status", "image_quality")
LARGEST_TABLES = 8
NEW_PIPELINE = 2  # id; it has analysed a tenth of the cases
FILTERS = ("", "tissue=blood and quality<0.8", "signed=yes", 'iscn="47,XX,+21" or outcome=suspected', "flag=crowded")

_SIZES = text(
    """
    SELECT n.nspname || '.' || coalesce(parent.relname, c.relname) AS name,
           sum(pg_relation_size(c.oid) + coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0))::bigint,
           sum(pg_indexes_size(c.oid))::bigint
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname IN ('karyo', 'reporting')
    LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
    LEFT JOIN pg_class parent ON parent.oid = i.inhparent
    WHERE c.relkind IN ('r', 'm')
    GROUP BY 1 ORDER BY sum(pg_total_relation_size(c.oid)) DESC
    """
)


def main() -> None:
    """Fill a database, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--analyses", type=int, default=100_000)
    parser.add_argument("--chromosomes", type=int, default=46, help="of an image; fewer fill faster")
    parser.add_argument("--rounds", type=int, default=3)
    add_output_options(parser)
    options = parser.parse_args()
    print(f"{machine()}; {options.analyses} analyses, {options.chromosomes} chromosomes each")
    with tempfile.TemporaryDirectory(prefix="karyo-bench-") as home:
        stack = EmbeddedStack(Path(home), workers=0, scheduler=False)
        with stack:
            url = str(stack.settings.database_url)
            engine = make_engine(url, pool_size=1, statement_timeout_seconds=1800)
            sessions = make_sessions(engine)
            fill(engine, options.analyses, options.chromosomes)
            log_progress("refreshing")
            refreshes = {name: round(seconds, 2) for name, seconds in refresh_reports(sessions)}
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("ANALYZE"))
            reports = measure_reports(sessions, options.rounds)
            dry_runs = measure_dry_runs(sessions)
            sizes = measure_sizes(sessions, options.analyses)
            engine.dispose()
    print_header("materialised view", "refresh, s")
    for name, seconds in refreshes.items():
        print_row(name, seconds)
    print_header("table", "GB per million images", "of it indexes")
    for name, (total, indexes) in sizes.items():
        print_row(name, f"{total / 1e9:.2f}", f"{indexes / 1e9:.2f}")
    print(f"\nTotal: {sum(total for total, _ in sizes.values()) / 1e9:.1f} GB per million images")
    slow = [name for name, found in reports.items() if found["seconds"] >= LONGEST]
    print(f"Reports that take {LONGEST:g} s or more: {', '.join(slow) or 'none'}")
    measured = {
        "analyses": options.analyses,
        "chromosomes": options.chromosomes,
        "reports": reports,
        "dry_runs": dry_runs,
        "refreshes": refreshes,
        "bytes": sizes,
    }
    write_json(options.json, measured)


def measure_reports(sessions: SessionFactory, rounds: int) -> dict[str, dict[str, Any]]:
    """Return rows, median seconds and sequential scans of each report, and print them."""
    print_header("report", "rows", "warm, s", "sequential scans of large tables")
    measured = {}
    with sessions() as session:
        large = find_large_tables(session)
        for report in reporting.list_reports(session):
            scans = sorted(set(find_scans(explain(session, report.name))) & large)
            seconds, rows = [], 0
            for _ in range(1 + rounds):
                began = time.perf_counter()
                rows = len(fetch(session, report.name))
                seconds.append(time.perf_counter() - began)
            found = {"rows": rows, "seconds": round(statistics.median(seconds[1:]), 3), "scans": scans}
            print_row(report.name, rows, found["seconds"], ", ".join(scans) or "none")
            measured[report.name] = found
    return measured


def measure_dry_runs(sessions: SessionFactory) -> dict[str, float]:
    """Return seconds of a campaign's dry run by filter, the second of two, and print them."""
    print_header("filter of a campaign", "images", "dry run, s")
    measured = {}
    with sessions() as session:
        for where in FILTERS:
            for _ in range(2):
                began = time.perf_counter()
                found = campaigns.estimate(session, NEW_PIPELINE, {"where": [where]} if where else {})
                measured[where] = round(time.perf_counter() - began, 3)
            print_row(where or "every image", found.images, measured[where])
    return measured


def find_period(name: str) -> Period | None:
    """Return the last days for a report with a row per case or image."""
    period = PRESENTATIONS[name].period if name in LAST_DAYS_ONLY else None
    return replace(period, first=(datetime.now(UTC) - timedelta(days=LAST_DAYS)).date()) if period else None


def fetch(session: Session, name: str) -> Any:
    """Return the rows of a report as ``karyo report`` reads them."""
    shown = PRESENTATIONS.get(name, Presentation(name))
    return reporting.fetch(session, name, period=find_period(name), order=shown.order)[1]


def explain(session: Session, name: str) -> Any:
    """Return the plan of a report."""
    period = find_period(name)
    where = f" WHERE {period.column} >= '{period.first}'" if period else ""
    return session.scalar(text(f"EXPLAIN (FORMAT JSON) SELECT * FROM reporting.{name}{where}"))


def find_scans(plan: Any) -> Iterator[str]:
    """Yield the tables that a plan reads from end to end."""
    if isinstance(plan, list):
        for part in plan:
            yield from find_scans(part)
    elif isinstance(plan, Mapping):
        if plan.get("Node Type") == "Seq Scan":
            yield str(plan["Relation Name"])
        for part in plan.values():
            yield from find_scans(part)


def find_large_tables(session: Session) -> set[str]:
    """Return the names of tables and materialised views with many rows."""
    query = text("SELECT relname FROM pg_class WHERE relkind IN ('r', 'm') AND reltuples > :rows")
    return set(session.scalars(query, {"rows": LARGE}))


def measure_sizes(sessions: SessionFactory, analyses: int) -> dict[str, tuple[float, float]]:
    """Return bytes per million images of the largest tables: with indexes, and of the indexes."""
    with sessions() as session:
        rows = session.execute(_SIZES).all()
    scale = 1e6 / analyses
    return {name: ((heap + indexes) * scale, indexes * scale) for name, heap, indexes in rows[:LARGEST_TABLES]}


if __name__ == "__main__":
    main()
