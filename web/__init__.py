"""Pages and the HTTP API."""

from web.app import create_app

__all__ = ["create_app"]
