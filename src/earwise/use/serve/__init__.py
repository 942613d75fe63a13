"""A server that answers as OpenAI's API does, on one model."""
