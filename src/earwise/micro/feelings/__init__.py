"""The micro laboratory of feelings: speech with the feeling in the voice, beside sounds with known truth."""
