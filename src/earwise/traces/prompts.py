"""Prompts of teacher, student and checker. The paper prints none of its prompts, so all of these are ours; their
reasons are in docs/papers/sightsound.md.
"""

from __future__ import annotations

import re
from typing import Final

from earwise.data.prompts import query_text
from earwise.records import Item
from earwise.traces.requests import Frames, Message, Sound

TEACHER: Final = (
    "You watch a silent video. Its sound was taken away, and another listener will hear only the sound. "
    "Work out what must be heard: which things in the video make a sound, what each sounds like, how many there are, "
    "and in which order they sound. "
    "State only what can be heard. Do not mention colours, places in the picture, text, or anything that makes no "
    "sound. Something that is seen but makes no sound now is not heard. "
    "Write as somebody who listens: say 'I hear', never 'I see'."
)

FORMAT: Final = (
    "First reason between <think> and </think>, in short sentences with one claim each. "
    "Then give only the answer between <answer> and </answer>"
)

CHECKER: Final = (
    "You hear a recording and read a statement about it. Decide only whether what the statement claims about sounds "
    "agrees with the recording: which sounds there are, how many, and in which order. "
    "If any claim about a sound is wrong, say no. Do not judge style, and do not answer the question. "
    "Reply with one word, yes or no, then a full stop and the reason in one sentence."
)

_VIDEO: Final = re.compile("video", re.IGNORECASE)


def about_sound(question: str) -> str:
    """A question about a video asked about its sound: "video" becomes "audio", also in "videos" and with a capital.

    Published by R1-AQA for AVQA and used by SightSound-R1, with the lower-case word; the capital is ours.
    """
    return _VIDEO.sub(lambda found: "Audio" if found[0][0] == "V" else "audio", question)


def teacher_messages(
    item: Item, frames: Frames, system: str | None = None, request: str | None = None
) -> tuple[Message, ...]:
    """The teacher sees silent frames and reads the question as it is in its file, about the video.

    `system` and `request` stand in place of `TEACHER` and the format; where one is empty there is none.
    """
    told = TEACHER if system is None else system
    asked = "\n".join(filter(None, (query_text(item), _format(item) if request is None else request)))
    return (*((Message("system", (told,)),) if told else ()), Message("user", (frames, asked)))


def student_query(item: Item) -> str:
    """The text beside the sound: the question turned to sound, its options, and the format."""
    turned = item.model_copy(update={"question": about_sound(item.question)})
    return f"{query_text(turned)}\n{_format(item)}"


def student_messages(item: Item, sound: Sound) -> tuple[Message, ...]:
    """The student hears the sound."""
    return (Message("user", (sound, student_query(item))),)


def checker_messages(sound: Sound, statement: str) -> tuple[Message, ...]:
    """The checker hears the sound and reads a chain or one claim of it; it sees neither question nor answer, so that
    a likely answer cannot speak for a wrong claim.
    """
    return (Message("system", (CHECKER,)), Message("user", (sound, f"Statement: {statement}\nDoes it agree?")))


def _format(item: Item) -> str:
    return f"{FORMAT}{': one letter of the options.' if item.choices else ', a word or a number.'}"
