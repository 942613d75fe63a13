"""A package that adds a term, a family and an engine to earwise, as somebody else's would."""
