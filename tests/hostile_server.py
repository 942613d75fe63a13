"""A server on this machine that answers badly, in one way at a time; what it was sent is counted."""

import json
import socket
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from itertools import count

MB = 2**20
SHORT_S = 0.02


def _head(connection: socket.socket, status: str = "200 OK", **headers: object) -> None:
    told = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    connection.sendall(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode())


def _drip(connection: socket.socket) -> None:
    _head(connection, Content_Length=10**6)
    while True:
        connection.sendall(b" ")
        time.sleep(SHORT_S)


def _drip_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for n in count():
        connection.sendall(f"X-{n}: y\r\n".encode())
        time.sleep(SHORT_S)


def _endless_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: " + b"y" * 1000 + b"\r\n")


def _endless_line(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-More: ")
    while True:
        connection.sendall(b"y" * 65_536)


def _continue_for_ever(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def _endless_body(connection: socket.socket) -> None:
    _head(connection)
    while True:
        connection.sendall(b"x" * MB)


def _endless_chunks(connection: socket.socket) -> None:
    _head(connection, Transfer_Encoding="chunked")
    while True:
        connection.sendall(b"100000\r\n" + b"x" * MB + b"\r\n")


def _never_ending_stream(connection: socket.socket) -> None:
    _head(connection, Content_Type="text/event-stream")
    while True:
        connection.sendall(b'data: {"choices": []}\n\n')
        time.sleep(SHORT_S)


def _huge_promise(connection: socket.socket) -> None:
    _head(connection, Content_Length=10**12)
    while True:
        connection.sendall(b"x" * MB)


def _whole(content: bytes, **headers: object) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        _head(connection, **{"Content_Length": len(content), **headers})
        connection.sendall(content)

    return answer


def _promises_more(connection: socket.socket) -> None:
    _head(connection, Content_Length=1000)
    connection.sendall(b"{")


def _redirect(to: str) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        _head(connection, "307 Temporary Redirect", Location=to, Content_Length=0)

    return answer


def _bomb(connection: socket.socket) -> None:
    """A gigabyte of spaces in a MB, packed while it is sent."""
    _head(connection, Content_Encoding="gzip")
    packer = zlib.compressobj(1, wbits=31)
    for _ in range(1024):
        connection.sendall(packer.compress(b" " * MB))
    connection.sendall(packer.flush())


def _says_nothing(connection: socket.socket) -> None:
    time.sleep(3600)


def _resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


MODES: dict[str, Callable[[socket.socket], None]] = {
    "says nothing": _says_nothing,
    "drip-feed": _drip,
    "drip-fed headers": _drip_headers,
    "endless headers": _endless_headers,
    "endless header line": _endless_line,
    "100 Continue for ever": _continue_for_ever,
    "endless body": _endless_body,
    "endless chunks": _endless_chunks,
    "never-ending stream": _never_ending_stream,
    "promise of a terabyte": _huge_promise,
    "wrong content type": _whole(b"<html>busy</html>", Content_Type="text/html"),
    "content length too long": _promises_more,
    "content length too short": _whole(b"{}" * 1000, Content_Length=3),
    "content length of words": _whole(b"{}", Content_Length="many"),
    "closed at once": lambda connection: None,
    "reset": _resets,
    "closed midway": lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "not HTTP": lambda connection: connection.sendall(b"\x15\x03\x01\x00\x02\x02\x16" * 50),
    "redirect to itself": _redirect("/v1/chat/completions"),
    "redirect elsewhere": _redirect("http://127.0.0.1:9/v1"),
    "redirect to a file": _redirect("file:///etc/passwd"),
    "gzip bomb": _bomb,
    "br": _whole(b"\x0b\x02\x80", Content_Encoding="br"),
    "gzip of nothing": _whole(b"hello", Content_Encoding="gzip"),
    "huge JSON": _whole(b'{"choices": [' + b"0," * (8 * MB) + b"0]}"),
    "deep JSON": _whole(b"[" * 500_000),
    "deep JSON error": lambda connection: (
        _head(connection, "400 Bad Request", Content_Length=500_000),
        connection.sendall(b"[" * 500_000),
    )[1],
    "bytes that are no text": _whole(b"\xff\xfe" * 500),
    "empty": _whole(b""),
    "no content": lambda connection: _head(connection, "204 No Content"),
    "unknown status": lambda connection: _head(connection, "799 What", Content_Length=0),
}


class HostileServer:
    """Lists its one model `m` well, and answers everything else in one of `MODES`."""

    def __init__(self, mode: str) -> None:
        self._mode, self._sockets = mode, []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def __enter__(self) -> "HostileServer":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._sockets.append(connection)
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError):
            asked = connection.recv(65_536)
            if asked.startswith(b"GET"):
                listed = json.dumps({"object": "list", "data": [{"id": "m", "object": "model"}]}).encode()
                _head(connection, Content_Length=len(listed), Connection="close")
                connection.sendall(listed)
            else:
                MODES[self._mode](connection)
        connection.close()
