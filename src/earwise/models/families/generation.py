"""A warning about settings of a checkpoint's generation_config that greedy answers ignore."""

from __future__ import annotations

import logging
from typing import Any, Final

_PLAIN: Final[dict[str, tuple[Any, ...]]] = {
    "repetition_penalty": (1.0,),
    "encoder_repetition_penalty": (1.0,),
    "no_repeat_ngram_size": (0,),
    "encoder_no_repeat_ngram_size": (0,),
    "bad_words_ids": ([],),
    "sequence_bias": ({}, []),
    "suppress_tokens": ([],),
    "begin_suppress_tokens": ([],),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "exponential_decay_length_penalty": (),
    "num_beams": (1,),
    "guidance_scale": (1.0,),
    "penalty_alpha": (0.0,),
}
"""Settings that change greedy answers, and their values without an effect; None also has none."""

log = logging.getLogger(__name__)
_warned: set[tuple[str, str]] = set()


def ignored(config: Any) -> dict[str, Any]:
    """The settings of a `GenerationConfig` that would change a greedy answer."""
    asked = {name: getattr(config, name, None) for name in _PLAIN}
    return {name: value for name, value in asked.items() if value is not None and value not in _PLAIN[name]}


def warn_of_ignored(config: Any, base: str) -> None:
    """Log the settings that are `ignored`, once for each model and process."""
    found = ", ".join(f"{name} = {value}" for name, value in ignored(config).items())
    if found and (base, found) not in _warned:
        _warned.add((base, found))
        log.warning("%s: its generation_config sets %s; answers here are plainly greedy and ignore it", base, found)
