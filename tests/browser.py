"""A headless Chromium, driven over its debugging pipe: no driver and no open port."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
    "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
)  # fmt: skip


class Page:
    """One open page."""

    def __init__(self, process: subprocess.Popen, to: int, back: int) -> None:
        self._process, self._to, self._back = process, to, back
        self._number, self._rest = 0, b""
        self.console: list[str] = []
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def _call(self, method: str, params: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            told = self._read()
            if told.get("id") == self._number:
                assert "error" not in told, told
                return told["result"]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            content = os.read(self._back, 1 << 20)
            assert content, "the browser ended"
            self._rest += content
        line, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = json.loads(line)
        if told.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
            self.console.append(json.dumps(told["params"]))
        return told

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the debugging protocol."""
        return self._call(method, params, self._session)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def value(self, code: str) -> Any:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, code: str, timeout_s: float = 60) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + timeout_s
        while not self.value(code):
            assert time.monotonic() < until, (code, self.value("document.body.innerText"), self.console)
            time.sleep(0.05)

    def key(self, kind: str, key: str, code: str) -> None:
        """`keyDown` or `keyUp` of a key."""
        self.call(
            "Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=32 if key == " " else 13
        )

    def choose(self, selector: str, file: Path) -> None:
        """Choose a file in an input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextmanager
def browser(profile: Path, *, microphone: Path | None = None) -> Iterator[Page]:
    """A browser for a block; its microphone plays `microphone` once, when it is opened."""
    assert BROWSER
    there, to = os.pipe()
    back, here = os.pipe()

    def connect() -> None:
        os.dup2(there, 3)
        os.dup2(here, 4)

    fake = [f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone is not None else []
    command = [BROWSER, *QUIET, *fake, f"--user-data-dir={profile}", "about:blank"]
    high_there, high_here = os.dup(there), os.dup(here)
    os.close(there), os.close(here)
    there, here = high_there, high_here
    process = subprocess.Popen(command, preexec_fn=connect, pass_fds=(3, 4, there, here), stderr=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL)  # fmt: skip
    try:
        yield Page(process, to, back)
    finally:
        process.terminate()
        process.wait(20)
        for number in (there, here, to, back):
            os.close(number)
