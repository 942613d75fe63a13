"""The plan of a recipe, without training: dropped and trained items, costs, and items as tokens."""

from earwise.planning.page import plan

__all__ = ["plan"]
