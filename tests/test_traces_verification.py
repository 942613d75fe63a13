import json
from collections import Counter

import pytest

from earwise.errors import InputError
from earwise.records import Item, Trace, Verdict
from earwise.traces.agreement import unanimous
from earwise.traces.checker import CallableChecker, Case, Judgement, ModelChecker, Word, read_judgement
from earwise.traces.claims import sentences
from earwise.traces.client import Client
from earwise.traces.corruption import added, corrupt, foreign, replaced, swapped
from earwise.traces.filtering import by_agreement, by_format, by_verdict, count, kept
from earwise.traces.prompts import CHECKER, TEACHER, about_sound, student_messages, teacher_messages
from earwise.traces.requests import Frames, Sampling, Sound
from earwise.traces.sampling import draw_traces
from earwise.traces.scripted import ScriptedEngine
from earwise.traces.trust import Bar, Rate, Trust, TrustedVerifier, admit, measure
from earwise.traces.verifier import Chain, Ruling, Verifier
from earwise.work.store import read_store

KINDS = ("bell", "horn", "drum", "dog")
HEARD = {n: KINDS[n % 4] for n in range(40)}


@pytest.fixture
def chains(tmp_path):
    """Forty sounds with one thing each, and a true chain about each."""
    made = []
    for n, kind in HEARD.items():
        (tmp_path / f"{n}.wav").write_text(kind)
        made.append(Chain(f"c{n}", tmp_path / f"{n}.wav", f"I hear a {kind}. It is {n}."))
    return made


def hears(case: Case) -> Judgement:
    """Knows what is in a sound, and refuses a statement that names something else."""
    wrong = [kind for kind in KINDS if kind in case.statement and kind != case.sound.read_text()]
    return Judgement(Word.NO if wrong else Word.YES, f"no {wrong[0]}" if wrong else "as it says")


HONEST = CallableChecker("honest", hears)
EASY = CallableChecker("easy", lambda case: Judgement(Word.YES, ""))
BAR = Bar(precision=0.8, recall=0.8, accuracy=0.8)


# Prompts


def item(**changes):
    given = {"id": "q", "source": "avqa", "question": "What makes the sound in the video?", "answers": ("A",)}
    return Item(**{**given, "choices": ("dog", "bell"), "cluster": "v", **changes})


def test_video_becomes_audio():
    assert about_sound("What happens in this video?") == "What happens in this audio?"
    assert about_sound("Videos of what? The video-clip.") == "Audios of what? The audio-clip."


def test_the_teacher_is_asked_about_the_video_and_the_student_about_the_sound(tmp_path):
    system, user = teacher_messages(item(), Frames((tmp_path / "1.jpg",)))
    assert (system.role, system.parts) == ("system", (TEACHER,))
    assert user.parts[0] == Frames((tmp_path / "1.jpg",))
    assert user.parts[1].startswith("What makes the sound in the video? Option A: dog. Option B: bell.\n")
    (asked,) = student_messages(item(), Sound(tmp_path / "s.wav"))
    assert asked.parts[0] == Sound(tmp_path / "s.wav")
    assert asked.parts[1].startswith("What makes the sound in the audio? Option A: dog. Option B: bell.\n")
    assert asked.parts[1].endswith("<answer> and </answer>: one letter of the options.")
    assert "word or a number." in student_messages(item(choices=()), Sound(tmp_path / "s.wav"))[0].parts[1]


# Claims and judgements


def test_a_chain_is_split_into_its_claims():
    text = "I hear a bell. It rings twice!\n- Then 1.5 s of rain; a horn\n2. A dog\n\nI hear a bell."
    assert sentences(text) == ["I hear a bell.", "It rings twice!", "Then 1.5 s of rain", "a horn", "A dog"]


@pytest.mark.parametrize(
    ("text", "word", "reason"),
    [
        ("Yes. A bell rings.", "yes", "A bell rings."),
        ("**No**, there is\nno horn.", "no", "there is no horn."),
        ("yes", "yes", ""),
        ("Nothing is wrong.", "unclear", "neither yes nor no: Nothing is wrong."),
        ("I think yes", "unclear", "neither yes nor no: I think yes"),
    ],
)
def test_a_reply_is_yes_or_no_or_unclear(text, word, reason):
    assert read_judgement(text) == Judgement(Word(word), reason)


def test_a_model_checker_hears_the_sound_and_reads_the_claim_only(tmp_path, chains):
    seen = []

    def script(request, sample):
        seen.append(request)
        return None if "dog" in request.messages[1].parts[1] else "No. A horn."

    with Client(ScriptedEngine(script, "omni"), tmp_path / "checked.jsonl") as client:
        checker = ModelChecker(client)
        said = checker.judge([Case("c0", chains[0].sound, "A bell."), Case("c1", chains[1].sound, "A dog.")])
    assert said == [Judgement(Word.NO, "A horn."), Judgement(Word.FAILED, "the script has no answer")]
    assert seen[0].messages[0].parts == (CHECKER,)
    assert seen[0].messages[1].parts == (Sound(chains[0].sound), "Statement: A bell.\nDoes it agree?")
    assert seen[0].sampling == Sampling(max_tokens=64, temperature=0.0)


# Corruptions


def test_corruptions_change_what_is_claimed(chains):
    twins = corrupt(chains, [replaced(KINDS), foreign(), added()], seed=0)
    names = Counter(corruption.name for _, corruption in twins)
    assert names == {"replaced word": 14, "chain of another sound": 13, "added claim": 13}
    for chain, (twin, _) in zip(chains, twins, strict=True):
        assert twin.sound == chain.sound
        assert twin.reasoning != chain.reasoning
    corruptions = [replaced(KINDS), foreign(), added()]
    assert corrupt(chains[::-1], corruptions, seed=0) == corrupt(chains, corruptions, seed=0)[::-1]
    one, other = ([twin.reasoning for twin, _ in corrupt(chains, corruptions, seed)] for seed in (0, 1))
    assert one != other


def test_each_corruption_does_what_its_name_says(tmp_path):
    chain = Chain("a", tmp_path / "a", "A bell before a horn, a Bell again.")
    other = Chain("b", tmp_path / "b", "A drum. A bell before a horn, a Bell again.")

    def one(corruption, *chains):
        twin = corrupt(chains, [corruption], seed=0)[0]
        return twin and twin[0].reasoning

    assert one(swapped("before", "after"), chain) == "A bell after a horn, a Bell again."
    changed = one(replaced(("bell", "dog")), chain)
    assert changed == "A dog before a horn, a dog again."
    assert one(replaced(("bell", "horn")), chain) is None, "both are named, so there is nothing to put in"
    assert one(swapped("first", "last"), chain) is None
    assert one(foreign(), chain, other) == other.reasoning
    assert one(foreign(), chain) is None
    assert "A drum." in one(added(), chain, other)


# Trust


def test_rates_have_wilson_intervals():
    rate = Rate.of(8, 10)
    assert (rate.value, rate.low, rate.high) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)
    assert Rate.of(10, 10).low == pytest.approx(0.7225, abs=1e-4)
    assert Rate.of(0, 0) == Rate(0.0, 0.0, 1.0, 0)


def test_an_honest_checker_is_measured_and_may_judge(chains):
    trust = measure(Verifier(HONEST), chains, [replaced(KINDS)], seed=0)
    assert admit(Verifier(HONEST), trust, BAR) == TrustedVerifier(Verifier(HONEST), trust)
    assert (trust.precision, trust.recall) == (Rate.of(40, 40), Rate.of(40, 40))
    assert trust.accuracy == Rate.of(80, 80)
    assert (trust.undecided, trust.not_corrupted) == (0, 0)
    assert json.loads(json.dumps(trust.to_json()))["refused"]["replaced word"]["n"] == 40


def test_precision_recall_and_accuracy_by_hand(chains):
    """Refuses every fourth true chain, is deceived by half of the false ones, and mumbles once."""
    answers = iter([Word.YES, Word.YES, Word.YES, Word.NO, Word.NO, Word.YES, Word.UNCLEAR, Word.NO])
    checker = CallableChecker("so-so", lambda _: Judgement(next(answers), ""))
    trust = measure(Verifier(checker), chains[:4], [replaced(KINDS)], seed=0)
    # The true chains got yes, yes, no, unclear; the false ones yes, no, yes, no.
    assert trust == Trust("so-so", Rate.of(2, 4), Rate.of(2, 4), Rate.of(4, 8), {"replaced word": Rate.of(2, 4)}, 1, 0)


def test_a_checker_below_the_bar_may_not_filter(chains):
    with pytest.raises(InputError, match=r"the checker 'easy' may not filter: precision 0.500 \[0.393, 0.607\] < 0.8"):
        admit(Verifier(EASY), measure(Verifier(EASY), chains, [replaced(KINDS)], seed=0), BAR)
    few = measure(Verifier(HONEST), chains[:5], [replaced(KINDS)], seed=0)
    assert few.accuracy.value == 1
    with pytest.raises(InputError, match=r"recall 1.000 \[0.566, 1.000\] < 0.8"):
        admit(Verifier(HONEST), few, BAR)


def test_chains_that_cannot_be_corrupted_are_counted(chains):
    plain = Chain("p", chains[0].sound, "Nothing special.")
    assert measure(Verifier(HONEST), [plain, *chains], [replaced(KINDS)], seed=0).not_corrupted == 1
    with pytest.raises(InputError, match="none of 1 known chains can be corrupted"):
        measure(Verifier(HONEST), [plain], [replaced(KINDS)], seed=0)


# Rulings


def test_a_chain_passes_if_every_claim_does():
    def ruling(*words):
        return Ruling("c", tuple((str(n), Judgement(word, "")) for n, word in enumerate(words)))

    passed = ruling(Word.YES, Word.YES)
    assert (passed.accepted, passed.decided, passed.reason) == (True, True, "")
    refused = ruling(Word.YES, Word.NO, Word.UNCLEAR)
    assert (refused.accepted, refused.decided, refused.reason) == (False, True, "the checker says no")
    unclear = ruling(Word.YES, Word.UNCLEAR)
    assert (unclear.accepted, unclear.decided) == (False, False)
    assert unclear.reason == "the checker says neither yes nor no"
    assert (ruling().accepted, ruling().decided, ruling().reason) == (False, False, "the chain has no claim")


# From requests to what is kept


def drawn(tmp_path, texts):
    """Traces of items 0 and 1 whose samples say `texts[item]`."""
    items = {name: item(id=name, question=f"What is {name}?", choices=("bell", "horn")) for name in texts}
    engine = ScriptedEngine(lambda request, sample: texts[request.id][sample], "seer")
    n = len(next(iter(texts.values())))
    with Client(engine, tmp_path / "responses.jsonl") as client:
        prompt = lambda one: student_messages(one, Sound(tmp_path / f"{one.id}.wav"))  # noqa: E731
        for name in texts:
            (tmp_path / f"{name}.wav").write_text("bell")
        traces, failed = draw_traces(client, list(items.values()), prompt, "video_text", n, Sampling(max_tokens=9))
    return items, traces, failed


def text(reasoning, answer):
    return f"<think>{reasoning}</think><answer>{answer}</answer>"


def test_every_drop_has_its_reason(tmp_path):
    texts = {
        "agreed": [text("A bell.", "A"), text("A horn.", "bell")],
        "split": [text("A bell.", "A"), text("A horn.", "B")],
        "broken": [text("A bell.", "A"), "<think>A bell."],
        "failed": [text("A bell.", "A"), None],
    }
    items, traces, failed = drawn(tmp_path, texts)
    assert failed == {"failed": "the script has no answer"}
    assert [(trace.key, trace.outcome) for trace in traces][:2] == [
        ("agreed|seer|video_text|0", "ok"),
        ("agreed|seer|video_text|1", "ok"),
    ]
    form = by_format(traces, items)
    assert count(form) == {"kept": 6, "unclosed: a block is opened and not closed": 1}
    decisions = by_agreement(traces, items, unanimous, n=2)
    assert count(decisions) == {
        "kept": 2,
        "a sample has no answer": 3,
        "the samples give different answers": 2,
    }
    agreed = kept(traces, decisions)
    assert {trace.item for trace in agreed} == {"agreed"}
    with pytest.raises(InputError, match="agreed: 2 samples, where 1 were to be drawn"):
        by_agreement(traces, items, unanimous, n=1)

    trusted = TrustedVerifier(Verifier(HONEST, sentences), Trust("honest", *[Rate.of(1, 1)] * 3, {}, 0, 0))
    sounds = {name: tmp_path / f"{name}.wav" for name in items}
    verified = by_verdict(traces, sounds, trusted, tmp_path / "verdicts.jsonl")
    assert [decision.kept for decision in verified[:4]] == [True, False, True, False]
    assert count(verified) == {
        "kept": 4,
        "the checker says no": 2,
        "unclosed: a block is opened and not closed": 1,
    }
    verdicts = read_store(tmp_path / "verdicts.jsonl", Verdict)
    assert [(one.claim, one.accepted, one.reason) for one in verdicts[:2]] == [
        ("A bell.", True, "as it says"),
        ("A horn.", False, "no horn"),
    ]


def test_verdicts_are_not_asked_for_twice_and_failures_are(tmp_path):
    _, traces, _ = drawn(tmp_path, {"a": [text("A bell.", "A")], "b": [text("A horn. A drum.", "A")]})
    answers = {"A bell.": [Word.UNCLEAR], "A horn.": [Word.YES, Word.YES], "A drum.": [Word.FAILED, Word.YES]}
    checker = CallableChecker("slow", lambda case: Judgement(answers[case.statement].pop(0), "so"))
    trusted = TrustedVerifier(Verifier(checker, sentences), Trust("slow", *[Rate.of(1, 1)] * 3, {}, 0, 0))
    sounds = {name: tmp_path / f"{name}.wav" for name in "ab"}

    def reasons():
        return [decision.reason for decision in by_verdict(traces, sounds, trusted, tmp_path / "verdicts.jsonl")]

    assert reasons() == ["the checker says neither yes nor no", "the checker did not answer"]
    assert reasons() == ["the checker says neither yes nor no", ""]
    assert reasons() == ["the checker says neither yes nor no", ""]
    assert answers == {"A bell.": [], "A horn.": [], "A drum.": []}


def test_a_format_without_a_choice_is_dropped_by_the_format(tmp_path):
    items, traces, _ = drawn(tmp_path, {"a": [text("A bell.", "C")]})
    assert isinstance(traces[0], Trace)
    assert count(by_format(traces, items)) == {"kept": 0, "the answer names no choice": 1}
