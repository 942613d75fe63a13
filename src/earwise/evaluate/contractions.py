"""Contractions of the VQA answer normalisation: a form that lacks one apostrophe gets it back.

The set is that of the VQA evaluation (Antol et al. 2015), shared by TextVQA and both kits. Its entries with capitals
are left out: they never match, because answers are lower-cased first.
"""

from __future__ import annotations

from typing import Final

_FORMS: Final = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've he's
how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've o'clock
oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd
someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've there're there's
they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's
where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't wouldn't've
y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""


def _with_one_apostrophe_less() -> dict[str, str]:
    table = {}
    for form in _FORMS.split():
        for place, letter in enumerate(form):
            if letter == "'":
                table[form[:place] + form[place + 1 :]] = form
    # The published table has this entry reversed; scores depend on it.
    table["somebody'd"] = "somebodyd"
    return table


CONTRACTIONS: Final = _with_one_apostrophe_less()
