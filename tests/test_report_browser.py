"""The report page in a real browser, where one is installed: no violation of its policy, filters, phone width."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import report_fixture as fixture
import study_fixture

from earwise.report import build_report

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--dump-dom",
)  # fmt: skip
PHONE = """<iframe src="report.html" style="width:390px;height:800px"></iframe><p></p>
<script>addEventListener("message", (e) => document.querySelector("p").textContent = e.data);</script>"""
MEASURE = """<script>addEventListener("load", () => {
for (const node of document.querySelectorAll("details")) node.open = true;
parent.postMessage(`width ${innerWidth} ${document.documentElement.scrollWidth}`, "*"); });</script></body>"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    folder = fixture.write_run(tmp_path / "run")
    return build_report(folder, fixture.shown_items(tmp_path / "media", 6), tmp_path / "report.html")


def open_page(path: Path, profile: Path) -> tuple[str, str]:
    """The document after its scripts ran, and what the console said about it."""
    assert BROWSER
    command = [BROWSER, *QUIET, f"--user-data-dir={profile}", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def test_the_filters_work_and_nothing_is_refused(page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    text = text.replace('<option value="lost">', '<option value="lost" selected>')
    page.write_text(text.replace('<option value="1">SFT', '<option value="1" selected>SFT'))
    document, console = open_page(page, tmp_path / "profile")
    outcomes = [re.findall(r'data-outcomes="([^"]*)"', tag)[0].split()[1] for tag in articles(document)]
    assert outcomes.count("lost") in range(1, 6)
    assert ["hidden" not in tag for tag in articles(document)] == [outcome == "lost" for outcome in outcomes]
    assert f"{outcomes.count('lost')} of 6 items" in document
    assert len(re.findall(r'<tr data-model="1">', document)) == 6
    assert len(re.findall(r'<tr data-model="[023]" hidden="">', document)) == 18
    assert console == ""


def articles(document: str) -> list[str]:
    return re.findall(r"<article [^>]*>", document)


def test_a_studys_page_does_not_scroll_sideways_on_a_phone(tmp_path: Path) -> None:
    folder = study_fixture.write_study(tmp_path / "run")
    shown = study_fixture.shown_items(tmp_path / "media", 2)
    assert_fits_a_phone(build_report(folder, shown, tmp_path / "report.html"), tmp_path)


def test_the_page_does_not_scroll_sideways_on_a_phone(page: Path, tmp_path: Path) -> None:
    assert_fits_a_phone(page, tmp_path)


def assert_fits_a_phone(page: Path, tmp_path: Path) -> None:
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    page.write_text(text.replace("</body>", MEASURE))
    (tmp_path / "phone.html").write_text(PHONE)
    document, _ = open_page(tmp_path / "phone.html", tmp_path / "profile")
    window, content = map(int, re.findall(r"<p>width (\d+) (\d+)</p>", document)[0])
    assert window == 390
    assert content <= window
