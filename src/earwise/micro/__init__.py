"""The laboratory that fits a laptop: it writes pictures, questions, benchmarks and tiny model folders for the rest."""
