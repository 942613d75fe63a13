"""The micro sound laboratory: short clips of sounding things, seen and heard, whose truth is known."""
