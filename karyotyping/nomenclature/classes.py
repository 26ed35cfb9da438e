"""The 24 chromosome classes of a human cell: ids, names and the normal chromosome count."""

from __future__ import annotations

CLASS_NAMES: tuple[str, ...] = (*(str(n) for n in range(1, 23)), "X", "Y")
"""Names by class id: class ``i`` (1..24, also the COCO category id) is called ``CLASS_NAMES[i - 1]``."""

CLASS_COUNT = len(CLASS_NAMES)  # 24

X, Y = 23, 24  # class ids

NORMAL_COUNT = 46  # chromosomes of a normal cell


def class_name(class_id: int | None) -> str:
    """Return the name of a class, ``"?"`` for None.

    Args:
        class_id: 1..24, or None if the class is unknown.

    >>> class_name(23), class_name(None)
    ('X', '?')
    """
    return "?" if class_id is None else CLASS_NAMES[class_id - 1]
