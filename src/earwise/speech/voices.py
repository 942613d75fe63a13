"""Training voices and test voices that share no speaker.

A test voice is unseen only if its whole variant is: `en-us+m3` and `en-gb+m3` are one speaker with two accents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from earwise.errors import InputError
from earwise.io.messages import counted
from earwise.speech.engine import check_voice


def variant(voice: str) -> str:
    """The speaker behind a voice: what follows `+` in `ACCENT+VARIANT`, else the voice itself."""
    return voice.partition("+")[2] or voice


def split_voices(
    all_voices: Sequence[str],
    train: int | Sequence[str],
    test: int | Sequence[str],
    seed: int = 0,
    *,
    reserved: int = 0,
) -> tuple[list[str], list[str]]:
    """Training voices and test voices, disjoint by whole variants; the same for the same arguments, whatever the order.

    `train` and `test` are how many voices to draw or their names. Drawn voices take a new variant each as long as there
    is one, then further accents of the same variants. An engine that cannot list its voices (`all_voices` is empty)
    needs names on both sides, and they are taken as they are.

    The test side draws first. With `reserved`, so many variants are its own: training is drawn from the others, however
    many are tested. A test that draws more takes the rest behind those of training. An engine that has too few variants
    for that reserves those of the test alone.

    Raises `InputError` for an unknown voice, for named voices that share a variant between the two sides, and if there
    are not enough variants.
    """
    known = sorted(set(all_voices))
    for voice in (*_named(train), *_named(test)) if known else ():
        check_voice(voice, known, "the engine")
    shared = _variants(_named(train)) & _variants(_named(test))
    if shared:
        what = f"variant {min(shared)!r} is both in the training voices and in the test voices"
        raise InputError(what, remedy="test voices must be new speakers, not known ones with another accent")
    if not isinstance(test, int):
        return _take(known, train, _variants(test), seed, "training"), list(test)
    if not isinstance(train, int):
        return list(train), _take(known, test, _variants(train), seed, "test")
    order = _by_draw(_variants(known), seed)
    first = reserved if reserved and train + max(test, reserved) <= len(order) else test
    train_voices = _take(known, train, {*order[:first]}, seed, "training")
    return train_voices, _take(known, test, _variants(train_voices), seed, "test")


def _by_draw(variants: Iterable[str], seed: int) -> list[str]:
    """Variants in the order in which they are drawn."""
    return sorted(variants, key=lambda name: _shuffled(name, seed))


def _named(choice: int | Sequence[str]) -> list[str]:
    return [] if isinstance(choice, int) else list(choice)


def _variants(voices: Iterable[str]) -> set[str]:
    return {variant(voice) for voice in voices}


def _take(known: list[str], choice: int | Sequence[str], taken: set[str], seed: int, side: str) -> list[str]:
    """The named voices, or so many of those whose variant is not `taken`: first accents first."""
    if not isinstance(choice, int):
        return list(choice)
    by_variant: dict[str, list[str]] = {}
    for voice in sorted(known, key=lambda name: _shuffled(name, seed)):
        if variant(voice) not in taken:
            by_variant.setdefault(variant(voice), []).append(voice)
    rounds = max((len(voices) for voices in by_variant.values()), default=0)
    order = _by_draw(by_variant, seed)
    drawn = [by_variant[name][turn] for turn in range(rounds) for name in order if turn < len(by_variant[name])]
    if len(drawn) < choice:
        beside = f"{len(drawn)} left beside {counted(len(taken), 'variant')} of the other side"
        what = f"{counted(choice, f'{side} voice')} asked for, {beside}"
        raise InputError(what, remedy=f"the engine has {counted(len(known), 'voice')}: ask for fewer")
    return drawn[:choice]


def _shuffled(name: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\n{name}".encode(), digest_size=8).digest()
