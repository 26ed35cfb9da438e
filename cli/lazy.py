"""Commands that are imported when they are called.

``karyo --help`` and a scheduler load no science this way.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


class Command(NamedTuple):
    """A command that is not imported yet.

    Args:
        target: ``module:name`` of its function, or of the Typer application of its sub-commands.
        panel: title of its group in ``karyo --help``.
        help: first paragraph of its own help.
    """

    target: str
    panel: str
    help: str


def load(name: str, command: Command) -> Any:
    """Import a command and return it as a Click command."""
    module, _, attribute = command.target.partition(":")
    target = getattr(import_module(module), attribute)
    if not isinstance(target, typer.Typer):
        function, target = target, typer.Typer()
        target.command(name)(function)
    return get_command(target)


def group_of(commands: Mapping[str, Command]) -> type[TyperGroup]:
    """Return the class of a command group that imports each of ``commands`` when it is called."""

    class LazyGroup(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            for name, command in commands.items():
                self.add_command(TyperCommand(name, help=command.help, rich_help_panel=command.panel))

        def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
            name, placeholder, rest = super().resolve_command(ctx, args)
            return name, load(name, commands[name]) if name else placeholder, rest

    return LazyGroup
