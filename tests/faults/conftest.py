"""Laboratory with worker processes."""

from tests.support.laboratory import laboratory, standing_laboratory

__all__ = ["laboratory", "standing_laboratory"]
