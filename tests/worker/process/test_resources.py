"""A pipeline whose engine is missing fails before an image begins."""

from __future__ import annotations

import ctypes.util

import pytest

from karyotyping.pipeline import Pipeline
from models.errors import EngineUnavailable
from models.runtime import ort
from worker.process.resources import load_pipeline


@pytest.mark.skipif(
    "CUDAExecutionProvider" in ort.get_available_providers() and ctypes.util.find_library("cuda") is not None,
    reason="about hosts without a GPU",
)
def test_a_missing_engine_is_reported_when_the_pipeline_is_loaded() -> None:
    document = Pipeline.default("cpu").document
    assert load_pipeline(document, "cpu")
    with pytest.raises(EngineUnavailable, match=r"install the extra `gpu`|no NVIDIA driver here"):
        load_pipeline(document, "cuda")
