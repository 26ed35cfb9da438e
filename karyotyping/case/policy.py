"""Policies of the laboratory: how many cells a case needs, by specimen.

A policy is a TOML file with a version. The shipped one is ``policies.toml``; it names its sources.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from karyotyping.case.cultures import CloneUnit
from karyotyping.nomenclature.cell_lines import Specimen

OTHER = "other"
"""Name of the policy of a tissue that no policy lists."""

Number = Annotated[int, Field(ge=0, le=1000)]
Share = Annotated[float, Field(gt=0, lt=1)]


class SpecimenPolicy(BaseModel):
    """Cells that a kind of specimen needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    specimen: Specimen
    """Decides how the karyotype is written."""
    tissues: tuple[str, ...]
    """Tissues as labels of a case name them, in lower case."""
    count: Number
    analyse: Number
    karyotype: Number
    suspected_mosaicism: Number
    """Cells to count where mosaicism is suspected."""
    cultures: Number
    """Independent cultures that the counted cells are of."""
    colonies: Number
    """Colonies of an in situ culture."""
    independent_cells: bool
    """Whether each cell comes from another cell of the patient; cells of a flask may be of one clone of the culture."""
    clone_unit: CloneUnit = "cell"
    """What a clone counts by."""
    band_level: Number = 0
    """Least band level of the karyotyped cells; 0 for none."""
    source: str

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if not self.karyotype <= self.analyse <= self.count <= self.suspected_mosaicism:
            raise ValueError(
                f"{self.name!r} contradicts itself: karyotype {self.karyotype} <= analyse {self.analyse} <= "
                f"count {self.count} <= suspected_mosaicism {self.suspected_mosaicism} must hold"
            )
        if max(self.cultures, self.colonies) > self.count:
            raise ValueError(f"{self.name!r} contradicts itself: it wants more cultures or colonies than cells")
        return self


class Policy(BaseModel):
    """Cells that a case needs, by specimen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    alpha: Share
    """Probability of missing a mosaicism that is said to be excluded."""
    min_karyotype_quality: Share
    """Quality of a karyotyped cell."""
    specimens: tuple[SpecimenPolicy, ...]

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        names = [one.name for one in self.specimens]
        tissues = [tissue for one in self.specimens for tissue in one.tissues]
        for kind, values in (("specimen", names), ("tissue", tissues)):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"{kind} {twice[0]!r} is listed twice")
        if OTHER not in names:
            raise ValueError(f"a specimen named {OTHER!r} is missing, for tissues that are not listed")
        return self

    def of(self, tissue: str | None) -> SpecimenPolicy:
        """Return the policy of a tissue, as labelled; that of ``other`` if none lists it.

        >>> read_policy().of("Bone Marrow").analyse
        20
        """
        label = " ".join((tissue or "").casefold().replace("_", " ").replace("-", " ").split())
        listed = next((one for one in self.specimens if label in one.tissues), None)
        return listed or next(one for one in self.specimens if one.name == OTHER)


def read_policy(file: Path | None = None) -> Policy:
    """Return the policy in a TOML file, by default the shipped one.

    Raises:
        ValueError: the file is not TOML, a key is unknown, missing or of a wrong type, or the policy is contradictory.
        OSError: the file cannot be read.
    """
    source = file or resources.files(__package__) / "policies.toml"
    try:
        return Policy.model_validate(tomllib.loads(source.read_text("utf-8")))
    except tomllib.TOMLDecodeError as problem:
        raise ValueError(f"{source} is not TOML: {problem}") from problem
    except ValidationError as problem:
        faults = ("".join(f"{part}: " for part in error["loc"]) + error["msg"] for error in problem.errors())
        raise ValueError(f"{source}: {'; '.join(faults)}") from problem
