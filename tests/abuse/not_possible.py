"""How a case ends where this machine cannot show it."""

from __future__ import annotations


class NotPossible(Exception):
    """This machine, or the time that was given, does not allow it; the message says why."""
