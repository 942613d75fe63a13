"""A served model in a process of its own, and requests to it as bytes."""

import base64
import http.client
import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from earwise_process import Command, Result


class Served:
    """A server at work."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        self._folder = folder
        self._command = Command(folder, *arguments, "--port", "0")
        self.address = self._address()
        self.host, _, port = self.address.partition("://")[2].partition(":")
        self.port = int(port)

    def _address(self) -> str:
        until = time.monotonic() + 60
        while self._command.running and time.monotonic() < until:
            out = self._folder / "stdout.txt"
            if out.exists() and (found := re.search(r" at (http://\S+)/v1", out.read_text())):
                return found[1]
            time.sleep(0.02)
        raise AssertionError((self._folder / "stderr.txt").read_text())

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Status and JSON of an answer; `body` is sent as it is if it is bytes."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, answer = self.request("POST", path, raw, {"Content-Type": "application/json", **(headers or {})})
        return status, json.loads(answer)

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Status and text of an answer."""
        status, answer = self.request("GET", path, None, headers or {})
        return status, answer.decode()

    def request(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def stop(self) -> Result:
        """End it as an operator does."""
        import os

        os.kill(self._command.pid, signal.SIGTERM)
        return self._command.result(timeout_s=60)

    @property
    def pid(self) -> int:
        return self._command.pid


@contextmanager
def served(folder: Path, *arguments: object) -> Iterator[Served]:
    """A server for a block; its end must be graceful."""
    folder.mkdir(exist_ok=True)
    server = Served(folder, *arguments)
    try:
        yield server
    finally:
        result = server.stop()
    assert (result.code, result.stderr) == (0, ""), result


def data_url(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{encoded(path)}"


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def picture(path: Path) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": data_url(path, "image/png")}}


def speech(path: Path) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": encoded(path), "format": "wav"}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


needs_server = pytest.mark.skipif(
    any(
        __import__("importlib.util").util.find_spec(name) is None
        for name in ("starlette", "uvicorn", "python_multipart")
    ),
    reason="the extra `serve` is not installed",
)
