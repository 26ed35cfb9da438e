"""Celery without karyoflow, for comparison: one task per image, its result in Redis."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from benchmarks.service.null_worker import NullPipeline, analyse_one
from storage import open_store

app = Celery("bare", broker=os.environ["KARYO_BROKER_URL"], backend=os.environ["KARYO_BROKER_URL"])
app.conf.update(task_default_queue="bare", broker_connection_retry_on_startup=True, worker_prefetch_multiplier=8)
store = open_store(os.environ["KARYO_OBJECT_STORE"])
pipeline = NullPipeline()


@app.task(name="bare.analyse")
def analyse(key: str, title: str) -> dict[str, Any]:
    """Analyse one image."""
    return analyse_one(store, pipeline, key, title)
