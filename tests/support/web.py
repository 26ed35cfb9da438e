"""An HTTP client of the application, and requests that tests share."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image as PillowImage

Open = Callable[..., AbstractContextManager[TestClient]]
"""Open the application: whether it is embedded, its host, and changed settings."""


def png(seed: int = 0, side: int = 96) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side), dtype=np.uint8)
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def send(client: TestClient, *files: tuple[str, bytes], **fields: str) -> tuple[int, dict[str, object]]:
    answer = client.post(
        "/api/v1/images", data={"case": "C1"} | fields, files=[("files", (name, data)) for name, data in files]
    )
    return answer.status_code, answer.json()
