"""The micro laboratory of feelings: speech whose feeling is in how it is said, beside sounds whose truth is known."""
