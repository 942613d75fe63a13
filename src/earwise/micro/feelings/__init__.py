"""The micro laboratory of feelings: speech with the feeling in the voice, and sounds with known truth."""
