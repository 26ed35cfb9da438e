"""The one typed settings class; every process of karyoflow is configured from it.

Values come from the environment (``KARYO_*``). Without any of them karyoflow runs *embedded*: PostgreSQL, Redis and a
directory as object store, all inside ``KARYO_HOME``. With any of the three URLs set it runs *configured*, and then all
three are required and insecure ones are refused.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from telemetry.logs import LogFormat

_WELL_KNOWN_PASSWORDS = frozenset(
    {"", "postgres", "password", "karyo", "karyoflow", "changeme", "redis", "admin", "secret"}
)
_LOOPBACK = frozenset({"", "localhost", "127.0.0.1", "::1"})


class EngineChoice(StrEnum):
    """Which ONNX Runtime execution provider runs the networks."""

    AUTO = "auto"
    TENSORRT = "tensorrt"
    CUDA = "cuda"
    CPU = "cpu"


class Settings(BaseSettings):
    """Everything that differs between one installation and another.

    Raises:
        pydantic.ValidationError: a value is malformed, or insecure outside the embedded mode.
    """

    model_config = SettingsConfigDict(env_prefix="KARYO_", extra="ignore", frozen=True)

    home: Path = Field(Path("~/.karyoflow"), description="State of the embedded stack")
    embedded: bool = Field(False, description="Set by the embedded stack for its own child processes")
    database_url: str | None = Field(None, description="postgresql+psycopg://user:password@host/database")
    broker_url: str | None = Field(None, description="redis://:password@host:6379/0")
    object_store: str | None = Field(None, description="s3://bucket/prefix or file:///directory")
    s3_endpoint_url: str | None = Field(None, description="S3-compatible endpoint other than AWS")
    engine: EngineChoice = EngineChoice.AUTO

    log_format: LogFormat = Field("auto", description="json, text, or auto: text on a terminal")
    metrics_address: str | None = Field(
        None, pattern=r".+:\d+", description="host:port of a worker's or scheduler's /metrics, /healthz and /readyz"
    )
    traces: bool = Field(False, description="Send OpenTelemetry traces; OTEL_EXPORTER_OTLP_ENDPOINT says where to")

    max_image_bytes: int = Field(256 * 2**20, gt=0, description="Larger files are rejected before they are read")
    max_image_pixels: int = Field(64_000_000, gt=0, description="Larger images are rejected before they are decoded")

    chunk_seconds: float = Field(8.0, gt=0, description="How long a worker should be busy with one message")
    chunk_size: int = Field(16, ge=1, le=1000, description="Most images in one message")
    max_queued: int = Field(64, ge=1, description="Analyses of one priority handed to the broker and not yet taken")
    lease_seconds: float = Field(60.0, gt=0, description="A worker silent for this long has lost its images")
    queued_timeout_seconds: float = Field(600.0, gt=0, description="A message not taken for this long is sent again")
    poll_seconds: float = Field(1.0, gt=0, description="How often the scheduler looks unasked")
    stuck_seconds: float = Field(300.0, gt=0, le=900, description="A process without progress for this long is ended")
    silent_seconds: float = Field(60.0, gt=0, description="An idle worker that leaves messages lying this long leaves")
    retry_seconds: float = Field(5.0, ge=0, description="About how long an image waits after its first failure")
    max_attempts: int = Field(3, ge=1, description="Failures after which an image is quarantined")

    @model_validator(mode="after")
    def _refuse_half_or_insecure_configuration(self) -> Self:
        urls = {
            "KARYO_DATABASE_URL": self.database_url,
            "KARYO_BROKER_URL": self.broker_url,
            "KARYO_OBJECT_STORE": self.object_store,
        }
        missing = [name for name, value in urls.items() if not value]
        if 0 < len(missing) < len(urls):
            raise ValueError(f"set all of {', '.join(urls)} or none of them; missing: {', '.join(missing)}")
        if self.is_configured and not self.embedded:
            for name in ("KARYO_DATABASE_URL", "KARYO_BROKER_URL"):
                _refuse_insecure(name, urlsplit(str(urls[name])))
        return self

    @property
    def is_configured(self) -> bool:
        """Whether the services' addresses are given; if not, the embedded stack provides them."""
        return self.database_url is not None

    @cached_property
    def home_path(self) -> Path:
        """``home``, absolute, with ``~`` expanded."""
        return self.home.expanduser().resolve()


def _refuse_insecure(name: str, url: SplitResult) -> None:
    if (url.hostname or "") in _LOOPBACK:
        return
    if (url.password or "") in _WELL_KNOWN_PASSWORDS:
        raise ValueError(f"{name} has no password, or one that everybody knows; give it a real one")
