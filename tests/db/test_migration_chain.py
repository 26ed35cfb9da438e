"""The chain of migrations."""

from __future__ import annotations

from pathlib import Path

from alembic.script import ScriptDirectory

import db


def test_the_migrations_form_one_chain() -> None:
    scripts = ScriptDirectory(str(Path(db.__file__).parent / "migrations"))
    assert len(scripts.get_heads()) == 1
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert revisions[::-1] == [f"{number:04d}" for number in range(1, len(revisions) + 1)]
