"""Attention analysis: the decoder's attention by kind of token, for the same question typed and spoken.

`records`, `shares` and `summary` need no torch; `taps`, `measure` and `runner` run models.
"""
