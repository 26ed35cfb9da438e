"""Health check of a container: ``health.py URL`` exits with 0 if the URL answers with 200."""

from __future__ import annotations

import sys
import urllib.request


def healthy(url: str) -> bool:
    """Whether ``url`` answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=12) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if healthy(sys.argv[1]) else 1)
