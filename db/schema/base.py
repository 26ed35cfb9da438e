"""The declarative base: schema, names of constraints, and column types of Python types."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    DateTime,
    Dialect,
    Identity,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    TypeDecorator,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db.enums import Priority, State

SCHEMA = "karyo"


class StateType(TypeDecorator[State]):
    """Text column of states."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> State | None:
        """Return the state that a stored text names."""
        return None if value is None else State(value)


class PriorityType(TypeDecorator[Priority]):
    """Small integer column of priorities."""

    impl = SmallInteger
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Priority | None:
        """Return the priority of a stored number."""
        return None if value is None else Priority(value)


class Base(DeclarativeBase):
    """Declarative base: schema, names of constraints, and column types of Python types."""

    metadata = MetaData(
        schema=SCHEMA,
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        },
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        str: Text,
        int: BigInteger,
        float: REAL,
        uuid.UUID: Uuid,
        State: StateType,
        Priority: PriorityType,
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
        list[str]: ARRAY(Text),
        list[int]: ARRAY(SmallInteger),
        list[float]: ARRAY(REAL),
        bytes: LargeBinary,
    }


def one_of(column: str, values: Iterable[str]) -> str:
    """Return the SQL text of a CHECK that ``column`` holds one of ``values``.

    >>> one_of("state", ("stale", "done"))
    "state IN ('stale', 'done')"
    """
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


def identity() -> Mapped[int]:
    """Declare a primary key that the database counts up."""
    return mapped_column(BigInteger, Identity(always=True), primary_key=True)


def created() -> Mapped[datetime]:
    """Declare the time at which a row was inserted."""
    return mapped_column(server_default=func.now())
