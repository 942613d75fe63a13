"""Input from outside and output to people: text files, HTTP answers, limits, printed lines."""
