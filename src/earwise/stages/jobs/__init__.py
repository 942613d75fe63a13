"""Jobs: what each kind of stage reads, as values, one file per kind, without torch."""
