"""What comes in from outside and what a person is told: text files, HTTP answers, limits, printed lines."""
