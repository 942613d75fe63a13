"""Attention analysis: where the decoder looks, by kind of token, when the same question is typed or spoken.

`records`, `shares` and `summary` need no torch; `taps`, `measure` and `runner` run models.
"""
