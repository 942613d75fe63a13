"""The laboratory for a laptop: it writes pictures, questions, benchmarks and tiny model folders."""
