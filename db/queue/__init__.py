"""The queue of record: all transitions of an analysis from state to state.

``pending -> queued -> running -> done | failed | quarantined``. Each transition is one statement that names its first
state, so of two concurrent transitions one changes nothing. A lease token fences the writes of a worker: without the
current token nothing is written. All times are the database's.
"""

from db.queue.case_summaries import StaleCase, stale_cases, write_case
from db.queue.claims import Claimed, claim, claimable, pause, resume, unclaim
from db.queue.completion import finish, finish_all
from db.queue.enqueue import IMAGES_PER_ROUND, enqueue, enqueue_selected, keep_cases
from db.queue.leases import begin, begin_all, extend, fail, lease, release
from db.queue.priorities import prioritise, raise_priority
from db.queue.reaper import WORKER_LOST, ReapReport, reap, retry
from db.queue.status import Overview, count_by_state, overview
from db.queue.throughput import seconds_per_image
from db.queue.types import AnalysisResult, Leased

__all__ = [
    "IMAGES_PER_ROUND",
    "WORKER_LOST",
    "AnalysisResult",
    "Claimed",
    "Leased",
    "Overview",
    "ReapReport",
    "StaleCase",
    "begin",
    "begin_all",
    "claim",
    "claimable",
    "count_by_state",
    "enqueue",
    "enqueue_selected",
    "extend",
    "fail",
    "finish",
    "finish_all",
    "keep_cases",
    "lease",
    "overview",
    "pause",
    "prioritise",
    "raise_priority",
    "reap",
    "release",
    "resume",
    "retry",
    "seconds_per_image",
    "stale_cases",
    "unclaim",
    "write_case",
]
