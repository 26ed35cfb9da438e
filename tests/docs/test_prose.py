"""What a machine can check of how we write (CONTRIBUTING.md)."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_FIRST_LINE = 90  # characters of a docstring's first line
UNPLAIN = re.compile(r"\b(told|tells|lies|stands|beside|in hand|anew|stubborn|photographs?)\b", re.IGNORECASE)
"""Words of tales. Code detects, predicts, reports and holds; the images are metaphase images."""
OLD_TEXTS = ("CHANGELOG.md", "docs/experiments/")
NAMES = re.compile(
    r"""--photographs|photographs\.toml|"photographs"|told\.jsonl|"told"|config\.told|told: Number|^told ="""
)
"""Options, files and keys that stay for those who use them."""


def tracked(*patterns: str) -> list[Path]:
    done = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("no git checkout")
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).exists()]


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of the docstrings of a module, its classes and functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


def test_the_first_line_of_a_docstring_is_short() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in tracked("*.py")
        for line, text in docstrings(path)
        if len(text.splitlines()[0]) > MAX_FIRST_LINE
    ]
    assert long == []


def test_words_are_plain() -> None:
    unplain = [
        f"{path.relative_to(ROOT)}:{number}: {word[0]}"
        for path in tracked("*.py", "*.md", "*.toml", "*.html")
        if not str(path.relative_to(ROOT)).startswith(OLD_TEXTS) and path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for word in UNPLAIN.finditer(NAMES.sub("", line))
    ]
    assert unplain == []
