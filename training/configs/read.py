"""Typed reading of training configurations, which are TOML files."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import TypeVar

from pydantic import ConfigDict, StrictFloat, StrictInt, TypeAdapter, ValidationError

Config = TypeVar("Config")
Number = StrictInt | StrictFloat
"""A number as the file writes it: the digests of runs distinguish 1 and 1.0."""
NO_OTHER_KEYS = ConfigDict(extra="forbid")
"""Pydantic's setting of every configuration: unknown keys are errors."""


def read_config(kind: type[Config], file: Path | None, shipped: str) -> Config:
    """Return the configuration in a TOML file.

    Args:
        kind: dataclass of the configuration.
        file: TOML file of the user, or None for the one that karyoflow ships.
        shipped: name of the shipped file in ``training/configs``.

    Raises:
        ValueError: the file is not TOML, or a key is unknown, missing or of the wrong type.
        OSError: the file cannot be read.
    """
    source = file or resources.files(__package__) / shipped
    try:
        return TypeAdapter(kind).validate_python(tomllib.loads(source.read_text("utf-8")))
    except tomllib.TOMLDecodeError as problem:
        raise ValueError(f"{source} is not TOML: {problem}") from problem
    except ValidationError as problem:
        raise ValueError(f"{source}: {_sentence(problem)}") from problem


def _sentence(problem: ValidationError) -> str:
    """Return what is wrong with each key."""
    by_key: dict[str, str] = {}
    for error in problem.errors():
        # For a `Number` the location ends with the type that was tried: "int", then "float".
        key = ".".join(str(part) for part in error["loc"] if part not in ("int", "float"))
        by_key[key] = _WORDS.get(error["type"], error["msg"].replace("Input should be", "must be"))
    return "; ".join(f"key `{key}` {words}" for key, words in by_key.items())


_WORDS = {"missing": "is missing", "unexpected_keyword_argument": "is unknown"}
