"""What a recipe would do, told without training: items as tokens, what is trained, what it costs, what is left out."""

from earwise.planning.page import plan

__all__ = ["plan"]
