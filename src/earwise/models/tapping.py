"""A tap between a decoder's attention layers and the attention function that they call.

`tapping` passes the queries and keys of chosen layers to a function and then calls the attention function with
unchanged arguments. The model's output stays the same, bit for bit.

Shapes: B samples, S of them, L tokens of the pass, C keys (cached ones first), r rows, H query heads, G groups of them
per key head, D head width.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from earwise.errors import InputError

Take = Callable[[nn.Module, Tensor, Tensor, Tensor | None, float], None]
"""Takes the attention module, its queries (B, H, L, D) and keys (B, H / G, C, D), both after the rotary embedding, the
mask (B or 1, 1, L, C) and the scaling. The mask is True where a row sees a key, or is added to the scores; None means
plain causality."""

_IMPLEMENTATIONS = ("eager", "sdpa")


@contextmanager
def tapping(decoder: PreTrainedModel, layers: Sequence[nn.Module], take: Take) -> Iterator[None]:
    """Call `take` for every pass through one of `layers`, attention modules of `decoder`, inside the block.

    Hugging Face keeps its attention functions in one table, so the tap is installed for the whole process. It ignores
    all other layers. Raises `InputError` for an implementation other than eager and SDPA.
    """
    name = str(decoder.config._attn_implementation)
    if name not in _IMPLEMENTATIONS:
        raise InputError(
            f"attention cannot be tapped in the implementation {name!r}",
            remedy=f"load the model with {' or '.join(_IMPLEMENTATIONS)}",
        )
    table = _scope(layers[0])["ALL_ATTENTION_FUNCTIONS"]
    before = table.get(name)
    table[name] = _with_tap(before, set(layers), take)
    try:
        yield
    finally:
        del table[name]
        if table.get(name) is not before:  # another tap is open around this one
            table[name] = before


def attention_layers(decoder: PreTrainedModel, layers: Sequence[int] | None = None) -> list[nn.Module]:
    """The attention modules of all decoder layers, or of those with the given numbers, from 0.

    Raises `InputError` for a number without a layer, and for a layer that has a recurrent state in place of attention.
    """
    every = [cast(nn.Module | None, getattr(layer, "self_attn", None)) for layer in cast(nn.ModuleList, decoder.layers)]
    for number in layers or ():
        if not 0 <= number < len(every):
            raise InputError(f"there is no layer {number}", remedy=f"the decoder has layers 0 to {len(every) - 1}")
    found = [every[number] for number in (range(len(every)) if layers is None else layers)]
    if None in found:
        with_attention = ", ".join(str(number) for number, one in enumerate(every) if one is not None)
        what = "some of the asked layers have no attention but a recurrent state"
        raise InputError(what, remedy=f"ask for layers with attention: {with_attention}")
    return cast(list[nn.Module], found)


def hide_unseen(scores: Tensor, mask: Tensor | None, samples: Sequence[int], rows: Tensor, length: int) -> Tensor:
    """Hide, in place, the `scores` (S, H / G, G, r, C) of keys that the `rows` (S, r) of the `samples` do not see.

    `mask` is as in `Take`, `length` is L.
    """
    if mask is None:  # plain causality: the pass holds the last `length` of all tokens
        columns = torch.arange(scores.shape[-1], device=scores.device)
        hidden = columns > rows[..., None] + (scores.shape[-1] - length)
        return scores.masked_fill_(hidden[:, None, None], float("-inf"))
    which = torch.tensor(samples if mask.shape[0] > 1 else [0] * len(samples), device=rows.device)
    own = mask[which[:, None], 0, rows][:, None, None, :, : scores.shape[-1]]  # (S, r, C), never all L rows
    return scores.masked_fill_(~own, float("-inf")) if own.dtype == torch.bool else scores.add_(own)


def _with_tap(before: Callable | None, chosen: set[nn.Module], take: Take) -> Callable:
    """The attention function `before` with a tap on the layers of `chosen`.

    Eager attention is not in the table: each file of transformers has its own function. The tap calls that one, also
    for other modules that look up the same name, such as a vision tower.
    """

    def attend(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
    ) -> Any:
        if module in chosen:
            take(module, query, key, attention_mask, options["scaling"])
        function = before or _scope(module)["eager_attention_forward"]
        return function(module, query, key, value, attention_mask, **options)

    return attend


def _scope(attention: nn.Module) -> dict[str, Any]:
    """The globals of an attention class's file: its table of attention functions, and its eager function."""
    return inspect.unwrap(type(attention).forward).__globals__
