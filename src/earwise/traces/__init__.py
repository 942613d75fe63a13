"""Traces: models are asked for reasoned answers, samples are made to agree, and what they claim is checked by ear."""
