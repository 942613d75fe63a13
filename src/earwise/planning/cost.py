"""The cost of a training step, counted and not measured: matrix products and bytes.

Products count as 2 operations per multiply-add. In the backward pass, a linear layer costs the same again for the
gradient of its input, and once more if it is trained. Attention costs twice its forward pass if its map is stored, and
two and a half times if a fused kernel recomputes the scores. It is counted as the dense product, including the half
under the causal mask. Padding, norms and activations are left out.

`bench/flops.py` compares these numbers with counts at the sizes of published models (docs/results/flops.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from earwise.models.batch import MIN_PREFIX
from earwise.models.layout import Layout
from earwise.models.prefix import shared_prefix
from earwise.planning.sizes import AGAIN_FUSED, AGAIN_MAP, Shown, Sizes
from earwise.recipe.terms import GrpoTerm, LayerMapTerm
from earwise.recipe.train import LayersTerm, LogitsTerm, SftTerm, Term


@dataclass(frozen=True)
class Pass:
    """A pass of a training step: its inputs, and whether the student learns in it."""

    shown: Sequence[Shown]
    learns: bool
    shares: bool = True
    """Whether it continues on the shared prefix; another model's pass does not."""


def shared_starts(rows: Sequence[Sequence[Layout]]) -> list[int]:
    """Tokens of each sample that are computed once, as `collate` decides for a training.

    `rows` holds the layouts of each sample, one for each pass of the student's own weights. A single pass has a prefix
    as well, because the tokens before its first clip need no gradient.
    """
    starts = [shared_prefix(row, with_audio=False) for row in rows]
    turns = any(layout.starts for row in rows for layout in row)
    return starts if not turns and max(starts) >= MIN_PREFIX else [0] * len(rows)


def step_flops(
    passes: Sequence[Pass], prefixes: Sequence[int], terms: Sequence[Term | GrpoTerm], sizes: Sizes
) -> float:
    """Operations of one forward and backward pass over a batch.

    Args:
        passes: the student's first; each with the samples of the batch in the same order.
        prefixes: tokens of each sample that are computed once for all passes.
        terms: the terms at the response tokens.
        sizes: of the model.
    """
    total = 0.0
    for number, one in enumerate(passes):
        for place, (shown, prefix) in enumerate(zip(one.shown, prefixes, strict=True)):
            before = prefix if one.shares else 0
            if number == 0 and prefix:
                total += _decoder(prefix, 0, sizes, learns=False)
            if not any(earlier.shown[place].patches for earlier in passes[:number]):  # The tower runs once per image.
                total += _seeing(shown, sizes)
            total += _decoder(shown.tokens - before, before, sizes, learns=one.learns)
            total += sizes.hearing.flops(shown, learns=one.learns)
    responses = sum(shown.responses for shown in passes[0].shown)
    products = sum(_products(term, sizes) for term in terms)
    return total + products * 2 * sizes.head * responses


def _seeing(shown: Shown, sizes: Sizes) -> float:
    """Operations of the vision tower, which is frozen, on the images of a sample."""
    linear = 2 * (sizes.vision * shown.patches + sizes.merger * shown.image_tokens)
    return linear + 4 * sizes.vision_width * shown.patch_pairs


def drawing_flops(prompts: Sequence[Shown], sizes: Sizes, *, answers: int, tokens: int) -> float:
    """Operations of sampling `answers` answers of `tokens` tokens to each of `prompts`. The length of answers is not
    known, so this is an estimate; with the limit for `tokens` it is the maximum.

    Each prompt goes through the model once. A decoding step then adds one token to every answer and computes one row of
    logits; the last token of an answer needs no pass.
    """
    total, steps = 0.0, tokens - 1
    for shown in prompts:
        total += _seeing(shown, sizes) + sizes.hearing.flops(shown, learns=False)
        total += _decoder(shown.tokens, 0, sizes, learns=False)
        seen = steps * shown.tokens + steps * (steps + 1) / 2
        decoding = 2 * sizes.decoder * steps + 4 * sizes.layers * sizes.attention_width * seen
        total += answers * (decoding + 2 * sizes.head * tokens)
    return total


def _decoder(new: int, before: int, sizes: Sizes, *, learns: bool) -> float:
    """Operations on `new` tokens after `before` others. Frozen layers compute the gradient of their input, trained
    layers also that of their weights.
    """
    linear = 2 * sizes.decoder * new
    attention = 4 * sizes.layers * sizes.attention_width * new * (before + new)
    if not learns:
        return linear + attention
    again = AGAIN_MAP if sizes.keeps_maps else AGAIN_FUSED
    return linear * (3 if sizes.trains_decoder else 2) + attention * (1 + again)


def _products(term: Term | GrpoTerm, sizes: Sizes) -> int:
    """Products with the head at each response token.

    Cross entropy and GRPO make the student's logits, make them again in the backward pass, and their gradient. A
    divergence makes both sides' logits and the gradient; for a head that is trained it makes the logits again. Such a
    head has a gradient of its own, too. A reference, which GRPO has where `beta` is not 0, has logits as well.
    """
    trained = sizes.trains_decoder
    if isinstance(term, SftTerm):
        return 4 if trained else 3
    if isinstance(term, GrpoTerm):
        return (4 if trained else 3) + (1 if term.beta else 0)
    divergence = 6 if trained else 3
    if isinstance(term, LayerMapTerm) and term.space == "logit_lens":
        return divergence * (sizes.layers // term.every)
    return divergence if isinstance(term, LogitsTerm) else 0


@dataclass(frozen=True)
class Memory:
    """Bytes of a training run on one device."""

    weights: float
    """The base, and second copies of weights (`Sizes.copies`)."""
    optimiser: float
    """Trained weights in float32, their gradients and AdamW's two moments."""
    activations: float
    """Tensors for the student's backward pass, and the shared keys and values."""
    logits: float
    """The largest block of logits."""

    @property
    def total(self) -> float:
        """The sum."""
        return self.weights + self.optimiser + self.activations + self.logits


def step_memory(
    student: Pass, prefixes: Sequence[int], sizes: Sizes, terms: Sequence[Term | GrpoTerm], *, batch: int
) -> Memory:
    """Memory of a step over `batch` samples like the given ones."""
    rows = list(zip(student.shown, prefixes, strict=True))
    # A single row without a prefix needs no mask; with one, keys and values are copied for every head that reads them.
    masked = len(rows) > 1 or batch > 1 or any(prefixes) or any(shown.has_turns for shown in student.shown)
    activations = sum(_kept_by_decoder(shown, prefix, sizes, masked=masked) for shown, prefix in rows)
    activations += sum(_kept_by_ears(shown, sizes) for shown in student.shown)
    if any(isinstance(term, LayersTerm) for term in terms):  # the difference of the views, in float32
        activations += 4 * sizes.layers * sizes.width * sum(shown.responses for shown in student.shown)
    activations *= batch / len(rows)
    return Memory(sizes.base_bytes + sizes.copies, 16 * sizes.trainable, activations, sizes.workspace)


def _kept_by_decoder(shown: Shown, prefix: int, sizes: Sizes, *, masked: bool) -> float:
    """Bytes that the decoder stores for one sample's backward pass.

    A frozen layer keeps what its two norms read, in float32; queries, and what attention gives; three vectors of the
    feed-forward network; and the keys and values of all tokens that are attended to. Attention keeps its maps, made in
    float32 and cast, or a mask and a number per head. A trained layer keeps what its products read, as well.
    """
    size, new = sizes.value_bytes, shown.tokens - prefix
    token = 2 * 4 * sizes.width + size * (sizes.attention_width + 3 * sizes.feed_forward)
    copied = sizes.keeps_maps or masked
    kept = 2 * size * shown.tokens * (sizes.attention_width if copied else sizes.key_value_width)
    pairs = new * shown.tokens
    if sizes.keeps_maps:
        kept += sizes.heads * pairs * (4 + (size if size < 4 else 0))
    else:
        token += size * sizes.attention_width + 4 * sizes.heads
        kept += size * pairs if masked and not shown.has_turns else 0
    if sizes.trains_decoder:
        token += size * (2 * sizes.width + sizes.attention_width + sizes.feed_forward)
    return sizes.layers * (token * new + kept)


def _kept_by_ears(shown: Shown, sizes: Sizes) -> float:
    """Bytes that ears with a trained encoder store for one sample.

    A layer keeps what its two norms read, in float32, and 14 vectors; 16 where each product casts what it reads. Once
    come what the two convolutions read and give, and what the last norm and the projector read.
    """
    hearing, size = sizes.hearing, sizes.value_bytes
    if not hearing.trains_encoder:
        return 0.0
    layer = hearing.width * (2 * 4 + size * (16 if size == 2 else 14))
    once = 2 * 4 * hearing.width
    once += 0 if hearing.frozen else size * (2 * hearing.mel_bins + 6 * hearing.width)
    return shown.states * (hearing.layers * layer + once)
