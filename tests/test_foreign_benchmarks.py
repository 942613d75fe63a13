"""Benchmarks of other packages: found by entry point, loaded when asked for, and refused by name when broken."""

import json
import sys

import pytest
from foreign_package import install
from typer.testing import CliRunner

from earwise.cli import app
from earwise.errors import InputError
from earwise.evaluate.audit import audit
from earwise.evaluate.benchmarks import aggregate, find, load_benchmark, score_predictions
from earwise.evaluate.benchmarks.registry import names
from earwise.evaluate.scoring import score
from earwise.io import plugins
from earwise.records import Item
from earwise.report.grids import benchmark_label

CODE = """

from earwise.data.audit_scans import sounds_scan
from earwise.data.fields import read_each
from earwise.data.public_files import PublicFile
from earwise.evaluate.benchmarks import Benchmark, Rules
from earwise.evaluate.metrics import mean_of_kinds
from earwise.records import Item


def _item(fields):
    name = fields.name("nr")
    return Item(id=name, source="{name}", question=fields.text("q"), answers=(fields.text("a"),), cluster=name,
                kind=fields.text("level"))


def read(path, *, refuse=None):
    return read_each(path, _item, refuse=refuse)


def first_letter(golds, prediction, choices):
    return float(prediction[:1] == golds[0][:1]) if prediction else None


{upper} = Benchmark(
    name="{name}", label="{label}", file=PublicFile("{name}.json", sounds_scan(read), counts={{"rows": 3}}),
    read=lambda path, options: read(path), rules=Rules("{name}", {{"strict": first_letter}}), metric=mean_of_kinds,
)
"""
RECORDS = [{"nr": n, "q": "?", "a": answer, "level": level} for n, answer, level in
           ((1, "apple", "easy"), (2, "bear", "easy"), (3, "crab", "hard"))]  # fmt: skip


def code(name, label="A label"):
    return CODE.format(name=name, upper=name.upper(), label=label)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of packages that are installed, beside those that are."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield tmp_path / "site"
    for name in [name for name, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


def test_a_package_registers_a_benchmark_with_its_own_reader_scorer_and_number(site, tmp_path):
    install(site, "first-letters", code("letters", "Letters"), letters="first_letters:LETTERS")
    assert "first_letters" not in sys.modules
    (tmp_path / "letters.json").write_text(json.dumps(RECORDS))
    items = load_benchmark("letters", tmp_path)
    assert [item.source for item in items] == ["letters"] * 3
    said = {"1": "avocado", "2": "cow", "3": "c"}
    scores = score_predictions("letters", items, said, model="m", view="text_only").scores
    assert [one.value for one in scores] == [1, 0, 1]
    assert aggregate("letters", scores) == 75.0  # 50 of easy, 100 of hard
    assert score("letters", "apple", "a") == 1
    assert score("letters", "apple", "") is None
    with pytest.raises(InputError, match="letters has no profile 'official' that needs no judge"):
        score("letters", "apple", "a", profile="official")
    assert benchmark_label("letters") == "Letters"
    assert audit("letters", tmp_path / "letters.json").ceiling == {"strict": 100.0}
    assert CliRunner().invoke(app, ["audit", "letters", str(tmp_path / "letters.json")]).exit_code == 0
    assert names()[-1] == "letters"


def test_no_package_is_loaded_for_a_name_that_earwise_has(site):
    install(site, "loud-package", "raise SystemError('loaded')", loud="loud_package:X")
    assert find("mme").label == "MME"
    assert score("mme", "yes", "Yes") == 1
    assert plugins.names("earwise.benchmarks") == ("loud",)


def test_a_package_that_cannot_be_loaded_is_named(site, tmp_path):
    install(site, "broken-package", "raise SystemError('no such luck')", broken="broken_package:X")
    said = r"the plugin 'broken' of broken-package .*cannot be loaded: SystemError: no such luck"
    for ask in (lambda: load_benchmark("broken", tmp_path), lambda: score("broken", "a", "b"), names):
        with pytest.raises(InputError, match=said):
            ask()
    with pytest.raises(InputError, match=said):
        score("nothing", "a", "b")  # names are listed


def test_two_packages_with_one_name_are_named(site, tmp_path):
    for package in ("one-package", "two-package"):
        install(site, package, code("same"), same=f"{package.replace('-', '_')}:SAME")
    with pytest.raises(InputError, match=r"'same' is registered 2 times in .*, by one-package .*two-package"):
        load_benchmark("same", tmp_path)


def test_a_package_that_takes_a_name_of_earwise_is_named_where_names_are_listed(site):
    install(site, "thief-package", code("mme"), mme="thief_package:MME")
    with pytest.raises(InputError, match=r"package thief-package registers the benchmark 'mme', a name that earwise"):
        names()


@pytest.mark.parametrize(
    ("text", "said"),
    [("X = 3", "registers a int as 'odd'"), (code("other") + "X = OTHER", "registers the benchmark 'other' as 'odd'")],
)
def test_what_is_no_benchmark_of_that_name_is_refused(site, tmp_path, text, said):
    install(site, "odd-package", text, odd="odd_package:X")
    with pytest.raises(InputError, match=f"package odd-package {said}"):
        load_benchmark("odd", tmp_path)


def test_plugins_are_found_in_any_group(site):
    assert plugins.found("earwise.benchmarks", "letters") is None
    install(site, "first-letters", "VALUE = 7", letters="first_letters:VALUE")
    assert plugins.found("earwise.benchmarks", "letters") == 7
    assert plugins.found("earwise.other", "letters") is None
    assert plugins.names("earwise.other") == ()


def test_an_item_file_is_still_a_benchmark_of_its_own_name(site, tmp_path):
    install(site, "first-letters", code("letters"), letters="first_letters:LETTERS")
    item = Item(id="1", source="x", question="?", answers=("y",), cluster="1")
    (tmp_path / "mine.jsonl").write_text(item.to_json() + "\n")
    assert load_benchmark("mine", tmp_path)[0].source == "mine"
