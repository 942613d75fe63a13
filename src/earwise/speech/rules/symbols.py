"""Symbols that are spoken, marks that are only pauses, and the plain form of a text."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_GREEK_NAMES: Final = (
    "ALPHA BETA GAMMA DELTA EPSILON ZETA ETA THETA IOTA KAPPA LAMDA MU NU XI OMICRON PI RHO SIGMA TAU UPSILON PHI CHI "
    "PSI OMEGA"
)
_GREEK: Final = {
    unicodedata.lookup(f"GREEK {size} LETTER {name}"): "lambda" if name == "LAMDA" else name.lower()
    for name in _GREEK_NAMES.split()
    for size in ("SMALL", "CAPITAL")
}
GREEK: Final = frozenset(_GREEK)
_VULGAR: Final = re.compile(r"(?<=\d)(?=[¼-¾⅐-⅞])")
_SINGLE_GREEK: Final = re.compile("(?<![^\\W\\d_])[" + "".join(_GREEK) + "](?![^\\W\\d_])")
_MEDIA: Final = r"(?:image|img|video|audio|imagehere|vision)"
_TAG: Final = re.compile(rf"(?i)<\s*/?\s*\|?\s*{_MEDIA}[^<>\n]{{0,40}}>")
_TEMPLATE_TAG: Final = re.compile(rf"(?i)<\s*\|\s*{_MEDIA}[^<>\n]{{0,40}}>")
_NUMBERED_TAG: Final = re.compile(r"(?i)<\s*(image|video|audio)[ _]?(\d{1,2})\s*>")
_PLACEHOLDER: Final = re.compile(rf"(?i)<{_MEDIA}(?:[ _]?\d{{1,2}})?>")
_NAMED_AS_WORD: Final = re.compile(r"\s*(?:(?:or|and|vs|versus|tags?|elements?|attributes?)\b|[.,;:?!])")
_MATH_MODE: Final = re.compile(r"(?<![\w$])\$(?=[^\s$])([^$\n\\^_{}]{0,40}[^\s$\\^_{}])\$(?![\w$])")
"""`$x$`: a formula of plain characters. In two prices, a digit follows the second sign."""
_BINARY_MINUS: Final = re.compile(r"(?<=[\w)%°$€£¥])[ ]?−[ ]?(?=\S)")


def _table(*rows: tuple[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), words) for pattern, words in rows)


_VARIABLE: Final = "[abcnpqtuvwxyzα-ω]"
"""Letters of variables, without letters of units."""
_BESIDE_DIGITS: Final = _table(
    (r"(?<=\d)\s?[x×]\s?(?=\d)", " by "),
    (r"(?<=\d)\s?\*\s?(?=\d)", " times "),
    (r"(?<=\d)\s?<\s?(?=\d)", " less than "),
    (r"(?<=\d)\s?>\s?(?=\d)", " greater than "),
    (r"(?i:\b(about|approximately|around|roughly)) ?~\s?(?=[\d$€£¥])", r"\1 "),
    (r"~\s?(?=[\d$€£¥])", "about "),
    (r"(?<=\d) / (?=\d)", " divided by "),
    (rf"(?<![\w/])(?!n/a|w/o|w/e|c/o|b/w|a/c|y/n)({_VARIABLE}) ?/ ?(?=(?:\d+|{_VARIABLE})(?![\w/]))", r"\1 over "),
    (rf"(?<![\w/])(\d+) ?/ ?(?={_VARIABLE}(?![\w/]))", r"\1 over "),
    (r"#\s?(?=\d)", " number "),
    (r"(?<!\w)[vV]\.?(?=\d+\.\d)", "version "),
)
_SAID: Final = _table(
    (r"×", " times "),
    (r"÷", " divided by "),
    (r"±", " plus or minus "),
    (r"≤", " less than or equal to "),
    (r"≥", " greater than or equal to "),
    (r"<-(?!\w)", " from "),
    (r"<=", " less than or equal to "),
    (r">=", " greater than or equal to "),
    (r"≠", " not equal to "),
    (r"≈", " approximately equal to "),
    (r"[→⇒]|->", " to "),
    (r"<", " less than "),
    (r">", " greater than "),
    (r"(?<!\w)([A-Ga-g])[#♯](?![^\W\d_]{2})", r"\1 sharp "),
    (r"(?<!\w)([A-Ga-g])♭", r"\1 flat "),
    (r"(?<!\w)#(?=[A-Za-z])", " hashtag "),
    (r"#", " hash "),
    (r"(?<=\w)\*(?=\w)(?<!\*\w)", " times "),
    (r"\b([fgh])\(([^()]{1,12})\)", r"\1 of \2 "),
    (r"‰", " per mille "),
    (r"_{2,}", " blank "),
    (r"&", " and "),
    (r"@", " at "),
    (r"\+", " plus "),
    (r"=+", " equals "),
    (r"\band/or\b", "and or"),
    (r"(?<=\w)\s?/\s?(?=\w)", " slash "),
    (r"(?:\A|(?<=\s))/(?=\w)", " slash "),
    (
        r"(?<=[A-Za-z])\.(?=(?:com|org|net|edu|gov|io)\b)|(?<=[a-z\d])\.(?=[a-z]{1,5}\b)|(?:\A|(?<=\s))\.(?=[A-Za-z])",
        " dot ",
    ),
    (r"%", " percent "),
    (r"§", " section "),
    (r"°", " degrees "),
    (r"\$", " dollars "),
    (r"€", " euros "),
    (r"£", " pounds "),
    (r"¥", " yen "),
    (r"(?<=\d)(?=[A-Za-z])|(?<=[A-Za-z])(?=\d)", " "),
)
_DASHES: Final = re.compile(r"\s*[—―]\s*|\s+[-–]+\s+|(?<=\w)--+(?=\w)")
_PAUSES: Final = re.compile(r"[()\[\]{}|•·…]|\.{2,}")
_SILENT: Final = re.compile(r"[\"“”„«»*`~©®™<>\\/_#^¡¿]|(?<!\w)'|'(?!\w)|(?<![^\W\d_])-|-(?![^\W\d_])")


def plain_characters(text: str) -> str:
    """Replace typographic variants: quotes, dashes, full-width characters, superscripts 2 and 3, runs of space."""
    text = re.sub(r"(?: ?\n ?)+", "\n", re.sub(r"[^\S\n]+", " ", text))  # first, as later rules are slow on long runs
    text = _VULGAR.sub(" ", text).replace("²", "^2").replace("³", "^3").replace("⁻", "^-").replace("∼", "~")
    text = _MATH_MODE.sub(r"\1", re.sub(r"º(?=[CF]\b)", "°", text))
    text = unicodedata.normalize("NFKC", text).replace("⁄", "/").replace("‐", "-").replace("‑", "-")
    text = _BINARY_MINUS.sub(" minus ", text).replace("−", "-")
    return re.sub(r"[‘’ʼ´]", "'", text).replace("″", '"').replace("′", "'")


def without_tags(text: str) -> str:
    """Remove placeholders of media: `<|image_pad|>`, and `<image>` or `<image_1>` at the start or end of a line.

    Inside a sentence a numbered placeholder is spoken (`<image 2>` is "image 2"). Other tags are words of the question
    (`What does the <video> element do?`) and stay; `limits` refuses them.
    """
    text = _TEMPLATE_TAG.sub(" ", text)
    text = "\n".join(_without_outer_tags(line) for line in text.split("\n"))
    return _NUMBERED_TAG.sub(r"\1 \2", text)


def _without_outer_tags(line: str) -> str:
    start, end, tags = 0, len(line), list(_PLACEHOLDER.finditer(line))
    for tag in tags:
        if line[start : tag.start()].strip():
            break
        start = tag.end()
    if start < end and start and _NAMED_AS_WORD.match(line, start):
        start = 0
    for tag in reversed(tags):
        if tag.end() <= start or line[tag.end() : end].strip():
            break
        end = tag.start()
    return line[start:end]


def typed_tag(text: str) -> str | None:
    """The first tag of media that `without_tags` left, or None."""
    found = _TAG.search(text)
    return found[0] if found else None


def end_lines(text: str) -> str:
    """Replace line breaks before a capital or a digit by a full stop, unless the line has an end mark."""
    return re.sub(r"(?<=[^\s.,;:?!])\s*\n\s*(?=[A-Z0-9(])", ". ", text)


def say_greek(text: str) -> str:
    """Replace a Greek letter that stands alone by its name."""
    return _SINGLE_GREEK.sub(lambda found: f" {_GREEK[found[0]]} ", text)


def say_symbols_beside_digits(text: str) -> str:
    """`1920x1080` has "by", `5*3` "times", `#1` "number", `v1.2` "version"; must run before digits become words."""
    return _replace(text, _BESIDE_DIGITS)


def say_symbols(text: str) -> str:
    """`&` is "and", `@` "at", `#` "hashtag" before a word, `+` "plus", `=` "equals", `/` "slash" between words."""
    return _replace(text, _SAID)


def _replace(text: str, table: tuple[tuple[re.Pattern[str], str], ...]) -> str:
    for pattern, words in table:
        text = pattern.sub(words, text)
    return text


def tidy(text: str) -> str:
    """Turn brackets and dashes into commas, remove quotes, collapse space and doubled punctuation."""
    text = _DASHES.sub(", ", text)
    text = _PAUSES.sub(lambda found: ". " if found[0].startswith((".", "…")) else ", ", text)
    text = _SILENT.sub(" ", text)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"\s+(?=[,.;:?!])", "", text)
    text = re.sub(r"[,;:]*([.?!])[,;:.?!]*", r"\1", text)
    text = re.sub(r"([,;:])[,;:]+", r"\1", text)
    text = re.sub(r"([,;:.?!])(?=\w)", r"\1 ", text)
    return re.sub(r"\A[\s,;:.?!]+|[\s,;:]+\Z", "", text)
