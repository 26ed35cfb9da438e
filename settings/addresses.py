"""Addresses of services, checked before anything connects.

Every problem is a ``ValueError`` whose sentence names the variable, says what to write, and holds no secret.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qs, urlsplit

from telemetry.redaction import PUBLIC_PASSWORDS, hide_secret

DATABASE_FORM = "postgresql://user:password@host:5432/database"
BROKER_FORM = "redis://:password@host:6379/0"
OBJECT_STORE_FORM = "s3://bucket/prefix or file:///directory"
ENDPOINT_FORM = "https://host:9000"

_DATABASE_SCHEME = re.compile(r"(postgresql|postgres)(\+\w+)?")
_BROKER_SCHEME = re.compile(r"redis|rediss|redis\+socket")
_BUCKET = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_LOOPBACK = frozenset({"", "localhost", "127.0.0.1", "::1"})


def hide_password(url: str) -> None:
    """Mask the password of ``url``, even of a malformed one, in all that is redacted."""
    _, _, rest = url.partition("://")
    for text in (rest, rest.partition("?")[0], re.split("[/?#]", rest, maxsplit=1)[0]):
        hide_secret(text.rpartition("@")[0].partition(":")[2])
    for part in parse_qs(urlsplit_or_empty(url).query).get("password", ()):
        hide_secret(part)


def check_database(name: str, url: str) -> None:
    """Raise ``ValueError`` unless ``url`` is an address of PostgreSQL."""
    _split(name, url, _DATABASE_SCHEME, DATABASE_FORM, "karyoflow keeps its records in PostgreSQL")


def check_broker(name: str, url: str) -> None:
    """Raise ``ValueError`` unless ``url`` is an address of Redis."""
    parts = _split(name, url, _BROKER_SCHEME, BROKER_FORM, "the broker is Redis or Valkey")
    if parts.scheme != "redis+socket" and not re.fullmatch(r"/?|/\d+", parts.path):
        raise ValueError(f"{name} ends in a database that is no number; write {BROKER_FORM}")


def check_endpoint(name: str, url: str) -> None:
    """Raise ``ValueError`` unless ``url`` is an address of an S3-compatible service."""
    parts = _split(name, url, re.compile("https?"), ENDPOINT_FORM, "S3 is spoken over HTTP")
    if not parts.hostname:
        raise ValueError(f"{name} names no host; write {ENDPOINT_FORM}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            f"{name} holds more than an address; write {ENDPOINT_FORM}, "
            "and the credentials into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )


def check_object_store(name: str, url: str) -> None:
    """Raise ``ValueError`` unless ``url`` is ``s3://bucket/prefix`` or ``file:///directory``."""
    if not url.strip():
        raise ValueError(f"{name} is empty; write {OBJECT_STORE_FORM}")
    parts = urlsplit_or_empty(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        return
    if parts.scheme in ("http", "https"):
        raise ValueError(
            f"{name} is the {parts.scheme}:// address of a service; write {OBJECT_STORE_FORM}, "
            "and the address into KARYO_S3_ENDPOINT_URL"
        )
    if parts.scheme != "s3" or not parts.netloc:
        kind = f"starts with {parts.scheme}://" if parts.scheme and "://" in url else "is no such address"
        raise ValueError(f"{name} {kind}; write {OBJECT_STORE_FORM}")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise ValueError(
            f"{name} holds more than bucket and prefix; write s3://bucket/prefix, "
            "and the credentials into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if not _BUCKET.fullmatch(parts.netloc):
        raise ValueError(
            f"{name} names a bucket that cannot be, {parts.netloc!r}: a name has 3 to 63 characters "
            "of a-z, 0-9, dots and hyphens, and begins and ends with a letter or a digit"
        )


def check_password(name: str, url: str) -> None:
    """Raise ``ValueError`` if a remote service has no password or a well-known one."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    hosts = [host.partition(":")[0] for host in query.get("host", ()) if not host.startswith("/")]
    if {parts.hostname or "", *hosts} <= _LOOPBACK:
        return
    if (parts.password or "".join(query.get("password", ()))) in PUBLIC_PASSWORDS:
        raise ValueError(f"{name} has no password or a well-known one; set a strong password")


def urlsplit_or_empty(url: str) -> SplitResult:
    """Return the parts of ``url``; empty ones if it cannot be split."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _split(name: str, url: str, schemes: re.Pattern[str], form: str, reason: str) -> SplitResult:
    """Return the parts of a URL with a host, or raise ``ValueError``."""
    if not url.strip():
        raise ValueError(f"{name} is empty; write {form}")
    if re.search(r"\s", url):
        raise ValueError(f"{name} contains white space; write {form}, and white space of a password as %20")
    scheme, colon, rest = url.partition("://")
    if not colon or not re.fullmatch(r"[A-Za-z][\w+.-]*", scheme):
        raise ValueError(f"{name} has no scheme; write {form}")
    if not schemes.fullmatch(scheme.lower()):
        raise ValueError(f"{name} starts with {scheme}://, and {reason}; write {form}")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if authority.count("@") > 1 or ("@" not in authority and re.match(r"[^@/]*:.*@", rest)):
        raise ValueError(
            f"{name} cannot be parsed; write these characters of the password in percent code: "
            "@ as %40, : as %3A, / as %2F, ? as %3F, # as %23"
        )
    user, at, host = authority.rpartition("@")
    if at and user.endswith(":"):
        raise ValueError(f"{name} has an empty password; is the variable empty from which the password comes?")
    if re.search(r":\D*$", host) and not host.endswith("]"):
        raise ValueError(f"{name} has a port that is no number; write {form}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        what = "a port that is no number from 1 to 65535" if "ort" in str(error) else "a host that cannot be"
        raise ValueError(f"{name} has {what}; write {form}") from None
    if port == 0 or not re.fullmatch(r"[\w.:%~-]*", parts.hostname or ""):
        raise ValueError(f"{name} has a host or a port that cannot be; write {form}")
    return parts
