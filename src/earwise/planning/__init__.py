"""What a recipe would do, told without training: what is left out and trained, what it costs, items as tokens."""

from earwise.planning.page import plan

__all__ = ["plan"]
