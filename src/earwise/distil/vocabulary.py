"""The tokens that two models have in common, on which their next-token distributions can be compared."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from earwise.errors import InputError

_ENOUGH = 0.9
"""The share of the smaller vocabulary that must be common: a distribution over it is then still the model's own."""


def shared_vocabulary(
    student: PreTrainedTokenizerBase, teacher: PreTrainedTokenizerBase, *, student_name: str, teacher_name: str
) -> int:
    """How many ids, from 0 on, are the same token in both tokenizers. Tokenizers of one family agree on all words and
    differ in the special tokens after them (Qwen2.5-Omni's `<|audio_bos|>` is Qwen3's `<|box_start|>`). Both heads are
    cut at the first difference, before the softmax: later tokens and padding are not compared. Raises `InputError` if
    less than nine tenths of the smaller vocabulary is common.
    """
    mine, theirs = (tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))) for tokenizer in (student, teacher))
    smaller = min(len(mine), len(theirs))
    common = next((i for i in range(smaller) if mine[i] != theirs[i]), smaller)
    if common < _ENOUGH * smaller:
        raise InputError(
            f"{teacher_name} and {student_name} share the first {common} of {smaller} tokens only: token {common} is "
            f"{theirs[common]!r} in the first and {mine[common]!r} in the second",
            remedy="teacher and student must share a tokenizer; its special tokens may differ",
        )
    return common
