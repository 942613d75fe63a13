"""earwise beside Hugging Face: the same conversations through both, on tiny random checkpoints of every family."""
