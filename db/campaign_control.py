"""Pause, resume, rate limit and cancellation of a campaign, each with an audit event.

An image that a campaign holds back is a pending analysis with a delay that no failed attempt caused. So the queue needs
no other rule, and the reaper releases what is due. Workers finish the images that they hold.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import CTE, ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from db import audit
from db.clock import interval
from db.notify import notify_schedulers
from db.schema import Analysis, Campaign, Queue, State

PAUSED = "campaign.paused"
RESUMED = "campaign.resumed"
CANCELLED = "campaign.cancelled"
PAUSED_UNTIL = datetime(9999, 1, 1, tzinfo=UTC)  # a delay that never ends
SECONDS_PER_HOUR = 3600.0


class UnknownCampaign(LookupError):
    """A number of no campaign."""


def subject_of(campaign_id: int) -> str:
    """Return the subject of the audit events of a campaign."""
    return f"campaign:{campaign_id}"


def pause(session: Session, campaign_id: int, *, actor: str) -> int:
    """Hold back the images that no worker has taken; return their number.

    Args:
        session: an open transaction.
        campaign_id: the campaign.
        actor: who pauses it, as ``user@host``.

    Raises:
        UnknownCampaign: there is none with this number.
    """
    waiting = _waiting(_locked(session, campaign_id))
    held = update(Analysis).where(Analysis.id == waiting.c.id)
    values = {"state": State.PENDING, "queued_at": None, "not_before": PAUSED_UNTIL}
    images = len(session.scalars(held.values(values).returning(Analysis.id)).all())
    audit.append(session, actor=actor, action=PAUSED, subject=subject_of(campaign_id), images=images)
    return images


def resume(session: Session, campaign_id: int, *, actor: str, images_per_hour: float | None = None) -> int:
    """Release the images that wait, at once or at a rate; return their number.

    A campaign that is not paused gets another rate, or none.

    Args:
        session: an open transaction.
        campaign_id: the campaign.
        actor: who resumes it, as ``user@host``.
        images_per_hour: images that are released per hour, more than 0; None for all at once.

    Raises:
        UnknownCampaign: there is none with this number.
    """
    _locked(session, campaign_id)
    waiting = _waiting_cte(Analysis.campaign_id == campaign_id)
    released = update(Analysis).where(Analysis.id == waiting.c.id)
    values = {"state": State.PENDING, "queued_at": None, "not_before": None}
    images = len(session.scalars(released.values(values).returning(Analysis.id)).all())
    if images_per_hour is not None:
        spread(session, campaign_id, images_per_hour)
    notify_schedulers(session)
    detail = {"images": images, "images_per_hour": images_per_hour}
    audit.append(session, actor=actor, action=RESUMED, subject=subject_of(campaign_id), **detail)
    return images


def spread(session: Session, campaign_id: int, images_per_hour: float) -> None:
    """Delay the pending images of a campaign so that a constant number is released per hour.

    Args:
        session: an open transaction.
        campaign_id: the campaign.
        images_per_hour: more than 0.
    """
    pending = (Analysis.campaign_id == campaign_id, Analysis.state == State.PENDING)
    place = func.row_number().over(order_by=(Analysis.round, Analysis.id))
    placed = select(Analysis.id, place.label("place")).where(*pending).subquery()
    delay = interval((placed.c.place - 1) * (SECONDS_PER_HOUR / images_per_hour))
    session.execute(
        update(Analysis)
        .where(Analysis.id == placed.c.id, *pending)
        .values(not_before=func.now() + delay)
        .execution_options(synchronize_session=False)
    )


def cancel(session: Session, campaign_id: int, *, actor: str, because: str | None = None) -> int:
    """Delete the analyses that no worker has taken; return their number. Results stay.

    Args:
        session: an open transaction.
        campaign_id: the campaign.
        actor: who cancels it, as ``user@host``.
        because: why.

    Raises:
        UnknownCampaign: there is none with this number.
    """
    campaign = _locked(session, campaign_id)
    waiting = _waiting(campaign)
    images = len(session.scalars(delete(Analysis).where(Analysis.id == waiting.c.id).returning(Analysis.id)).all())
    campaign.enqueued_count -= images
    audit.append(
        session, actor=actor, action=CANCELLED, subject=subject_of(campaign_id), images=images, because=because
    )
    return images


def _locked(session: Session, campaign_id: int) -> Campaign:
    campaign = session.get(Campaign, campaign_id, with_for_update=True, populate_existing=True)
    if campaign is None:
        raise UnknownCampaign(f"there is no campaign {campaign_id}; `karyo campaign list` shows them")
    # As `claim` does, so that neither waits for rows of the other.
    session.execute(select(Queue.priority).order_by(Queue.priority).with_for_update(key_share=True))
    return campaign


def _waiting(campaign: Campaign) -> CTE:
    """Lock the waiting images with the priority of the campaign; others were made urgent."""
    return _waiting_cte(Analysis.campaign_id == campaign.id, Analysis.priority == campaign.priority)


def _waiting_cte(*conditions: ColumnElement[bool]) -> CTE:
    # An analysis that another transaction has locked is being leased or has ended.
    waiting = select(Analysis.id).where(*conditions, Analysis.state.in_((State.PENDING, State.QUEUED)))
    return waiting.order_by(Analysis.id).with_for_update(skip_locked=True).cte("waiting")
