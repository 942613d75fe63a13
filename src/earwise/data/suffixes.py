"""Answer-format requests at the end of public benchmark questions ("Please answer yes or no.").

A benchmark asks for a format so that its scorer can read the answer. Exact-match scores depend on whether this request
is spoken, typed or left out, so readers keep it apart from the question (`Item.suffix`).
"""

from __future__ import annotations

import re
from typing import Final

SUFFIX_FORMS: Final[tuple[str, ...]] = (
    # MME; HallusionBench and POPE as several kits send them
    r"(?:Please )?answer (?:the question )?(?:with |by )?(?:only )?yes or no(?: only)?",
    # TextVQA, DocVQA, InfoVQA, ChartQA, LLaVA-1.5 training data, ClothoAQA
    r"(?:Please )?answer (?:the question )?(?:directly )?(?:using|with|in) (?:only )?(?:a|one) "
    r"(?:single )?\**(?:single )?(?:word|number|phrase|integer)\**(?: or (?:a )?(?:single )?(?:word|number|phrase))?"
    r"(?: only)?",
    # RealWorldQA
    r"Please answer directly with only the letter of the correct option and nothing else",
    # LLaVA-1.5, ScienceQA, MMBench, MMAU
    r"(?:Please )?answer with (?:only )?the (?:option(?:['’]s)? )?letter(?: from the given (?:choices|options))?"
    r"(?: directly)?",
    r"(?:Please )?select (?:the correct answer|one option) from the (?:options above|provided choices|given choices)",
    r"(?:Please )?respond with only the (?:option )?letter(?: of the correct option)?",
    r"The best answer is:?",
    # LLaVA-style detail requests that ask for a length, not for content
    r"(?:Please )?answer (?:briefly|concisely|in one sentence)",
)
"""One regular expression for each request, without surrounding space and final full stop. The first letter must be a
capital ("Can you answer yes or no." is a question); the rest matches in any case."""


def _any_case_after_first(form: str) -> str:
    return rf"(?=[A-Z])(?i:{form})"


_TAIL: Final = re.compile(
    r"(?<=\S)(?:\s+(?:" + "|".join(_any_case_after_first(form) for form in SUFFIX_FORMS) + r")[.!]?)+\s*\Z"
)


def split_suffix(question: str) -> tuple[str, str]:
    r"""Split `question` into the question itself and the answer-format requests at its end.

    The two parts joined are `question`, so the suffix starts with its own space or newline
    (`"\nAnswer the question using a single word or phrase."`). A text that is only a request stays a question.
    """
    found = _TAIL.search(question)
    if found is None:
        return question, ""
    return question[: found.start()], question[found.start() :]
