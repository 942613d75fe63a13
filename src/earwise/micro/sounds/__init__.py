"""The micro sound laboratory: short clips of things that are seen and heard, with known truth."""
