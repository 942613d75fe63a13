"""Terms: one file each. To add one, write its settings, its class, and list the pair here."""

from __future__ import annotations

from earwise import settings
from earwise.distil.terms.base import Side, Term
from earwise.distil.terms.layers import Layers
from earwise.distil.terms.logits import Logits
from earwise.distil.terms.sft import Sft

__all__ = ["Side", "Term", "make_term"]


def make_term(config: settings.Term) -> Term:
    """The term that `config` describes."""
    match config:
        case settings.SftTerm():
            return Sft(config)
        case settings.LogitsTerm():
            return Logits(config)
        case settings.LayersTerm():
            return Layers(config)
