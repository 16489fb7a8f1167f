"""Clients of the Docker Remote API, one module a version: berth_client.v1_23.Client and so on."""
from .transport import ApiError, Hijacked, Stream

__all__ = ["ApiError", "Hijacked", "Stream"]
