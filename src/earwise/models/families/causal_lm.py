"""A text language model of any architecture. It reads every view of typed text.

It can be a text teacher (arXiv 2509.18579), or a base that gets `Ears`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from earwise.errors import InputError
from earwise.models.families.base import Family

_AFTER_THE_HEAD = {"final_logit_softcapping": None, "logit_scale": 1.0, "logits_scaling": 1.0}
"""Config keys of changes to the logits after the head, and the value without an effect."""


class CausalLM(Family):
    """Any model of `AutoModelForCausalLM` whose logits are the head's output for the final norm."""

    name = "causal_lm"
    model_class = AutoModelForCausalLM
    sees = False

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        image_processor: Any = None,
        feature_extractor: Any = None,
    ) -> None:
        super().__init__(model, tokenizer, image_processor, feature_extractor)
        changes = [
            key for key, nothing in _AFTER_THE_HEAD.items() if getattr(model.config, key, None) not in (None, nothing)
        ]
        if getattr(model.get_output_embeddings(), "bias", None) is not None:
            changes.append("a bias of the head")
        if changes:
            what = f"the model changes its logits after the head ({', '.join(changes)}), and losses here would not"
            raise InputError(
                what, file=tokenizer.name_or_path, remedy="take a model whose logits are those of its head"
            )

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
