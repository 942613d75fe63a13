"""Compares earwise's scores with those of the kits' own functions, on random answers.

    python bench/kits.py --vlmevalkit VLMEvalKit --lmms-eval lmms-eval --mmau MMAU --mmar MMAR --mme eval_tool \\
        --mmf mmf --pix2struct pix2struct --qwen-vl Qwen-VL --json docs/results/kits.json

Each option takes the folder of a checkout, whose code is executed (`kit_sources`); what is not given is not compared.
Answers are gold ones, wrong ones and neither, written in many ways, with reasoning, tags, blanks, marks, numbers and
letters of other scripts, and patchworks of such pieces. Two scores are the same if both are None (nothing found, or an
option drawn at random) or differ by less than 1e-9.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import kit_sources
from kit_sources import Case, Rule

from earwise.evaluate.scoring import score

_WORDS: Final = r"""
red blue dog cat stop sign left right bank street coca cola in of the a an two ten none 10,000 2014 14% 0.14 3.5 5.
isn't joe's dont U.S. n.a.s.a. Groß oﬃce ŉ ßa café ＮＯ A B C D E (A) (B) B. C: D) a) b **C** yes no Yes No. y n not
Yesterday nothing maybe answer is option correct wrong because and or 1e3 inf nan 1_000 -4 - / @ $5 & ' " _ ? ! ...
选B 答案是C A: I think ; [ ] { } = + \ > < ` # Sorry
"""
WORDS: Final = tuple(_WORDS.split())
BLANKS: Final = ("", " ", " ", " ", "  ", "\n", "\t", ", ", ". ", "\u3000", ": ")
FORMS: Final = (
    "{}", "{}.", " {} ", "{}\n", "The answer is {}.", "The correct answer is **{}**. Here is why.", "({})", "{})",
    "{}:",
    "**{}**", "I choose {}", "Answer: {}", "<answer> {} </answer>", "<think> maybe {other} </think> {}",
    "<think>{other}</think>\n\n<answer>{}</answer>", "{other}</think>{}", "<think>{other} {}",
    "<analysis>{other}</analysis>{}",
    "{} {other}", "{other} {}", "{}, not {other}", "{other}? No, {}", '"{}"', "It is {}", "{}" + "." * 40,
    "First this. " * 35 + "{}.", "   {}", "\u3000\u3000\u3000{}", "Sorry, I can't help with images of people yet. {}",
    "</think>{}</think>{other}", "<think>a</think>{}<think>b</think>",
)  # fmt: skip
CAPITALS: Final = "ABCDEFGH"


def phrase(rng: random.Random, longest: int = 4) -> str:
    """A few words, joined in various ways."""
    return "".join(rng.choice(WORDS) + rng.choice(BLANKS) for _ in range(rng.randint(1, longest))).strip() or "x"


def prediction(rng: random.Random, answers: tuple[str, ...]) -> str:
    """A possible output: one of `answers` in some form, a mixture, or anything."""
    kind = rng.random()
    if kind < 0.6:
        form, answer, other = rng.choice(FORMS), rng.choice(answers), rng.choice(answers)
        text = form.replace("{other}", other).replace("{}", answer)
        return rng.choice((text, text, text.upper(), text.lower()))
    if kind < 0.95:
        pieces = (*answers, *(rng.choice(WORDS) for _ in range(6)))
        return "".join(rng.choice(pieces) + rng.choice(BLANKS) for _ in range(rng.randint(1, 8)))
    return "".join(chr(rng.choice((rng.randint(32, 126), rng.randint(160, 0x24F)))) for _ in range(rng.randint(0, 12)))


def yes_no_case(rng: random.Random) -> Case:
    """A question whose answer is Yes or No."""
    gold = rng.choice(("Yes", "No"))
    return Case((gold,), prediction(rng, ("Yes", "No", "yes", "no", gold, phrase(rng))), ())


def option_case(rng: random.Random, *, most: int = 6) -> Case:
    """A question with 2 to `most` options; the gold answer is a letter."""
    choices = tuple(dict.fromkeys(phrase(rng, 3) for _ in range(rng.randint(2, most))))
    if len(choices) < 2:
        choices = ("left", "right")
    letters = CAPITALS[: len(choices)]
    marked = tuple(f"{letter}. {text}" for letter, text in zip(letters, choices, strict=True))
    return Case((rng.choice(letters),), prediction(rng, (*letters, *choices, *marked)), choices)


def open_or_option_case(rng: random.Random) -> Case:
    """RealWorldQA: options, or none and a number or a word as the answer."""
    if rng.random() < 0.7:
        return option_case(rng)
    gold = rng.choice(("3", "No.", "5.", "two", "Yes", "70 mph", "Downhill", "a", "C", "12"))
    return Case((gold,), prediction(rng, (gold, gold.rstrip("."), phrase(rng))), ())


def text_option_case(rng: random.Random) -> Case:
    """MMAU and MMAR: the gold answer is the text of an option. No option is a letter, which would be another's."""
    letter, prompt, choices = option_case(rng)
    choices = tuple(f"{text} x" if len(text) == 1 else text for text in choices)
    gold = choices[CAPITALS.index(letter[0])]
    if rng.random() < 0.05:
        choices += ("",)  # as four rows of MMAR have
    return Case((gold,), rng.choice((prompt, prediction(rng, (*CAPITALS[: len(choices)], *choices)))), choices)


def annotated_case(rng: random.Random) -> Case:
    """TextVQA: ten answers, some of them alike."""
    kinds = [phrase(rng) for _ in range(rng.randint(1, 4))]
    kinds.append(rng.choice(("n.a.s.a. " * 9, "chapter 1 5", "stop" + "." * 33, kinds[0])))
    golds = tuple(rng.choice(kinds) for _ in range(10))
    return Case(golds, prediction(rng, (*golds, *kinds)), ())


def chart_case(rng: random.Random) -> Case:
    """ChartQA: a number that the answer is near to, or text."""
    number = rng.choice((0.0, rng.uniform(-50, 3000), float(rng.randint(0, 2030))))
    listed = f"[{int(number)}, 'blue']"
    gold = rng.choice((f"{number:.1f}", f"{number:g}%", str(int(number)), phrase(rng, 2), listed))
    near = (
        f"{number * rng.choice((0.95, 1.05, 1.0, 1.04, 1.06, 0.01)):.{rng.randint(0, 3)}f}{rng.choice(('', '%', ' %'))}"
    )
    return Case((gold,), prediction(rng, (gold, near, near, phrase(rng, 2), "blue")), ())


def document_case(rng: random.Random) -> Case:
    """DocVQA, InfographicVQA: one to three answers; the model's differs by a few letters."""
    golds = tuple(phrase(rng) for _ in range(rng.randint(1, 3)))
    letters = list(rng.choice(golds))
    for _ in range(rng.randint(0, len(letters))):
        letters[rng.randrange(len(letters))] = rng.choice("abß ﬁ.1")
    return Case(golds, rng.choice(("".join(letters), prediction(rng, golds))), ())


CASES: Final[Mapping[str, Callable[[random.Random], Case]]] = {
    "mme": yes_no_case,
    "hallusionbench": yes_no_case,
    "realworldqa": open_or_option_case,
    "mmalign": option_case,
    "textvqa": annotated_case,
    "chartqa": chart_case,
    "docvqa": document_case,
    "infovqa": document_case,
    "mmau": text_option_case,
    "mmar": text_option_case,
}


def rules(arguments: argparse.Namespace) -> dict[str, dict[str, Rule]]:
    """Profile -> benchmark -> the kit's own rule, for the given checkouts."""
    found: dict[str, dict[str, Rule]] = {"vlmevalkit": {}, "lmms_eval": {}, "official": {}}
    if arguments.vlmevalkit:
        found["vlmevalkit"] = kit_sources.vlmevalkit(arguments.vlmevalkit)
    if arguments.lmms_eval:
        found["lmms_eval"] = kit_sources.lmms_eval(arguments.lmms_eval)
    if arguments.mmau:
        found["official"]["mmau"] = kit_sources.string_match(arguments.mmau / "evaluation.py")
    if arguments.mmar:
        found["official"]["mmar"] = kit_sources.string_match(arguments.mmar / "code/evaluation.py")
    if arguments.mme:
        found["official"]["mme"] = kit_sources.mme_script(arguments.mme / "calculation.py")
    if arguments.mmf:
        found["official"]["textvqa"] = kit_sources.textvqa_script(arguments.mmf / "mmf/utils/m4c_evaluators.py")
    if arguments.pix2struct:
        found["official"]["chartqa"] = kit_sources.chartqa_script(arguments.pix2struct / "pix2struct/metrics.py")
    if arguments.qwen_vl:
        script = kit_sources.anls_script(arguments.qwen_vl / "eval_mm/infographicsvqa_eval.py")
        found["official"] |= {"docvqa": script, "infovqa": script}
    return found


def same(one: float | None, other: float | None) -> bool:
    """Whether two scores are the same."""
    return one is other if one is None or other is None else abs(one - other) < 1e-9


def compare(benchmark: str, profile: str, rule: Rule, count: int, seed: int) -> dict[str, Any]:
    """Draw `count` cases; returns the share with equal scores, and examples of the others."""
    rng = random.Random(f"{benchmark} {profile} {seed}")
    alike, others = 0, []
    for _ in range(count):
        case = CASES[benchmark](rng)
        ours = score(benchmark, case.golds, case.prediction, case.choices or None, profile)
        theirs = rule(case)
        alike += same(ours, theirs)
        if not same(ours, theirs) and len(others) < 5:
            others.append({**case._asdict(), "earwise": ours, "kit": theirs})
    return {"cases": count, "alike": alike, "differences": others}


def revisions(arguments: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Name and revision of each checkout, from git or a file REVISION."""
    for name, folder in vars(arguments).items():
        if isinstance(folder, Path) and folder.is_dir():
            noted = folder / "REVISION"
            command = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
            told = (
                noted.read_text() if noted.exists() else subprocess.run(command, capture_output=True, text=True).stdout
            )
            yield name, told.strip() or "unknown"


def _write(arguments: argparse.Namespace, results: dict[str, dict[str, Any]]) -> None:
    told = {
        "command": f"python bench/kits.py {' '.join(sys.argv[1:])}",
        "python": platform.python_version(),
        "revisions": dict(revisions(arguments)),
        "results": results,
    }
    arguments.json.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Compare, print the table, write the result; exit status 1 if a case differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kit in ("vlmevalkit", "lmms-eval", "mmau", "mmar", "mme", "mmf", "pix2struct", "qwen-vl"):
        parser.add_argument(f"--{kit}", type=Path, help="folder of a checkout")
    parser.add_argument("--cases", type=int, default=20_000, help="for each benchmark and profile")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="one benchmark")
    parser.add_argument("--json", type=Path, help="where to write the result")
    arguments = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    for profile, by_benchmark in rules(arguments).items():
        for benchmark, rule in by_benchmark.items():
            if arguments.only in (None, benchmark):
                one = compare(benchmark, profile, rule, arguments.cases, arguments.seed)
                results.setdefault(benchmark, {})[profile] = one
                print(f"{benchmark:16}{profile:12}{one['alike']:8,} of {one['cases']:,} alike", flush=True)
                for case in one["differences"]:
                    print("   ", json.dumps(case, ensure_ascii=False))
                if arguments.json:  # after each, as a whole run takes minutes
                    _write(arguments, results)
    sys.exit(any(one["alike"] < one["cases"] for row in results.values() for one in row.values()))


if __name__ == "__main__":
    main()
