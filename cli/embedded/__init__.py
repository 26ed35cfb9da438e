"""The embedded stack: everything that production has, as child processes on one machine."""

from cli.embedded.errors import StackError
from cli.embedded.stack import EmbeddedStack

__all__ = ["EmbeddedStack", "StackError"]
