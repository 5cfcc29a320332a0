"""How long each kind of object is kept, and which rule decided it."""

from tasks.retention.solver import KINDS, LOG_MARGIN_DAYS, Decision, Kind, Terms, solve

__all__ = ["KINDS", "LOG_MARGIN_DAYS", "Decision", "Kind", "Terms", "solve"]
