"""The queue of record: the life of an analysis, and the only place where its state changes.

``pending -> queued -> running -> done | failed | quarantined``. Every transition is one statement that names the state
it starts from, so that of two processes that try the same one, one finds nothing to do. A worker holds an image by its
lease token; whoever lost the token can write nothing. All time is the database's.
"""

from db.queue.case_summaries import StaleCase, stale_cases, write_case
from db.queue.claims import Claimed, claim, claimable, pause, resume, unclaim
from db.queue.completion import finish, finish_all
from db.queue.enqueue import CASE_SHARE, enqueue, enqueue_selected
from db.queue.leases import begin, begin_all, extend, fail, lease, release
from db.queue.reaper import WORKER_LOST, ReapReport, reap, retry
from db.queue.status import overview
from db.queue.throughput import seconds_per_image
from db.queue.types import AnalysisResult, Leased

__all__ = [
    "CASE_SHARE",
    "WORKER_LOST",
    "AnalysisResult",
    "Claimed",
    "Leased",
    "ReapReport",
    "StaleCase",
    "begin",
    "begin_all",
    "claim",
    "claimable",
    "enqueue",
    "enqueue_selected",
    "extend",
    "fail",
    "finish",
    "finish_all",
    "lease",
    "overview",
    "pause",
    "reap",
    "release",
    "resume",
    "retry",
    "seconds_per_image",
    "stale_cases",
    "unclaim",
    "write_case",
]
