"""The pictures of docs/architecture.md show the imports that the code has."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
PICTURES = ("rooms", "karyotyping", "worker", "training", "db")

Graph = dict[str, set[str]]


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph(*ROOMS, cache_dir=None)


def drawn(name: str) -> Graph:
    """Arrows of the picture that begins with ``%% imports: NAME``."""
    block = re.search(rf"```mermaid\nflowchart TB\n  %% imports: {name}\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None, f"docs/architecture.md has no picture of {name}"
    graph: Graph = {}
    for line in block[1].splitlines():
        if "-->" in line:
            sources, targets = ([word.strip() for word in side.split("&")] for side in line.split("-->"))
            for source in sources:
                graph.setdefault(source, set()).update(targets)
    return graph


def measured(imports: grimp.ImportGraph, name: str) -> Graph:
    """The imports between rooms or children of a room, without those that others imply."""
    names = set(ROOMS) if name == "rooms" else {child.rpartition(".")[2] for child in imports.find_children(name)}
    depth = 0 if name == "rooms" else 1
    graph: Graph = {}
    for importer in imports.modules:
        for imported in imports.find_modules_directly_imported_by(importer):
            pair = [path.split(".") for path in (importer, imported)]
            if any(len(path) <= depth or (depth and path[0] != name) for path in pair):
                continue
            source, target = (path[depth] for path in pair)
            if source != target and {source, target} <= names:
                graph.setdefault(source, set()).add(target)
    return {
        source: {t for t in targets if not any(t in reached(graph, other) for other in targets - {t})}
        for source, targets in graph.items()
    }


def reached(graph: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_the_imports_that_are(imports: grimp.ImportGraph, name: str) -> None:
    expected = measured(imports, name)
    lines = [f"  {source} --> {' & '.join(sorted(targets))}" for source, targets in sorted(expected.items())]
    assert drawn(name) == expected, "the picture should be:\n" + "\n".join(lines)
