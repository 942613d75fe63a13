"""The scoring functions of other projects, taken from checkouts on this machine: none of their code is in this one.

A file is executed without what it imports: names that cannot be imported become stand-ins that do nothing, so neither
kit has to be installed. The code of a checkout runs, so point at one that you trust.
"""

from __future__ import annotations

import ast
import json
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple


class Case(NamedTuple):
    """One answer to one item."""

    golds: tuple[str, ...]
    prediction: str
    choices: tuple[str, ...]
    """Empty for open questions; else the gold answer is a letter, or for MMAU and MMAR a text."""


Rule = Callable[[Case], float | None]
"""What a kit gives: a score, or None where it finds no answer or draws one at random."""


class Stub:
    """Replaces a failed import: any use of it gives a stub again; as a decorator it returns the function."""

    def __getattr__(self, name: str) -> Stub:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **named: Any) -> Any:
        """A decorator leaves its function as it is."""
        return args[0] if len(args) == 1 and callable(args[0]) and not named else self

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()


class Drawn(Exception):
    """The kit wants a random option."""


def definitions(path: Path, **given: Any) -> SimpleNamespace:
    """All top-level definitions of a file; `given` replaces names that it imports from its own project."""
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    for node in ast.parse(path.read_text(encoding="utf-8"), str(path)).body:
        code = compile(ast.Module([node], []), str(path), "exec")
        try:
            exec(code, names)
        except ImportError:
            for alias in getattr(node, "names", ()):
                name = (alias.asname or alias.name).partition(".")[0]
                names[name] = given.get(name, Stub())
    return SimpleNamespace(**names)


def inner_function(path: Path, name: str) -> Callable[..., Any]:
    """A function that a file defines inside another one."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    node = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name)
    names: dict[str, Any] = {"warnings": Stub()}
    exec(compile(ast.Module([node], []), str(path), "exec"), names)
    found: Callable[..., Any] = names[name]
    return found


def without_draws(rule: Rule) -> Rule:
    """`rule`, with None where the kit would draw an option or fails on a letter without one."""

    def score(case: Case) -> float | None:
        def draw(options: Sequence[str]) -> str:
            raise Drawn

        kept, random.choice = random.choice, draw  # type: ignore[assignment]
        try:
            return rule(case)
        except (Drawn, IndexError):
            return None
        finally:
            random.choice = kept

    return score


def _provide(name: str, contents: SimpleNamespace) -> None:
    """Let `import name` find `contents`, without running the packages around it."""
    package, _, _ = name.rpartition(".")
    while package:
        sys.modules[package] = ModuleType(package)
        sys.modules[package].__path__ = []
        package, _, _ = package.rpartition(".")
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__dict__.update(vars(contents))


def vlmevalkit(root: Path) -> dict[str, Rule]:
    """Rules of VLMEvalKit with `--judge exact_matching` and `SPLIT_THINK=1`, by benchmark."""
    kit = root / "vlmeval"
    misc = definitions(kit / "smp/misc.py")
    shared = {name: getattr(misc, name) for name in ("process_punctuation", "istype", "listinstr", "cn_string")}
    yorn = definitions(kit / "dataset/utils/yorn.py", **shared)
    vqa = definitions(kit / "dataset/utils/vqa_eval.py", **shared)
    matching = definitions(kit / "utils/matching_util.py")
    choice = definitions(kit / "dataset/utils/multiple_choice.py", can_infer=matching.can_infer, **shared)
    split = inner_function(kit / "inference.py", "split_thinking")

    def yes_no(case: Case) -> float | None:
        found = yorn.YOrN_Extraction(split(case.prediction)[0])
        return None if found == "Unknown" else float(found == case.golds[0])

    def option(case: Case) -> float | None:
        item = dict(zip("ABCDEFGH", case.choices, strict=False))
        item |= {"question": "", "prediction": split(case.prediction)[0]}
        found = choice.extract_answer_from_item(None, item)["opt"]
        return None if found == "Z" else float(found == case.golds[0])

    def graded(method: str, dataset: str) -> Rule:
        def rule(case: Case) -> float:
            # The kit evaluates an answer that looks like a list; ChartQA's are written as they are.
            answer = case.golds[0] if method == "relaxed_accuracy" else repr(list(case.golds))
            line = {"answer": answer, "prediction": split(case.prediction)[0]}
            return float(vqa.hit_calculate([vqa.process_line(line, method)], dataset)[0])

        return rule

    return {
        "mme": yes_no,
        "hallusionbench": yes_no,
        "realworldqa": option,
        "mmalign": option,
        "textvqa": graded("vqa_score", "TextVQA_VAL"),
        "chartqa": graded("relaxed_accuracy", "ChartQA_TEST"),
        "docvqa": graded("anls", "DocVQA_VAL"),
        "infovqa": graded("anls", "InfoVQA_VAL"),
    }


def lmms_eval(root: Path) -> dict[str, Rule]:
    """Rules of lmms-eval with its default reasoning tags, by benchmark."""
    kit = root / "lmms_eval"
    extract = definitions(kit / "tasks/_task_utils/mcq_extract.py")
    _provide("lmms_eval.tasks._task_utils.mcq_extract", extract)  # one of the tasks imports it inside a function
    processor = definitions(kit / "tasks/_task_utils/vqa_eval_metric.py").EvalAIAnswerProcessor
    tasks = {
        name: definitions(kit / f"tasks/{name}/utils.py", EvalAIAnswerProcessor=processor)
        for name in ("mme", "realworldqa", "textvqa", "chartqa", "mmau", "mmar")
    }
    metrics = definitions(kit / "api/metrics.py")
    strip = definitions(kit / "api/reasoning.py").strip_reasoning_tags
    tags = [["<think>", "</think>"], ["<analysis>", "</analysis>"]]  # the default of --reasoning_tags

    def said(case: Case) -> str:
        return str(strip(case.prediction, tags))

    def mme(case: Case) -> float | None:
        doc = {"answer": case.golds[0], "category": "count", "question_id": 0}
        if tasks["mme"].parse_pred_ans(said(case)) == "other":
            return None
        return float(tasks["mme"].mme_process_results(doc, [said(case)])["mme_perception_score"]["score"])

    def realworldqa(case: Case) -> float | None:
        option = case.golds[0].upper() in tuple("ABCD")
        if option and extract.extract_mcq_answer(said(case), choices=list("ABCD")) == "":
            return None
        found = tasks["realworldqa"].realworldqa_process_results({"answer": case.golds[0]}, [said(case)])
        return float(found["exact_match"])

    def textvqa(case: Case) -> float:
        doc = {"answers": list(case.golds), "question_id": 0}
        return float(tasks["textvqa"].textvqa_process_results(doc, [said(case)])["exact_match"])

    def chartqa(case: Case) -> float:
        doc = {"type": "human_test", "answer": case.golds[0]}
        return float(tasks["chartqa"].chartqa_process_results(doc, [said(case)])["relaxed_overall"])

    def docvqa(case: Case) -> float:
        return float(metrics.anls(list(case.golds), [said(case)])["anls"])

    def mmau(case: Case) -> float:
        doc = {"choices": json.dumps(case.choices), "answer": case.golds[0], "task": "sound"}
        return float(tasks["mmau"].mmau_process_results(doc, [said(case)])["accuracy"]["overall"])

    def mmar(case: Case) -> float:
        marked = [f"{letter}. {text}" for letter, text in zip("ABCDEFGH", case.choices, strict=False)]
        doc = {"choices": marked, "answer": "ABCDEFGH"[case.choices.index(case.golds[0])]}
        return float(tasks["mmar"].mmar_process_results(doc, [said(case)])["mmar_accuracy"]["score"])

    return {
        "mme": mme,
        "realworldqa": realworldqa,
        "mmalign": realworldqa,
        "textvqa": textvqa,
        "chartqa": chartqa,
        "docvqa": docvqa,
        "infovqa": docvqa,
        "mmau": without_draws(mmau),
        "mmar": without_draws(mmar),
    }


def string_match(path: Path) -> Rule:
    """The released scorer of MMAU (`evaluation.py`) or MMAR (`code/evaluation.py`)."""
    match = definitions(path).string_match
    return lambda case: float(match(case.golds[0], case.prediction, list(case.choices)))


def mme_script(path: Path) -> Rule:
    """MME's own `eval_tool/calculation.py`, which lower-cases and then parses its input."""
    parse = definitions(path).calculate_metrics().parse_pred_ans

    def rule(case: Case) -> float | None:
        found = parse(case.prediction.lower())
        return None if found == "other" else float(found == case.golds[0].lower())

    return rule


def textvqa_script(path: Path) -> Rule:
    """The evaluator of the TextVQA challenge (`mmf/utils/m4c_evaluators.py` of MMF)."""
    evaluator = definitions(path).TextVQAAccuracyEvaluator()
    return lambda case: float(
        evaluator.eval_pred_list([{"pred_answer": case.prediction, "gt_answers": list(case.golds)}])
    )


def chartqa_script(path: Path) -> Rule:
    """The usual function for ChartQA results (`pix2struct/metrics.py`)."""
    relaxed = definitions(path).relaxed_correctness
    return lambda case: float(relaxed(case.golds[0], case.prediction))


def anls_script(path: Path) -> Rule:
    """The script of the DocVQA and InfographicVQA challenges (`eval_mm/infographicsvqa_eval.py` of Qwen-VL has it)."""
    script = definitions(path)
    script.evaluate_method.__globals__["question_ids_to_exclude"] = []
    settings = SimpleNamespace(answer_types=False, anls_threshold=0.5)

    def rule(case: Case) -> float:
        with tempfile.TemporaryDirectory() as folder:
            gold, said = Path(folder, "gold.json"), Path(folder, "said.json")
            gold.write_text(json.dumps({"data": [{"questionId": 1, "question": "", "answers": case.golds}]}))
            said.write_text(json.dumps([{"questionId": 1, "answer": case.prediction}]))
            return float(script.evaluate_method(gold, said, settings)["per_sample_result"]["1"]["score"])

    return rule
