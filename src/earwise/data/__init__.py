"""Public file formats become `Item`s here; media are loaded and checked; no other package parses a data file."""
