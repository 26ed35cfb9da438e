"""Objects of the store that no row names any more."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from db.schema.base import Base, created


class DiscardedObject(Base):
    """An object that no row names any more, and that the object store must still lose."""

    __tablename__ = "discarded_objects"

    object_key: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = created()
