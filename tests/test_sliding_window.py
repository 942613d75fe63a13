"""Decoders whose layers forget answer in a batch as they do alone: padding is no part of a window or of a state."""

from dataclasses import replace

import pytest
import torch
from text_models import text_tokenizer
from tiny import tiny_model, tiny_samples
from tiny_families import draw_weights
from tokenizers_of_all_kinds import byte_level
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GenerationConfig,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3_5ForCausalLM,
    Qwen3_5TextConfig,
)

from earwise.errors import EarwiseError
from earwise.models import Sample
from earwise.models.batch import collate
from earwise.traces.local_sampling import sample
from earwise.traces.requests import Sampling

WINDOW = 6
NEW = 12
"""Tokens of an answer: more than a window."""
FORGETTING = ["sliding_attention", "full_attention", "sliding_attention"]
STATES = {"linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4}
MAKE = {
    "qwen2": lambda size: Qwen2ForCausalLM(
        Qwen2Config(**size, sliding_window=WINDOW, use_sliding_window=True, max_window_layers=1)
    ),
    "mistral": lambda size: MistralForCausalLM(MistralConfig(**size, sliding_window=WINDOW, head_dim=12)),
    "gemma3": lambda size: Gemma3ForCausalLM(
        Gemma3TextConfig(**size, sliding_window=WINDOW, layer_types=FORGETTING, head_dim=12, query_pre_attn_scalar=12)
    ),
    "qwen3_5": lambda size: Qwen3_5ForCausalLM(
        Qwen3_5TextConfig(
            **size, **STATES, layer_types=[one.replace("sliding", "linear") for one in FORGETTING], head_dim=16
        )
    ),
}
WORDS = "is there a red star or a blue circle in the picture and is the green square left of it".split()


WHY = {"qwen3_5": "linear-attention layers keep a state"}
"""Why no prefix is shared, if not for windows."""


@pytest.fixture(scope="module", params=["qwen2", "mistral", "gemma3", "qwen3_5"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def model(kind, tmp_path_factory):
    """Windows in the upper of three layers (Qwen2), in two (Gemma 3) or in all (Mistral); prompts are longer than a
    window. Two layers of Qwen3.5 have a recurrent state."""
    tokenizer = byte_level() if kind == "qwen3_5" else text_tokenizer()
    size = {
        "vocab_size": len(tokenizer), "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False, "pad_token_id": None,
        "bos_token_id": None, "eos_token_id": tokenizer.eos_token_id,
    }  # fmt: skip
    made = MAKE[kind](size)
    draw_weights(made, seed=3)
    made.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id)
    folder = tmp_path_factory.mktemp(kind)
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return tiny_model(folder)


def asked(folder, lengths=(18, 3, 9, 1)):
    """Samples whose questions have so many words."""
    samples = []
    for one, length in zip(tiny_samples(folder, len(lengths)), lengths, strict=True):
        turn = replace(one.turns[0], text=" ".join(WORDS[:length]))
        samples.append(Sample((turn,)))
    return samples


def drawn(model, samples, temperature=0.0):
    layouts = [model.layouts.build(one, "text_only", answers=False) for one in samples]
    prompt = collate({"p": layouts}, model.family, share_prefix=False).views["p"]
    seeds = [[len(layout), len(layout) + 1] for layout in layouts]
    return [one.ids for one in sample(model, prompt, seeds, Sampling(max_tokens=NEW, temperature=temperature))]


def test_answers_in_a_batch_are_those_alone_and_those_of_transformers(model, tmp_path):
    samples = asked(tmp_path)
    together = model.generate(samples, view="text_only", max_new_tokens=NEW)
    assert together == [model.generate([one], view="text_only", max_new_tokens=NEW)[0] for one in samples]
    assert len(set(together)) > 1
    for one, answer in zip(samples, together, strict=True):
        ids = torch.tensor([model.layouts.build(one, "text_only", answers=False).ids])
        out = model.base.generate(ids, max_new_tokens=NEW, do_sample=False, pad_token_id=0)[0, ids.shape[1] :]
        assert model.family.tokenizer.decode(out, skip_special_tokens=True).strip() == answer


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_samples_in_a_batch_are_those_alone(temperature, model, tmp_path):
    samples = asked(tmp_path)
    alone = [ids for one in samples for ids in drawn(model, [one], temperature)]
    assert drawn(model, samples, temperature) == alone


def test_views_share_no_prefix(model, kind, tmp_path):
    assert WHY.get(kind, "sliding-window layers forget keys") in model.no_shared_prefix
    samples = asked(tmp_path)
    spoken = model.generate_views(samples, views=["text_only", "speech_only"], max_new_tokens=NEW)
    assert spoken["speech_only"] == [model.generate([s], view="speech_only", max_new_tokens=NEW)[0] for s in samples]


def test_independent_turns_are_as_if_each_were_asked_alone(model, kind, tmp_path):
    turns = [one.turns[0] for one in asked(tmp_path)]
    rows = {"together": [Sample(tuple(turns), independent=True)]}
    states = {}
    if kind == "qwen3_5":
        layout = model.layouts.build(Sample(tuple(turns), independent=True), "text_only", answers=True)
        with pytest.raises(EarwiseError, match="independent turns are not possible with linear_attention layers"):
            model(collate({"together": [layout]}, model.family, share_prefix=False))
        return
    for name, some in (rows | {str(n): [Sample((turn,))] for n, turn in enumerate(turns)}).items():
        layouts = [model.layouts.build(one, "text_only", answers=True) for one in some]
        with torch.no_grad():
            states[name] = model(collate({name: layouts}, model.family, share_prefix=False))[name].hidden
    alone = torch.cat([states[str(n)] for n in range(len(turns))])
    torch.testing.assert_close(states["together"], alone, atol=1e-5, rtol=1e-4)
