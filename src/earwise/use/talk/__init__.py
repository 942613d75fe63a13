"""The page at `/` of a server: show a picture, speak a question, read and compare the answers."""
