"""Use of a trained model: ask it, serve it, talk to it, export it."""
