"""Typed settings of every process, from the environment (``KARYO_*``).

Without the three URLs karyoflow runs *embedded*: PostgreSQL, Redis and a directory as object store are in
``KARYO_HOME``. With any of the URLs it runs *configured*: all three are then required, and insecure ones are refused.
"""

from __future__ import annotations

import os
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from settings import addresses
from settings.errors import ConfigurationError
from telemetry.logs import LogFormat

__all__ = ["ConfigurationError", "EngineChoice", "Settings", "describe_invalid"]

MAX_PORT = 65535
_CHECKS = {
    "database_url": addresses.check_database,
    "broker_url": addresses.check_broker,
    "object_store": addresses.check_object_store,
    "s3_endpoint_url": addresses.check_endpoint,
}


class EngineChoice(StrEnum):
    """Execution provider of ONNX Runtime that runs the networks."""

    AUTO = "auto"
    TENSORRT = "tensorrt"
    CUDA = "cuda"
    CPU = "cpu"


class Settings(BaseSettings):
    """Everything that differs between two installations.

    Raises:
        pydantic.ValidationError: a value is malformed, or insecure outside the embedded mode.
    """

    model_config = SettingsConfigDict(env_prefix="KARYO_", extra="ignore", frozen=True, hide_input_in_errors=True)

    home: Path = Field(Path("~/.karyoflow"), description="State of the embedded stack")
    embedded: bool = Field(False, description="Set by the embedded stack for its own child processes")
    database_url: str | None = Field(None, repr=False, description="postgresql://user:password@host/database")
    broker_url: str | None = Field(None, repr=False, description="redis://:password@host:6379/0")
    object_store: str | None = Field(None, description="s3://bucket/prefix or file:///directory")
    s3_endpoint_url: str | None = Field(None, description="S3-compatible endpoint other than AWS")
    engine: EngineChoice = EngineChoice.AUTO

    log_format: LogFormat = Field("auto", description="json, text, or auto: text on a terminal")
    metrics_address: str | None = Field(
        None, pattern=r".+:\d+", description="host:port of a worker's or scheduler's /metrics, /healthz and /readyz"
    )
    traces: bool = Field(False, description="Send OpenTelemetry traces to OTEL_EXPORTER_OTLP_ENDPOINT")

    max_image_bytes: int = Field(256 * 2**20, gt=0, description="Larger files are rejected before they are read")
    max_image_pixels: int = Field(64_000_000, gt=0, description="Larger images are rejected before they are decoded")

    chunk_seconds: float = Field(8.0, gt=0, description="Target duration of one message in a worker")
    chunk_size: int = Field(16, ge=1, le=1000, description="Most images in one message")
    max_queued: int = Field(64, ge=1, description="Analyses of one priority that are queued at the broker")
    lease_seconds: float = Field(60.0, gt=0, description="A lease that is not renewed for this long is lost")
    queued_timeout_seconds: float = Field(600.0, gt=0, description="A message not taken for this long is sent again")
    poll_seconds: float = Field(1.0, gt=0, description="Pause between two rounds of the scheduler")
    report_seconds: float = Field(300.0, gt=0, description="Age from which the scheduler refreshes a large report")
    stuck_seconds: float = Field(300.0, gt=0, le=900, description="A process without progress for this long is killed")
    silent_seconds: float = Field(
        60.0, gt=0, description="An idle worker that takes no waiting message for this long ends"
    )
    retry_seconds: float = Field(5.0, ge=0, description="Approximate pause of an image after its first failure")
    max_attempts: int = Field(3, ge=1, description="Failures after which an image is quarantined")

    promotion_contradictions: float = Field(
        0.02, ge=0, le=1, description="Share of the signed cases that a promoted pipeline may contradict"
    )
    retention_karyogram_days: int | None = Field(
        None, ge=1, description="Karyograms of unsigned results are removed this long after the case; empty: never"
    )
    retention_karyogram_svg_days: int | None = Field(None, ge=1, description="The same for karyograms as SVG")
    retention_overlay_days: int | None = Field(None, ge=1, description="The same for images with outlines")
    sign_off_readers: int = Field(2, ge=1, le=2, description="Persons that sign a case: 1, or 2 different ones")

    @model_validator(mode="before")
    @classmethod
    def _hide_passwords(cls, values: Any) -> Any:
        for name in _CHECKS if isinstance(values, dict) else ():
            if isinstance(url := values.get(name), str):
                addresses.hide_password(url)
        return values

    @field_validator("s3_endpoint_url")
    @classmethod
    def _drop_empty_endpoint(cls, url: str | None) -> str | None:
        return url or None  # an empty variable means AWS, as for the tools of AWS

    @field_validator("home", mode="before")
    @classmethod
    def _refuse_empty_home(cls, home: Any) -> Any:
        if home == "":
            raise ValueError("KARYO_HOME is empty; set it to a folder of yours, or remove it from the environment")
        return home

    @field_validator("metrics_address")
    @classmethod
    def _refuse_wrong_port(cls, address: str | None) -> str | None:
        if address and int(address.rpartition(":")[2]) > MAX_PORT:
            raise ValueError(f"KARYO_METRICS_ADDRESS has a port above {MAX_PORT}; write host:9464")
        return address

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
        for field, check in _CHECKS.items():
            if (url := getattr(self, field)) is not None:
                check(f"KARYO_{field.upper()}", url)
        if self.is_configured and not self.embedded:
            for name in ("KARYO_DATABASE_URL", "KARYO_BROKER_URL"):
                addresses.check_password(name, str(urls[name]))
        return self

    @property
    def is_configured(self) -> bool:
        """Whether the URLs of the services are set; otherwise the embedded stack is used."""
        return self.database_url is not None

    @cached_property
    def home_path(self) -> Path:
        """Absolute path of ``home``, with ``~`` expanded.

        Raises:
            ConfigurationError: there is no home folder to expand ``~`` to.
        """
        problem = f"there is no home folder for {self.home}; set KARYO_HOME, or HOME, to a folder of yours"
        if self.home.parts[:1] == ("~",) and os.environ.get("HOME") == "":
            raise ConfigurationError(problem)
        try:
            return self.home.expanduser().resolve()
        except RuntimeError:
            raise ConfigurationError(problem) from None


def describe_invalid(problem: ValidationError) -> str:
    """Return the sentence for refused settings; it names variables and holds no value."""
    reasons = []
    for error in problem.errors(include_input=False, include_url=False):
        reason = str(error["msg"]).removeprefix("Value error, ")
        name = f"KARYO_{error['loc'][0]}".upper() if error["loc"] else ""
        reasons.append(reason if not name or name in reason else f"{name}: {reason}")
    return f"the KARYO_* environment is not usable: {'; '.join(reasons)}"
