"""Short answers that `score` scores per second of one core's time, for every benchmark and profile.

    python bench/scoring.py --json docs/results/scoring.json

Texts are new in every item and round, so that caches do not help. Scoring uses one thread, so processor time is
measured; the best round has the least disturbance.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from earwise.evaluate.labels import MELD, VOCABULARY
from earwise.evaluate.scoring import PROFILES, SCORERS, score

WORDS = (
    *("red", "blue", "dog", "cat", "stop", "sign", "left", "right", "bank", "street", "coca", "cola", "in", "of"),
    *("10,000", "2014", "14%", "isn't", "joe's", "dont", "the", "a", "two"),
)
LETTERS = "ABCD"


class Question(NamedTuple):
    """One item as its scorer sees it."""

    gold: str | list[str]
    answer: str
    choices: tuple[str, ...] | None


def questions(benchmark: str, count: int, rng: random.Random) -> list[Question]:
    """Items of the benchmark's form; about half of the answers are right."""
    return [_question(benchmark, number, rng) for number in range(count)]


def _question(benchmark: str, number: int, rng: random.Random) -> Question:
    phrase = f"{' '.join(rng.choices(WORDS, k=rng.randint(1, 4)))} {number}"
    right = rng.random() < 0.5
    if benchmark in ("mme", "hallusionbench"):
        gold = rng.choice(("Yes", "No"))
        said = gold if right else "No" if gold == "Yes" else "Yes"
        return Question(gold, rng.choice((said, f"{said}, {phrase}.", f"The answer is {said.lower()}.")), None)
    if benchmark in ("realworldqa", "mmalign", "mmau", "mmar", "avqa"):
        choices = tuple(f"{phrase} {letter * 2}" for letter in LETTERS)
        place = rng.randrange(4)
        named = place if right else (place + 1) % 4
        gold, letter = str(place) if benchmark == "avqa" else LETTERS[place], LETTERS[named]
        forms = (letter, f"{letter}. {choices[named]}", choices[named], f"The answer is ({letter}).")
        return Question(gold, rng.choice(forms), choices)
    if benchmark == "music_avqa":
        gold = rng.choice(sorted(VOCABULARY))
        return Question(gold, gold if right else phrase, None)
    if benchmark in ("meld", "iemocap"):
        gold = rng.choice(("neutral", "anger", "sadness") if benchmark == "iemocap" else sorted(set(MELD.values())))
        return Question(gold, f"{gold} {number}" if right else f"The emotion is {phrase}", None)
    answer = phrase if right else f"{phrase} {rng.choice(WORDS)}"
    if benchmark == "textvqa":
        return Question([phrase] * 6 + [f"{phrase} {k}" for k in range(4)], answer, None)
    if benchmark in ("docvqa", "infovqa"):
        return Question([phrase, phrase.title()], answer, None)
    if benchmark == "chartqa":
        value = rng.uniform(0, 3000)
        return Question(f"{value:.1f}", f"{value * rng.uniform(0.9, 1.1):.1f}" if right else phrase, None)
    return Question(phrase, answer, None)


def per_second(benchmark: str, profile: str, some: Sequence[Question]) -> float:
    """Answers scored per second of processor time."""
    start = time.process_time()
    for gold, answer, choices in some:
        score(benchmark, gold, answer, choices, profile)
    return len(some) / (time.process_time() - start)


def measure(count: int, rounds: int) -> dict[str, dict[str, int]]:
    """Benchmark -> profile -> answers per second; each round has new items."""
    found: dict[str, dict[str, int]] = {}
    for benchmark, scorers in SCORERS.items():
        rng = random.Random(benchmark)
        found[benchmark] = {}
        for profile in scorers:
            rates = [per_second(benchmark, profile, questions(benchmark, count, rng)) for _ in range(rounds)]
            found[benchmark][profile] = round(max(rates))
    return found


def main() -> None:
    """Measure, print the table, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rates = measure(arguments.answers, arguments.rounds)
    print(f"{'answers/s':16}" + "".join(f"{profile:>12}" for profile in PROFILES))
    for benchmark, row in rates.items():
        print(f"{benchmark:16}" + "".join(f"{row[p]:12,}" if p in row else f"{'-':>12}" for p in PROFILES))
    slowest = min(rate for row in rates.values() for rate in row.values())
    print(json.dumps({"slowest": slowest}))
    if arguments.json:
        result = {
            "command": f"python bench/scoring.py {' '.join(sys.argv[1:])}",
            "answers": arguments.answers,
            "rounds": arguments.rounds,
            "python": platform.python_version(),
            "slowest": slowest,
            "answers_per_second": rates,
        }
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
