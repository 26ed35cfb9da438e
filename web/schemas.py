"""What all schemas of the API share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """Base of what the API returns; attributes' docstrings go into ``/openapi.json``."""

    model_config = ConfigDict(from_attributes=True, frozen=True, use_attribute_docstrings=True)


class Problem(Schema):
    """Answer to a request that is refused."""

    detail: str
    """What was wrong and what to do."""
