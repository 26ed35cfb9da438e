"""Commands that are imported when they are called: neither ``karyo --help`` nor a scheduler loads the science."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


class Command(NamedTuple):
    """A command that is not imported yet."""

    target: str
    """``module:name`` of its function, or of the Typer application of its sub-commands."""
    panel: str
    words: str
    """What ``--help`` says of it: the first paragraph of its own help."""


def load(name: str, command: Command) -> Any:
    """The command itself, as Typer runs it."""
    module, _, attribute = command.target.partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer()
        found.command(name)(function)
    return get_command(found)


def group_of(commands: Mapping[str, Command]) -> type[TyperGroup]:
    """The class of a group of ``commands``."""

    class Lazily(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            for name, command in commands.items():
                self.add_command(TyperCommand(name, help=command.words, rich_help_panel=command.panel))

        def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
            name, found, rest = super().resolve_command(ctx, args)
            return name, load(name, commands[name]) if name else found, rest

    return Lazily
