"""A missing ONNX Runtime is one sentence with the command that installs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

BLOCKED = "import sys; sys.modules['onnxruntime'] = None; "
SENTENCE = "run `pip install 'karyoflow[cpu]'`, or `pip install 'karyoflow[gpu]'` on a machine with an NVIDIA GPU"


def run_without_onnxruntime(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BLOCKED + code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", ["models.runtime", "models.providers", "models.engine", "karyotyping.pipeline"])
def test_an_import_without_onnxruntime_raises_engine_unavailable(module: str) -> None:
    process = run_without_onnxruntime(
        f"from models.errors import EngineUnavailable\ntry:\n    import {module}\n"
        "except EngineUnavailable as problem:\n    print(problem)"
    )
    assert process.returncode == 0, process.stderr
    assert SENTENCE in process.stdout


@pytest.mark.parametrize("module", ["models.registry", "karyotyping.case_summary", "karyotyping.rows"])
def test_weights_and_summaries_need_no_onnxruntime(module: str) -> None:
    process = run_without_onnxruntime(f"import {module}")
    assert process.returncode == 0, process.stderr
