"""The embedded stack: PostgreSQL, Redis, worker and scheduler on one machine."""

from embedded.errors import StackError
from embedded.stack import EmbeddedStack

__all__ = ["EmbeddedStack", "StackError"]
