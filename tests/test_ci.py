"""Continuous integration installs whatever a test would be skipped for."""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parent.parent
RUN = (PROJECT / ".ci/run").read_text(encoding="utf-8")
SOURCES = {path.name: path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py")}
REASONS = [
    reason
    for name, text in SOURCES.items()
    if name != Path(__file__).name
    for pattern in (r'skipif\([^\n]*reason="([^"]*)"', r'pytest\.skip\("([^"]*)"')
    for reason in re.findall(pattern, text)
]


def test_programs_and_packages_that_tests_ask_for_are_installed():
    asked = {package for reason in REASONS for package in reason.partition("apt-get install ")[2].split()}
    assert asked == {"flite", "festival", "festvox-kallpc16k", "festvox-us-slt-hts"}
    assert all(re.search(rf"(?<![\w-]){package}(?![\w-])", RUN) for package in asked | {"chromium"})


def test_every_skip_is_for_a_program_an_extra_a_gpu_or_files_that_no_package_has():
    known = (
        "apt-get install",
        "needs a GPU",
        "needs public files",
        "no Chromium is installed",
        "needs the extra `ray`",
    )
    assert len(REASONS) >= 5
    assert [reason for reason in REASONS if not any(word in reason for word in known)] == []


def test_the_development_tools_hold_every_extra_that_a_test_uses():
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for name in ("datasets", "peft", "ray", "real", "serve"):
        assert {*extras[name]} <= {*extras["dev"]}, name
    imported = {name for text in SOURCES.values() for name in re.findall(r'importorskip\("(\w+)"\)', text)}
    assert imported <= {"datasets", "gguf", "peft", "ray"}


def test_ci_fails_where_something_else_is_skipped():
    assert re.search(r"grep '\^SKIPPED' .*grep -vE 'needs a GPU\|needs public files'", RUN)
