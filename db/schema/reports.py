"""When the materialised reports were refreshed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from db.schema.base import Base, created


class ReportRefresh(Base):
    """The latest refresh of a materialised view of schema ``reporting``."""

    __tablename__ = "report_refreshes"

    name: Mapped[str] = mapped_column(primary_key=True)
    refreshed_at: Mapped[datetime] = created()
