"""`earwise serve`: the server as a process, from its first line to its graceful end."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from earwise.errors import InputError
from earwise.io.messages import say
from earwise.use.opening import find_model, open_model

KEY: Final = "EARWISE_API_KEY"
"""Environment variable of the key that clients must send."""


def serve(name: str, host: str, port: int, *, opened: Callable[[str], None] = lambda _: None) -> None:
    """Serve the model `name` until SIGINT or SIGTERM; requests that are being answered are answered to their end.

    `opened` gets the address when the server listens. Raises `InputError` for a model that cannot be opened, an address
    that cannot be listened at, and where the packages of the extra `serve` are missing.
    """
    found = find_model(name)
    check_packages()
    with listening(host, port) as listener, tempfile.TemporaryDirectory(prefix="earwise-") as folder:
        from earwise.use.serve.app import Server
        from earwise.use.serve.process import Process, config_of
        from earwise.use.talk.pages import pages

        address = address_of(listener)
        if not is_loopback(host) and not os.environ.get(KEY):
            say(f"note: everybody who reaches {address} can use the model; set {KEY} to ask for a key")
        server = Server(
            open_model(found), name, found.instruction, Path(folder), key=os.environ.get(KEY, ""), pages=pages()
        )
        say(f"serving {name} at {address}/v1 (Ctrl-C ends it)")
        opened(address)
        Process(config_of(server)).run(sockets=[listener])


def check_packages() -> None:
    """Raise `InputError` where the extra `serve` is not installed."""
    try:
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        what = f"serving needs the package {error.name!r}"
        raise InputError(what, remedy="pip install 'earwise[serve]'") from None


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens at `host` and `port`, or at a free port for 0."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot listen at {host}:{port}: {reason}", remedy="choose --host and --port") from None
    with listener:
        yield listener


def address_of(listener: socket.socket) -> str:
    """`http://HOST:PORT`."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
