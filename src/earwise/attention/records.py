"""Records of one item's attention: shares by kind of token and layer, from the query and from the response.

Shapes: K analysed layers, 4 kinds in the order of `KINDS`.
"""

from __future__ import annotations

from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from earwise.records import NonEmpty, Record, View

Kind = Literal["vision", "query", "response", "rest"]
"""Kinds of tokens: an image's placeholder, part of the query (typed instruction, words or clip, typed suffix), part of
the response with its end-of-turn token, or anything else (system prompt, template, markers around an image)."""

KINDS: tuple[Kind, ...] = get_args(Kind)

Source = Literal["query", "response"]
"""Sources of attention."""

SOURCES: tuple[Source, ...] = get_args(Source)

Variant = Literal["share", "matched", "per_token", "relative"]
"""See `Flow`."""

VARIANTS: tuple[Variant, ...] = get_args(Variant)

Matrix = tuple[tuple[float, ...], ...]
"""(K, 4): one row per layer, one column per kind."""


class Flow(Record):
    """Attention of one source's tokens. All numbers are means over these tokens and over heads.

    `share` is the part of a token's attention that a kind of key takes; the four parts sum to 1. `matched` is the same
    after the keys of the query are weighed as if there were as many as when the item is typed, see
    `earwise.attention.shares.matched`. `visible` is how many tokens of a kind a token sees, itself included, and
    `uniform` the share that they would have if all seen tokens were attended to alike.
    """

    rows: int = Field(ge=1)
    """How many tokens attend."""
    visible: tuple[float, float, float, float]
    uniform: tuple[float, float, float, float]
    share: Matrix
    matched: Matrix

    @model_validator(mode="after")
    def _every_layer_has_every_kind(self) -> Self:
        if len(self.share) != len(self.matched) or {len(row) for row in (*self.share, *self.matched)} != {len(KINDS)}:
            raise ValueError(f"share and matched need one row per layer and {len(KINDS)} columns")
        return self

    def values(self, variant: Variant, kind: Kind) -> tuple[float, ...] | None:
        """One number per layer; None where nothing of `kind` is seen and the variant divides by how much there is.

        `per_token` is the share divided by the tokens of the kind, `relative` the share divided by its uniform one.
        """
        n = KINDS.index(kind)
        column = tuple(row[n] for row in (self.matched if variant == "matched" else self.share))
        if variant in ("share", "matched"):
            return column
        base = (self.visible if variant == "per_token" else self.uniform)[n]
        return tuple(value / base for value in column) if base else None


class Sink(Record):
    """A key that takes more than a stated share of a source's attention in one layer."""

    source: Source
    layer: int = Field(ge=0)
    position: int = Field(ge=0)
    """Among all tokens of the item under its view."""
    kind: Kind
    token: str
    """The tokenizer's text; empty for a token of a clip."""
    share: float
    """Share of the attention of the source's tokens, mean over tokens and heads."""


class AttentionRow(Record):
    """One item under one view, read by one model."""

    item: NonEmpty
    source: NonEmpty
    """Benchmark of the item."""
    model: NonEmpty
    view: View
    cluster: NonEmpty
    layers: tuple[int, ...] = Field(min_length=1)
    """Numbers of the analysed decoder layers, from 0."""
    query: Flow
    response: Flow
    sinks: tuple[Sink, ...] = ()

    @property
    def key(self) -> str:
        """Benchmark, item, view and model."""
        return f"{self.source}|{self.item}|{self.view}|{self.model}"

    def flow(self, source: Source) -> Flow:
        """Attention from the tokens of the query, or from those of the response."""
        return self.query if source == "query" else self.response

    @model_validator(mode="after")
    def _one_row_per_layer(self) -> Self:
        if {len(self.query.share), len(self.response.share)} != {len(self.layers)}:
            raise ValueError(f"{len(self.layers)} layers are named")
        return self
