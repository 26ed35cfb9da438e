"""Redaction: no password, access key or query string reaches a log or a message."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote

MASK = "***"
MIN_SECRET_LENGTH = 4  # characters; shorter values are parts of ordinary words
PUBLIC_PASSWORDS = frozenset({"", "postgres", "password", "karyo", "karyoflow", "changeme", "redis", "admin", "secret"})
"""Passwords that everybody knows; as words of a message they give nothing away."""

_ADDRESS = re.compile(r"""\b([A-Za-z][A-Za-z0-9+.-]*://)([^\s"'<>\\]*)""")
_USER = re.compile(r"[^/?#]*@")
_USER_WITH_PATH_CHARACTERS = re.compile(r"(?:[^/?#@:\[]+:(?!\d+[/?#])|:).*@")  # not the port of host:9000/a@b
_PLACEHOLDERS = ("user:password@", ":password@")  # of an example address
_secrets: set[str] = set()
_any_secret: re.Pattern[str] | None = None


def hide_secret(value: str | None) -> None:
    """Mask ``value`` in everything that this process redacts from now on."""
    global _any_secret  # noqa: PLW0603 - the secrets of a process are known to all of its rooms
    forms = {value, unquote(value), quote(value, safe="")} if value else set()
    new = {form for form in forms if len(form) >= MIN_SECRET_LENGTH and form not in PUBLIC_PASSWORDS}
    if not new <= _secrets:
        _secrets.update(new)
        longest_first = sorted(_secrets, key=len, reverse=True)
        _any_secret = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, longest_first))})(?![A-Za-z0-9])")


def redact(text: str) -> str:
    """Return ``text`` without the user and the query of any address, and without hidden secrets.

    >>> redact("cannot reach https://key:word@host:9000/bucket?X-Amz-Signature=46")
    'cannot reach https://***@host:9000/bucket?***'
    """
    text = _ADDRESS.sub(_redact_address, text)
    return _any_secret.sub(MASK, text) if _any_secret else text


def redact_values(value: Any) -> Any:
    """Return a JSON value whose texts are redacted.

    >>> redact_values({"source": ["redis://:word@host/0"]})
    {'source': ['redis://***@host/0']}
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: redact_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_values(item) for item in value]
    return value


def _redact_address(match: re.Match[str]) -> str:
    scheme, rest = match.groups()
    user = _USER.match(rest) or _USER_WITH_PATH_CHARACTERS.match(rest)
    if user and user[0] not in _PLACEHOLDERS:
        rest = f"{MASK}@{rest[user.end() :]}"
    address, question, _ = rest.partition("?")
    return f"{scheme}{address}{question and '?' + MASK}"
