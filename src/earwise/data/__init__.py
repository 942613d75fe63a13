"""Readers of public file formats, and loading and checks of media. No other package parses data files."""
