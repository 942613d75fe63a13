"""A text language model of any architecture. It reads every view of typed text.

It can be a text teacher (arXiv 2509.18579), or a base that gets `Ears`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from earwise.models.families.base import Family


class CausalLM(Family):
    """Any model of `AutoModelForCausalLM` whose logits are the head's output for the final norm."""

    name = "causal_lm"
    model_class = AutoModelForCausalLM
    sees = False

    @property
    def backbone(self) -> PreTrainedModel:
        """The decoder without its head."""
        return cast(PreTrainedModel, self.model.base_model)

    def render(self, queries: Sequence[str], answers: Sequence[str], num_images: int, *, system: str = "") -> str:
        """As in every family, but with plain strings: templates of text models do not accept lists of parts."""
        assert num_images == 0
        messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
        for query, answer in zip(queries, answers, strict=True):
            messages += [{"role": "user", "content": query}, {"role": "assistant", "content": answer}]
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False))


def is_causal_lm(model_type: str) -> bool:
    """Whether transformers has a causal language model of this `model_type`."""
    return model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
