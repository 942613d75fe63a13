"""Rules of the spoken form: one file per kind of text, with pure functions from text to text or number to words."""
