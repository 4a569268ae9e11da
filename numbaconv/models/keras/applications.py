"""Layers that `keras.applications` has of its own, for files of its networks."""

from typing import Any

APPLICATIONS: dict[str, Any] = {}
