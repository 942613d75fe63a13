"""Text to token ids: as the whole template's text gives them, and never a special token where a person wrote one."""

import re

import pytest
from tokenizers import normalizers
from tokenizers_of_all_kinds import INST, KINDS, SPECIAL, byte_level, words_between_blanks

from earwise.errors import InputError
from earwise.models.text import RunningText, TextEncoder

ASKED = (
    ("What color is the circle?", "it is red."),
    ("\nWhat color?", "yes"),
    (" What is it", "1, 2"),
    ("Is it\n\nred?\n", "The first answer is\nof two lines."),
)
HOSTILE = (
    "a mark <|image_pad|> or <|im_end|>",
    "<|im_end|>",
    "</s> and <s>",
    "one<|image_pad|>two <|file_sep|>",
    "<unk>",
)


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request):
    return KINDS[request.param]()


def encoder_of(tokenizer):
    return TextEncoder(tokenizer, [tokenizer.convert_tokens_to_ids("<|image_pad|>")], [tokenizer.eos_token_id])


def conversation(tokenizer, turns, *, last_answer=True):
    """(role, ids) of the turns, cut at queries and answers as layouts are, and the text of the whole."""
    messages = [
        {"role": role, "content": mark} for _ in turns for role, mark in (("user", "\ue000"), ("assistant", "\ue001"))
    ]
    template = tokenizer.apply_chat_template(messages, tokenize=False)
    parts = []
    running = RunningText(encoder_of(tokenizer), lambda role, ids: parts.append((role, list(ids))))
    texts = iter(text for turn in turns for text in turn)
    pieces = re.split("(\ue000|\ue001)", template)
    answers = [n for n, piece in enumerate(pieces) if piece == "\ue001"]
    for number, piece in enumerate(pieces):
        if piece == "\ue000":
            running.typed("query", next(texts))
        elif piece == "\ue001":
            running.joint()
            if number == answers[-1] and not last_answer:
                break
            running.typed("response", next(texts))
        else:
            running.template("template", piece)
    running.settle()
    texts = iter(text for turn in turns for text in turn)
    return parts, re.sub("\ue000|\ue001", lambda _: next(texts), template)


@pytest.mark.parametrize("turns", [ASKED[:1], ASKED[1:2], ASKED[2:3], ASKED[3:], ASKED])
def test_a_conversation_has_the_ids_of_its_whole_text(tokenizer, turns):
    parts, whole = conversation(tokenizer, turns)
    assert [one for _, ids in parts for one in ids] == tokenizer.encode(whole, add_special_tokens=False)


@pytest.mark.parametrize("turn", ASKED)
def test_what_stands_before_an_answer_does_not_depend_on_it(tokenizer, turn):
    told, _ = conversation(tokenizer, [turn])
    asked, _ = conversation(tokenizer, [turn], last_answer=False)
    prompt = [one for _, ids in asked for one in ids]
    assert [one for _, ids in told for one in ids][: len(prompt)] == prompt
    assert sum(len(ids) for role, ids in told if role == "response") > 0


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_that_a_person_writes_stays_characters(tokenizer, text):
    special = {tokenizer.convert_tokens_to_ids(one) for one in SPECIAL}
    alone = encoder_of(tokenizer).alone(text)
    assert alone
    assert not special.intersection(alone)
    parts, _ = conversation(tokenizer, [(text, text), ("What?", text)])
    for role, ids in parts:
        if role != "template":
            assert not special.intersection(ids), role
    ends = sum(ids.count(tokenizer.eos_token_id) for _, ids in parts)
    plain, _ = conversation(tokenizer, [("What?", "yes"), ("What?", "yes")])
    assert ends == sum(ids.count(tokenizer.eos_token_id) for _, ids in plain)


def test_markup_is_split_as_the_tokenizer_itself_splits_it():
    tokenizer = byte_level()
    text = "a mark <|image_pad|> and <|im_end|>"
    expected = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert encoder_of(tokenizer).alone(text) == expected
    assert tokenizer.decode(expected) == text


def test_markup_that_no_tokenizer_calls_special_is_split_and_tags_stay_words():
    tokenizer = byte_level()
    ids = encoder_of(tokenizer).alone("<think>one<|file_sep|>two")
    assert tokenizer.convert_tokens_to_ids("<think>") in ids
    assert tokenizer.convert_tokens_to_ids("<|file_sep|>") not in ids
    assert tokenizer.decode(ids) == "<think>one<|file_sep|>two"


def test_a_word_of_the_vocabulary_that_looks_special_is_cut_apart():
    tokenizer = words_between_blanks()
    mark = "<|image_pad|>"
    assert tokenizer.convert_tokens_to_ids(mark) in tokenizer.encode(mark, split_special_tokens=True)
    unknown = tokenizer.unk_token_id
    expected = [*tokenizer.encode("two"), unknown, unknown, *tokenizer.encode("stars")]
    assert encoder_of(tokenizer).alone("two <|image_pad|> stars") == expected


def test_a_text_that_cannot_be_split_is_refused():
    """The tokenizer makes a special token's characters out of others: full-width brackets."""
    tokenizer = words_between_blanks()
    tokenizer.backend_tokenizer.normalizer = normalizers.NFKC()
    with pytest.raises(InputError, match="reads a special token in"):
        encoder_of(tokenizer).alone("two \uff1c|image_pad|\uff1e")


def test_answers_after_words_begin_where_the_model_begins_to_write():
    """Llama's own prompt ends with the bracket; the space before the answer belongs to the answer."""
    tokenizer = byte_level(INST)
    asked, _ = conversation(tokenizer, [("What", "yes")], last_answer=False)
    prompt = [one for _, ids in asked for one in ids]
    assert prompt == tokenizer.encode("<s>[INST] What [/INST]", add_special_tokens=False)
