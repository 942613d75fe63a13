"""Terms: one file each. To add one, write its class here, its settings and a line of the union in `recipe/terms.py`."""

from __future__ import annotations

from earwise.distil.terms.base import Side, Term, Wanted
from earwise.errors import EarwiseError
from earwise.recipe.plugged import made
from earwise.recipe.terms import GrpoTerm
from earwise.recipe.terms import Term as TermSettings

__all__ = ["Side", "Term", "Wanted", "make_term"]


def make_term(config: TermSettings) -> Term:
    """The term that `config` describes. Raises `InputError` if a plugin cannot be loaded."""
    if isinstance(config, GrpoTerm):
        raise EarwiseError("grpo compares no states: it is an objective of its own (`distil.policy`)")
    term: Term = made(config, Term)
    return term
