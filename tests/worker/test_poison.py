"""An image that takes its process with it, by a segmentation fault or for want of memory, is found; its neighbours end
done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Laboratory

pytestmark = pytest.mark.stack

GROUPS = Path("/sys/fs/cgroup")
ENOUGH = 32 * 2**20
"""Bytes that the group may have: an eighth of what the image asks for."""


@pytest.fixture
def control_group() -> Iterator[Path]:
    """A control group of little memory, of the kernel's first kind or its second."""
    own = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    first = "memory" in own
    parent = GROUPS / "memory" / own["memory"].strip("/") if first else GROUPS / own.get("", "").strip("/")
    group = parent / f"karyo-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as problem:
        pytest.skip(f"no control group may be made here: {problem}")
    try:
        limits = {"memory.limit_in_bytes": ENOUGH} if first else {"memory.max": ENOUGH, "memory.swap.max": 0}
        for name, value in limits.items():
            try:
                (group / name).write_text(str(value))
            except OSError as problem:
                pytest.skip(f"memory is not limited by control groups here: {problem}")
        yield group
    finally:
        group.rmdir()


def poisoned(laboratory: Laboratory, deed: str, **environment: str) -> tuple[str, str]:
    """Why the image that did ``deed`` was quarantined, by reason and sentence; everything around it ended done."""
    laboratory.settings = laboratory.settings.model_copy(update={"max_attempts": 1})
    pipeline = laboratory.pipeline(deed=deed)
    laboratory.add(pipeline, 2)
    laboratory.add(pipeline, 1, prefix="poison", value=9)
    laboratory.add(pipeline, 3, prefix="after")
    laboratory.worker(KARYO_MAX_ATTEMPTS="1", **environment)
    laboratory.scheduler()
    laboratory.wait(laboratory.summarised)
    states = laboratory.states()
    assert states.pop("poison0.png") == "quarantined"
    assert set(states.values()) == {"done"}
    assert {one.attempts for one in laboratory.analyses()} == {1}
    laboratory.assert_each_once()
    ((reason, sentence),) = [(one.reason, one.error) for one in laboratory.analyses() if one.reason]
    return str(reason), str(sentence)


def test_a_segmentation_fault(laboratory: Laboratory) -> None:
    assert poisoned(laboratory, "segfault")[0] == "worker_lost"
    assert "signal 11" in laboratory.log()


def test_more_memory_than_a_process_may_have(laboratory: Laboratory) -> None:
    reason, sentence = poisoned(laboratory, "hit the limit")
    assert reason == "unexpected_error"
    assert "MemoryError" in sentence


def test_the_kernels_out_of_memory_killer(laboratory: Laboratory, control_group: Path) -> None:
    assert poisoned(laboratory, "be killed by the kernel", CONTROL_GROUP=str(control_group))[0] == "worker_lost"
    assert "signal 9" in laboratory.log()
