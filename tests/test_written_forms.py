"""The same text in another Unicode form or with other apostrophes is the same answer and the same word."""

import unicodedata

import pytest

from earwise.data.asr import words
from earwise.data.written_forms import one_form, words_of
from earwise.evaluate.scoring import score


def apart(text):
    return unicodedata.normalize("NFD", text)


SAME = [
    ("exact", apart("café"), "café"),
    ("exact", "it’s red", "it's red"),
    ("exact", "５", "5"),
    ("exact", "−5", "-5"),
    ("exact", "한국어", apart("한국어")),
    ("transcript", apart("voilà un café"), "voilà un café"),
    ("transcript", "don’t you know itʼs red", "don't you know it's red"),
    ("transcript", "हिन्दी में", apart("हिन्दी में")),
    ("docvqa", apart("Café Élan"), "Café Élan"),
    ("docvqa", "the “A” team", 'the "A" team'),
    ("infovqa", "joe’s", "joe's"),
    ("textvqa", [apart("café")] * 10, "café"),
    ("textvqa", ["joe’s bar"] * 10, "joe's bar"),
    ("chartqa", apart("Perú"), "Perú"),
    ("chartqa", "-12", "−12"),
]


@pytest.mark.parametrize(("name", "gold", "said"), SAME)
def test_strict_scores_another_written_form_as_the_same(name, gold, said):
    assert score(name, gold, said) == 1
    one = gold if isinstance(gold, str) else gold[0]
    assert score(name, [said] * 10 if name == "textvqa" else said, one) == 1


@pytest.mark.parametrize(("name", "gold", "said"), [row for row in SAME if row[0] in ("docvqa", "chartqa", "textvqa")])
@pytest.mark.parametrize("profile", ["vlmevalkit", "lmms_eval", "official"])
def test_kits_compare_code_points(name, gold, said, profile):
    assert score(name, gold, said, profile=profile) < 1


def test_different_letters_stay_different():
    assert score("exact", "café", "cafe") == 0
    assert score("exact", "x²", "x2") == 0
    assert score("chartqa", "ten – twelve", "ten - twelve") == 0
    assert score("transcript", "हिन्दी भाषा", "हिन्दी आशा") == 0.5  # one of two words
    assert score("transcript", "its", "it's") == 0


def test_words_are_in_one_form():
    assert words("It’s RED") == words("It's RED") == "it's red"
    assert words(apart("CAFÉ au lait")) == "café au lait"
    assert words("well‑known, WELL-KNOWN") == "well-known well-known"
    assert words_of("well-known", hyphens=False) == ["well", "known"]
    assert words_of("می\u200cخواهم") == ["می\u200cخواهم"]
    assert words("ﾊﾟﾝ") == "パン"
    assert one_form("plain ASCII's") == "plain ASCII's"


NAMED = [
    ("mmalign", "A", "it’s red", ["it's red", "it's blue"]),
    ("mmalign", "A", "I think ｉｔ’ｓ red", ["it's red", "it's blue"]),
    ("mmalign", "A", "a well‑known man", ["a well-known man", "a dog"]),
    ("mmalign", "B", "（Ｂ）", ["x", "y"]),
    ("mme", "yes", "Ｙｅｓ", []),
    ("mme", "no", "ｎ", []),
    ("music_avqa", "three", "３", []),
    ("music_avqa", "electric bass", "“ｅｌｅｃｔｒｉｃ bass”", []),
    ("iemocap", "happy", "Ｈａｐｐｙ", []),
]


@pytest.mark.parametrize(("name", "gold", "said", "choices"), NAMED)
def test_an_answer_that_names_one_of_several_may_be_written_in_any_form(name, gold, said, choices):
    assert score(name, gold, said, choices) == 1
