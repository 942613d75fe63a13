"""Traces: sampling of reasoned answers, agreement of samples, and verification of their claims against the sound."""
