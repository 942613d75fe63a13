"""How written things are said: one file per kind, each a few pure functions from text to text or number to words."""
