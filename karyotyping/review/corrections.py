"""Corrections of one analysis, as typed documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from karyotyping.nomenclature.classes import CLASS_COUNT
from karyotyping.review.regions import Region

MAX_PARTS = 10  # chromosomes that one correction makes or joins
_MAX_TEXT = 2000  # characters

ClassId = Annotated[int, Field(ge=1, le=CLASS_COUNT)] | None
"""1..24 (23 = X, 24 = Y); None for a chromosome that is not identified, such as a marker."""
Number = Annotated[int, Field(ge=0)]
"""Number of a chromosome in its cell: the ``ordinal`` of the pipeline, or the next free number of a drawn one."""
Text = Annotated[str, Field(min_length=1, max_length=_MAX_TEXT, pattern=r"^[^\x00]+$")]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(_Document):
    """A chromosome that a person draws."""

    region: Region
    class_id: ClassId = None


class _Correction(_Document):
    because: Text | None = None
    """Reason, for people."""


class Reclassify(_Correction):
    """Give a chromosome another class, or confirm the one it has."""

    action: Literal["reclassify"] = "reclassify"
    chromosome: Number
    class_id: ClassId


class Reject(_Correction):
    """Remove what is no chromosome."""

    action: Literal["reject"] = "reject"
    chromosome: Number


class Split(_Correction):
    """Replace one chromosome by its parts; the region of each part is cut to the chromosome."""

    action: Literal["split"] = "split"
    chromosome: Number
    parts: tuple[Part, ...] = Field(min_length=2, max_length=MAX_PARTS)


class Merge(_Correction):
    """Replace several chromosomes by one."""

    action: Literal["merge"] = "merge"
    chromosomes: tuple[Number, ...] = Field(min_length=2, max_length=MAX_PARTS)
    class_id: ClassId = None

    @field_validator("chromosomes")
    @classmethod
    def _refuse_repeats(cls, chromosomes: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(chromosomes)) < len(chromosomes):
            raise ValueError("a chromosome is named twice")
        return chromosomes


class Flip(_Correction):
    """Turn a chromosome upside down: its other end is that of the p arm."""

    action: Literal["flip"] = "flip"
    chromosome: Number


class Add(_Correction):
    """Add a chromosome that the pipeline missed."""

    action: Literal["add"] = "add"
    part: Part


class RejectCell(_Correction):
    """Leave the whole cell out of its case."""

    action: Literal["reject_cell"] = "reject_cell"


class Comment(_Document):
    """Say something about a cell; its result stays."""

    action: Literal["comment"] = "comment"
    text: Text


class Undo(_Correction):
    """Withdraw an earlier correction of the same analysis."""

    action: Literal["undo"] = "undo"
    review: int = Field(ge=1)
    """Number of that correction."""


Correction = Annotated[
    Reclassify | Reject | Split | Merge | Flip | Add | RejectCell | Comment | Undo, Field(discriminator="action")
]
_ADAPTER: TypeAdapter[Correction] = TypeAdapter(Correction)


def parse_correction(action: str, detail: Mapping[str, Any]) -> Correction:
    """Return the correction that ``to_detail`` stored.

    Raises:
        pydantic.ValidationError: there is no such action, or a field of it is wrong.

    >>> parse_correction("reclassify", {"chromosome": 3, "class_id": 21}).class_id
    21
    """
    return _ADAPTER.validate_python({**detail, "action": action})


def to_detail(correction: Correction) -> dict[str, Any]:
    """Return the fields of a correction as JSON, without its action.

    >>> to_detail(Reject(chromosome=3))
    {'chromosome': 3}
    """
    detail = correction.model_dump(mode="json", exclude={"action"})
    return {name: value for name, value in detail.items() if (name, value) != ("because", None)}
