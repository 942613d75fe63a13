"""Any causal language model as teacher: it reads a description in its own words, depth and width."""

import pytest
import torch
from text_models import described_sounds, losses, text_tokenizer, write_text_model
from tiny import tiny_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from earwise.distil.objective import Objective
from earwise.distil.teachers import LiveTeacher
from earwise.distil.terms import make_term
from earwise.distil.vocabulary import shared_vocabulary
from earwise.errors import InputError
from earwise.micro.tokenizer import build_tokenizer
from earwise.models import OmniModel
from earwise.models.states import Wants
from earwise.recipe.train import LogitsTerm

TOP = LogitsTerm(type="logits", weight=1.0, teacher="text", view="description_text", divergence="jsd")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("text")
    return {name: write_text_model(root / name, name) for name in ("qwen3", "llama", "gpt2")}


def objective_of(model, teacher, settings=TOP):
    return Objective("sound_text", [make_term(settings)], model, teachers={"text": teacher})


def common(student, teacher):
    return shared_vocabulary(student, teacher, student_name="student", teacher_name="teacher")


@pytest.mark.parametrize("architecture", ["qwen3", "llama", "gpt2"])
def test_it_reads_the_description_in_its_own_template(architecture, folders, tmp_path):
    """States are those of the architecture's own forward pass over the text that its template renders."""
    teacher = OmniModel.from_pretrained(str(folders[architecture]))
    sample = described_sounds(tmp_path)[1]
    layout = teacher.layouts.build(sample, "description_text", answers=True)
    tokenizer = AutoTokenizer.from_pretrained(folders[architecture])
    turn = sample.turns[0]
    messages = [
        {"role": "user", "content": f"{turn.description}\n\n{turn.text}"},
        {"role": "assistant", "content": turn.item.answers[0]},
    ]
    ids = tokenizer.encode(tokenizer.apply_chat_template(messages, tokenize=False), add_special_tokens=False)
    assert list(layout.ids) == ids
    assert tokenizer.convert_ids_to_tokens(ids[layout.prompt_stop :])[:4] == ["yes", "it", "is", "<|im_end|>"]
    assert "</think>" in tokenizer.convert_ids_to_tokens(ids[: layout.prompt_stop])

    own = AutoModelForCausalLM.from_pretrained(folders[architecture]).eval()
    with torch.no_grad():
        logits = own(torch.tensor([ids])).logits[0, layout.prompt_stop - 1 : layout.prompt_stop + 3]
    live = LiveTeacher(teacher)
    states = live.states(live.collate([sample], "description_text"), Wants(layers=frozenset({1})))
    torch.testing.assert_close(states.hidden @ teacher.family.head_weight.T, logits, atol=1e-4, rtol=1e-4)
    assert states.layers.shape == (4, 4, 48)


def test_of_two_tokenizers_the_first_words_are_shared_and_special_tokens_are_not():
    student, teacher = build_tokenizer("internvl"), build_tokenizer("internvl")
    words = len(student)
    student.add_tokens(["<|audio_bos|>"], special_tokens=True)
    teacher.add_tokens(["<think>", "</think>"], special_tokens=True)
    assert common(student, teacher) == words
    assert common(teacher, teacher) == words + 2


def test_tokenizers_that_differ_in_their_words_are_refused():
    student, teacher = build_tokenizer("internvl"), text_tokenizer()
    assert common(student, teacher) == len(student)
    words = teacher.convert_ids_to_tokens(range(len(teacher)))
    teacher.convert_ids_to_tokens = lambda ids: [words[i] for i in ids][::-1]
    with pytest.raises(InputError, match=r"teacher and student share the first 0 of \d+ tokens only"):
        common(student, teacher)


def test_rows_beyond_the_shared_words_have_no_say(folders, tiny_checkpoints, tmp_path):
    """Neither padding nor the tokens that only one of the two has: on either side."""
    model, samples = tiny_model(tiny_checkpoints["internvl"]), described_sounds(tmp_path)
    teacher = OmniModel.from_pretrained(str(folders["qwen3"]))
    objective = objective_of(model, teacher)
    before = losses(objective, model, samples)["logits"].detach()
    shared = objective.shared["text"]
    assert shared == len(model.family.tokenizer) < len(teacher.family.tokenizer) < len(teacher.family.head_weight)
    with torch.no_grad():
        teacher.family.head_weight[shared:] += 3.0
        model.family.head_weight[shared:] -= 3.0
    torch.testing.assert_close(losses(objective, model, samples)["logits"].detach(), before)
    with torch.no_grad():
        teacher.family.head_weight[shared - 1] += 3.0
    assert not torch.allclose(losses(objective, model, samples)["logits"].detach(), before)


def test_the_value_is_the_divergence_of_the_two_models_own_softmax(folders, tiny_checkpoints, tmp_path):
    model, samples = tiny_model(tiny_checkpoints["internvl"]), described_sounds(tmp_path)
    teacher = OmniModel.from_pretrained(str(folders["llama"]))
    objective = objective_of(model, teacher)
    states = objective.states(model, objective.collate(samples)["batch"])
    n = objective.shared["text"]
    s = (states["student/sound_text"].hidden @ model.family.head_weight[:n].T).softmax(-1)
    t = (states["text/description_text"].hidden @ teacher.family.head_weight[:n].T).softmax(-1)
    m = (s + t) / 2
    expected = ((t * (t / m).log()).sum(-1) + (s * (s / m).log()).sum(-1)) / 2
    torch.testing.assert_close(objective.values(states)["logits"], expected, atol=1e-5, rtol=1e-4)


def test_a_response_in_other_tokens_is_one_clear_error(tiny_checkpoints, tmp_path):
    model, samples = tiny_model(tiny_checkpoints["internvl"]), described_sounds(tmp_path)
    tokenizer = text_tokenizer()
    tokenizer.add_tokens(["yes it"])
    teacher = OmniModel.from_pretrained(str(write_text_model(tmp_path / "other", tokenizer=tokenizer)))
    with pytest.raises(InputError, match="text/description_text splits the responses into other tokens"):
        objective_of(model, teacher).collate(samples)


def test_an_end_of_turn_that_is_another_token_to_the_teacher_is_refused(folders, tiny_checkpoints, tmp_path):
    """The same id, but not the same string: equal ids alone prove nothing."""
    model, samples = tiny_model(tiny_checkpoints["internvl"]), described_sounds(tmp_path)
    teacher = OmniModel.from_pretrained(str(folders["qwen3"]))
    objective = objective_of(model, teacher)
    objective.shared["text"] = model.family.tokenizer.eos_token_id
    with pytest.raises(InputError, match=r"a response holds '<\|im_end\|>', which is no token of text"):
        objective.collate(samples)


def test_an_image_is_nothing_for_a_text_model(folders, tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints["internvl"])
    teacher = OmniModel.from_pretrained(str(folders["qwen3"]))
    term = make_term(TOP.model_copy(update={"view": "image_text"}))
    objective = Objective("sound_text", [term], model, teachers={"text": teacher})
    with pytest.raises(InputError, match="causal_lm does not see"):
        objective.collate(described_sounds(tmp_path))


def test_a_model_that_changes_its_logits_after_the_head_is_refused(folders):
    from earwise.models.families import load_family
    from earwise.models.families.causal_lm import CausalLM

    family = load_family(str(folders["qwen3"]))
    family.model.config.final_logit_softcapping = 30.0
    with pytest.raises(InputError, match=r"changes its logits after the head \(final_logit_softcapping\)"):
        CausalLM(family.model, family.tokenizer)
