"""Training voices and test voices without a common speaker.

All voices of a variant are one speaker: `en-us+m3` and `en-gb+m3` differ only in accent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from earwise.errors import InputError
from earwise.io.messages import counted
from earwise.speech.engine import check_voice


def variant(voice: str) -> str:
    """The speaker of a voice: the part after `+` in `ACCENT+VARIANT`, else the voice itself."""
    return voice.partition("+")[2] or voice


def split_voices(
    all_voices: Sequence[str],
    train: int | Sequence[str],
    test: int | Sequence[str],
    seed: int = 0,
    *,
    reserved: int = 0,
) -> tuple[list[str], list[str]]:
    """Training voices and test voices with disjoint variants, independent of the order of `all_voices`.

    `train` and `test` are names of voices, or how many to draw. Each drawn voice has a new variant as long as there is
    one; then come further accents of the same variants. An engine that cannot list its voices (`all_voices` is empty)
    needs names on both sides.

    The test side draws first. `reserved` variants are only for tests, so that the training voices do not depend on the
    number of test voices; a larger test also takes variants that training leaves. An engine with too few variants
    reserves only those of the test.

    Raises `InputError` for an unknown voice, for named voices of one variant on both sides, and if there are not enough
    variants.
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
    return sorted(variants, key=lambda name: _shuffled(name, seed))


def _named(choice: int | Sequence[str]) -> list[str]:
    return [] if isinstance(choice, int) else list(choice)


def _variants(voices: Iterable[str]) -> set[str]:
    return {variant(voice) for voice in voices}


def _take(known: list[str], choice: int | Sequence[str], taken: set[str], seed: int, side: str) -> list[str]:
    """The named voices, or drawn ones whose variant is not `taken`, first accents first."""
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
