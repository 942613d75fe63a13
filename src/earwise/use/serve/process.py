"""The process that listens: uvicorn with this project's settings."""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Iterator

import h11
import uvicorn

from earwise.use.serve.app import Server


def config_of(server: Server) -> uvicorn.Config:
    """Quiet, without WebSockets, with bounded headers and a bounded end."""
    config = uvicorn.Config(
        server.app,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=round(server.limits.stop_s),
        h11_max_incomplete_event_size=64 * 1024,
        loop="asyncio",
        http="h11",
        ws="none",
    )
    logging.getLogger("uvicorn.error").addFilter(_not_of_a_client)
    return config


def _not_of_a_client(record: logging.LogRecord) -> bool:
    """Whether a record is about the server. A client that breaks the protocol in the middle of its request was told so
    already, and then the application's own answer has nowhere to go.
    """
    return record.exc_info is None or not isinstance(record.exc_info[1], h11.LocalProtocolError)


class Process(uvicorn.Server):
    """As in uvicorn, but a signal that ends it gracefully is no failure."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM until the server has ended."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
