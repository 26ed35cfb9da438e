"""The choice of one channel and one plane of a file that holds several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from karyotyping.image.bounds import ImageRejected

MAX_NAMED_CHANNELS = 16  # channels that a rejection lists
MAX_NAME_LENGTH = 40  # characters of a channel's name in a rejection


@dataclass(frozen=True, slots=True)
class Selection:
    """What the caller chose; None where nothing was chosen."""

    channel: str | int | None = None
    """Name of a channel in any case, or its number from 0."""
    plane: int | None = None
    """Number of a plane from 0: focus varies faster than time."""

    def choose(self, channels: Sequence[str], planes: int) -> tuple[int, int]:
        """Return the numbers of the chosen channel and plane; nothing is guessed.

        Args:
            channels: names of the channels, which may be empty.
            planes: number of planes of each channel.

        Raises:
            ImageRejected: ``ambiguous_channel``, ``no_such_channel`` or ``no_such_plane``.

        >>> Selection("dapi", 2).choose(["TRITC", "DAPI"], 3)
        (1, 2)
        """
        names = [_printable(name) or f"channel {number}" for number, name in enumerate(channels)]
        channel = self._channel(names)
        if self.plane is not None and not 0 <= self.plane < planes:
            raise ImageRejected("no_such_plane", plane=self.plane, last=planes - 1)
        open_channel, open_plane = channel is None and len(names) > 1, self.plane is None and planes > 1
        if open_channel or open_plane:
            content = [f"the channels {_listed(names)}"] * open_channel + [f"{planes} planes"] * open_plane
            options = ["--channel"] * open_channel + ["--plane"] * open_plane
            raise ImageRejected("ambiguous_channel", content=" and ".join(content), options=" and ".join(options))
        return channel or 0, self.plane or 0

    def _channel(self, names: Sequence[str]) -> int | None:
        if self.channel is None:
            return None
        wanted = str(self.channel).casefold()
        matches = [number for number, name in enumerate(names) if name.casefold() == wanted]
        if len(matches) == 1 and isinstance(self.channel, str):
            return matches[0]
        if wanted.isdecimal() and int(wanted) < len(names):
            return int(wanted)
        raise ImageRejected("no_such_channel", channel=_printable(str(self.channel)), channels=_listed(names))


def _printable(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable())[:MAX_NAME_LENGTH].strip()


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED_CHANNELS
    return ", ".join(names[:MAX_NAMED_CHANNELS]) + (f" and {more} more" if more > 0 else "")
