"""A finished model as a folder for plain transformers, without earwise."""
