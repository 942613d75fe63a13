"""Runs and their stages, stores, locks, processes, threads, progress."""
