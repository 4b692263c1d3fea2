"""What this plugin refuses, in words for the person who wrote the program."""

from __future__ import annotations

from reconciler.errors import StackmendError


class ProviderError(StackmendError):
    """The stand-in cannot do what the program asks, although the official provider might."""
