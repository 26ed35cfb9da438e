"""An image that kills its process is quarantined, and the others end done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.laboratory import Laboratory

pytestmark = pytest.mark.stack

GROUPS = Path("/sys/fs/cgroup")
GROUP_BYTES = 32 * 2**20  # an eighth of what the image allocates


@pytest.fixture
def control_group() -> Iterator[Path]:
    """Control group of little memory, of the kernel's version 1 or 2."""
    own = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    is_version_1 = "memory" in own
    parent = GROUPS / "memory" / own["memory"].strip("/") if is_version_1 else GROUPS / own.get("", "").strip("/")
    group = parent / f"karyo-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as problem:
        pytest.skip(f"no control group may be made here: {problem}")
    try:
        limits = (
            {"memory.limit_in_bytes": GROUP_BYTES}
            if is_version_1
            else {"memory.max": GROUP_BYTES, "memory.swap.max": 0}
        )
        for name, value in limits.items():
            try:
                (group / name).write_text(str(value))
            except OSError as problem:
                pytest.skip(f"memory is not limited by control groups here: {problem}")
        yield group
    finally:
        group.rmdir()


def analyse_with_fault(laboratory: Laboratory, fault: str, **environment: str) -> tuple[str, str]:
    """Return reason and sentence of the quarantined image; assert that the others ended done."""
    laboratory.settings = laboratory.settings.model_copy(update={"max_attempts": 1})
    pipeline = laboratory.pipeline(fault=fault)
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


def test_a_segmentation_fault_quarantines_its_image(laboratory: Laboratory) -> None:
    assert analyse_with_fault(laboratory, "segfault")[0] == "worker_lost"
    assert "signal 11" in laboratory.log()


def test_a_memory_error_quarantines_its_image(laboratory: Laboratory) -> None:
    reason, sentence = analyse_with_fault(laboratory, "hit the limit")
    assert reason == "unexpected_error"
    assert "MemoryError" in sentence


def test_a_kill_by_the_kernel_for_memory_quarantines_its_image(laboratory: Laboratory, control_group: Path) -> None:
    assert (
        analyse_with_fault(laboratory, "be killed by the kernel", CONTROL_GROUP=str(control_group))[0] == "worker_lost"
    )
    assert "signal 9" in laboratory.log()
