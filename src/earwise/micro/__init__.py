"""The laboratory for a laptop, which writes pictures, questions, benchmarks and tiny model folders."""
