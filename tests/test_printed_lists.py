"""Lists that stand in tables as text are read as what was printed, by Python or by NumPy, or not at all."""

import numpy as np
import pytest

from earwise.data.printed_lists import printed_list, python_list

WORDS = [
    "12 May",
    "it's",
    'say "no"',
    "both ' and \"",
    "a [b], c",
    "back\\slash",
    "",
    "tab\tline\n",
    "np.str_('x')",
    "été",
]


@pytest.mark.parametrize("kind", [object, None])
def test_arrays_are_read_as_numpy_prints_them(kind):
    array = np.array(WORDS, dtype=kind)
    assert printed_list(str(array)) == WORDS
    assert printed_list(repr(array)) == WORDS
    assert printed_list(str(list(np.array(WORDS)))) == WORDS  # [np.str_('12 May'), ...]
    assert printed_list(str(WORDS)) == WORDS


def test_long_arrays_are_read_over_their_line_breaks_and_summaries_are_not():
    many = [f"number {place} of the words" for place in range(40)]
    assert "\n" in str(np.array(many))
    assert printed_list(str(np.array(many))) == many
    assert printed_list(str(np.array(["a"] * 2_000))) is None  # ['a' 'a' 'a' ... 'a' 'a' 'a']
    assert printed_list("['a', 'b', ...]") is None
    assert printed_list("['...' 'a']") == ["...", "a"]


def test_numbers_and_nested_lists_are_read():
    assert printed_list("[1. 2.5]") == [1.0, 2.5]
    assert printed_list("[1 -2 3]") == [1, -2, 3]
    assert printed_list("[1, 'a', None, True]") == [1, "a", None, True]
    assert printed_list(str(np.array([["a", "b"], ["c", "d"]]))) == [["a", "b"], ["c", "d"]]
    assert printed_list("[['a' 'b'], ['c', 'd']]") == [["a", "b"], ["c", "d"]]
    assert printed_list("array(['a', 'b'], dtype='<U1')") == ["a", "b"]
    assert printed_list("array(['a', 'b'],\n      dtype=object)") == ["a", "b"]
    assert printed_list("[]") == []
    assert printed_list("['a',]") == ["a"]


@pytest.mark.parametrize(
    "text",
    [
        "['a' 'b', 'c']",  # joined by Python, and no array of NumPy
        "['a',, 'b']",
        "[,]",
        "['a'",
        "'a']",
        "['a'] ['b']",
        "['a'] 'b'",
        "[a b]",
        "[open('x', 'w')]",
        "['a' for x in y]",
        "[{[]: 1}]",
        "[1.2.3]",
        "['a'b]",
        "[" * 1_000 + "]" * 1_000,
        "array(['a', 'b'",
        "text",
        "",
    ],
)
def test_what_is_no_printed_list_is_none(text):
    assert printed_list(text) is None


def test_the_kits_form_joins_what_has_no_comma():
    assert python_list("['12 May' 'May 12']") == ["12 MayMay 12"]
    assert python_list("['a', 'b']") == ["a", "b"]
    assert python_list("('a',)") is None
