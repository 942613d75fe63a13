"""Terms: one file each. To add one, write its settings, its class, and list the pair here."""

from __future__ import annotations

from earwise.distil.terms.acoustic import Acoustic
from earwise.distil.terms.attention import Attention
from earwise.distil.terms.base import Side, Term
from earwise.distil.terms.first_token import FirstToken
from earwise.distil.terms.input_alignment import InputAlignment
from earwise.distil.terms.layer_map import LayerMap
from earwise.distil.terms.layers import Layers
from earwise.distil.terms.logits import Logits
from earwise.distil.terms.sft import Sft
from earwise.errors import EarwiseError
from earwise.recipe.terms import AcousticTerm, AttentionTerm, FirstTokenTerm, GrpoTerm, InputAlignmentTerm, LayerMapTerm
from earwise.recipe.train import LayersTerm, LogitsTerm, SftTerm
from earwise.recipe.train import Term as TermSettings

__all__ = ["Side", "Term", "make_term"]


def make_term(config: TermSettings) -> Term:
    """The term that `config` describes."""
    match config:
        case SftTerm():
            return Sft(config)
        case LogitsTerm():
            return Logits(config)
        case LayersTerm():
            return Layers(config)
        case LayerMapTerm():
            return LayerMap(config)
        case AttentionTerm():
            return Attention(config)
        case FirstTokenTerm():
            return FirstToken(config)
        case InputAlignmentTerm():
            return InputAlignment(config)
        case AcousticTerm():
            return Acoustic(config)
        case GrpoTerm():
            raise EarwiseError("grpo compares no states: it is an objective of its own (`distil.policy`)")
