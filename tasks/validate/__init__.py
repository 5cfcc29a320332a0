"""Judge a read batch by its data contract."""

from tasks.validate.stage import validate

__all__ = ["validate"]
