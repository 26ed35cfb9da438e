"""The tables of schema ``karyo``.

States and kinds are text with CHECK constraints. Times are UTC. Every constraint has a predictable name, so that a
migration can drop it and an operator can find it.
"""

from db.enums import ACTIVE, ENDED, BatchKind, Priority, State
from db.schema.audit import ApiKey, AuditEvent, Review, SignOff
from db.schema.base import SCHEMA, Base, PriorityType, StateType
from db.schema.campaigns import Campaign, Schedule
from db.schema.images import Case, Image, IngestBatch, Rejection
from db.schema.objects import DiscardedObject
from db.schema.pipelines import Model, Pipeline, PipelineAlias
from db.schema.queue import Analysis, Lane, Queue, Worker
from db.schema.reports import ReportRefresh
from db.schema.results import CaseResult, Chromosome, QcMetrics

__all__ = [
    "ACTIVE",
    "ENDED",
    "SCHEMA",
    "Analysis",
    "ApiKey",
    "AuditEvent",
    "Base",
    "BatchKind",
    "Campaign",
    "Case",
    "CaseResult",
    "Chromosome",
    "DiscardedObject",
    "Image",
    "IngestBatch",
    "Lane",
    "Model",
    "Pipeline",
    "PipelineAlias",
    "Priority",
    "PriorityType",
    "QcMetrics",
    "Queue",
    "Rejection",
    "ReportRefresh",
    "Review",
    "Schedule",
    "SignOff",
    "State",
    "StateType",
    "Worker",
]
