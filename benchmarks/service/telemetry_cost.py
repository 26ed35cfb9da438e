"""Measure the cost of telemetry per image.

    python -m benchmarks.service.telemetry_cost [IMAGES]

One row has the calls that a worker makes for one image, with the values in files as in a pool process. The other adds
traces of OpenTelemetry, if the extra `traces` is installed. Prints a Markdown table.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import time

from benchmarks.figures import machine, markdown
from telemetry import metrics, traces

STAGES = ("fetch", "decode", "wait", "analyse", "draw", "store", "write")
INSIDE = dict.fromkeys(("normalise", "segment", "measure", "classify"), 0.1)
ENGINE_CALLS = 7


def one_image(number: int) -> None:
    """Make the telemetry calls of one image."""
    with traces.span("image", analysis=number, image=number, pipeline=1, attempt=1, file="cell.tif"):
        for stage in STAGES:
            with traces.stage(stage):
                pass
        metrics.observe_stages(INSIDE)
        for _ in range(ENGINE_CALLS):
            metrics.observe_engine_call("embedder", "cpu", 32, 0.01)
        metrics.IMAGES.labels("done", "").inc()


def cost(images: int) -> str:
    """Return the CPU milliseconds of one image."""
    one_image(0)
    began = time.process_time()
    for number in range(images):
        one_image(number)
    return f"{1000 * (time.process_time() - began) / images:.3f}"


def main(images: int) -> None:
    """Measure and print a table."""
    with metrics.multiprocess_registry():
        rows = [("metrics and log ids", cost(images))]
        if importlib.util.find_spec("opentelemetry.sdk"):
            os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"  # no collector: another thread sends
            os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "3600000"
            logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
            traces.enable("karyo-benchmark")
            rows.append(("the same, and traces", cost(images)))
    print(f"{machine()}, {images} images\n")
    print(markdown(("what", "CPU ms an image"), rows), flush=True)
    os._exit(0)  # without waiting for spans that no collector takes


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
