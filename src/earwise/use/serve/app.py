"""The server's addresses, as an ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from earwise import __version__
from earwise.models.answering import Wish
from earwise.models.omni import OmniModel
from earwise.use.asking import transcription
from earwise.use.serve import chat
from earwise.use.serve.engine import End, Engine, Job, Piece
from earwise.use.serve.limits import DEFAULT, Limits, Refused
from earwise.use.serve.media import Lease, MediaFolder
from earwise.use.serve.metrics import Metrics
from earwise.use.serve.schema import ChatRequest, parsed

_FORM: Final = ("model", "file", "response_format", "temperature")
"""What a request for a transcript may say."""
Handler = Callable[[Request], Awaitable[Response]]


class Server:
    """One model behind OpenAI's addresses.

    Args:
        model: answers.
        name: of the model, as clients give it.
        instruction: the typed request for a transcript.
        folder: for the media of requests.
        key: what clients must send as a bearer token; empty for none.
        pages: further addresses, such as the page at `/`.
    """

    def __init__(
        self,
        model: OmniModel,
        name: str,
        instruction: str,
        folder: Path,
        limits: Limits = DEFAULT,
        *,
        key: str = "",
        pages: tuple[Route, ...] = (),
    ) -> None:
        self.model, self.name, self.instruction, self.limits, self._key = model, name, instruction, limits, key
        self.metrics = Metrics()
        self.media = MediaFolder(folder, limits)
        self.engine = Engine(model, limits, self.metrics)
        self.began = int(time.time())
        routes = [
            Route("/health", self._route(self.health, is_open=True)),
            Route("/metrics", self._route(self.show_metrics)),
            Route("/v1/models", self._route(self.models)),
            Route("/v1/models/{name:path}", self._route(self.one_model)),
            Route("/v1/chat/completions", self._route(self.complete), methods=["POST"]),
            Route("/v1/audio/transcriptions", self._route(self.transcribe), methods=["POST"]),
            *pages,
        ]
        refusals = {HTTPException: _http_error, Refused: _refusal}
        self.app = Starlette(routes=routes, lifespan=self._lifespan, exception_handlers=refusals)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(self.engine.close, self.limits.stop_s)

    def _route(self, handler: Handler, *, is_open: bool = False) -> Handler:
        """`handler` behind the key, counted; what it refuses is answered in OpenAI's form."""

        async def handle(request: Request) -> Response:
            began = time.monotonic()
            try:
                _check_origin(request)
                if not is_open:
                    self._check_key(request)
                response = await handler(request)
            except Refused as refused:
                response = _refused(refused)
            except ClientDisconnect:
                self.metrics.hung_up += 1
                response = Response(status_code=499)
            path = getattr(request.scope.get("route"), "path", request.url.path)
            self.metrics.answered[path, response.status_code] += 1
            self.metrics.seconds += time.monotonic() - began
            return response

        return handle

    def _check_key(self, request: Request) -> None:
        if not self._key:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._key.encode()):
            raise Refused(401, "no valid key: send it as a bearer token", code="invalid_api_key")

    async def health(self, request: Request) -> Response:
        """Whether the model answers."""
        works = self.engine.works
        return JSONResponse(
            {"status": "ok" if works else "failed", "version": __version__}, status_code=200 if works else 503
        )

    async def show_metrics(self, request: Request) -> Response:
        """Counts, for Prometheus."""
        return PlainTextResponse(self.metrics.text(self.engine.depth), media_type="text/plain; version=0.0.4")

    async def models(self, request: Request) -> Response:
        """The only model."""
        return JSONResponse({"object": "list", "data": [self._model()]})

    async def one_model(self, request: Request) -> Response:
        """The model, by its name."""
        self._check_model(request.path_params["name"])
        return JSONResponse(self._model())

    def _model(self) -> dict[str, Any]:
        return {"id": self.name, "object": "model", "created": self.began, "owned_by": "earwise"}

    def _check_model(self, name: str) -> None:
        if name != self.name:
            what = f"there is no model {name[:100]!r} here, but {self.name!r}"
            raise Refused(404, what, param="model", code="model_not_found")

    async def complete(self, request: Request) -> Response:
        """`/v1/chat/completions`."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused(415, "the body must be application/json")
        asked = await asyncio.to_thread(parsed, ChatRequest, await self._body(request))
        self._check_model(asked.model)
        if len(asked.messages) > self.limits.messages:
            raise Refused(400, f"more than {self.limits.messages} messages", param="messages")
        wish = chat.wish_of(asked, self.limits, self.model.family.vocabulary)
        lease = Lease(self.media)
        try:
            sample, view = await asyncio.to_thread(chat.asked, asked, lease)
            job = Job(sample, view, wish, asked.stops, asked.stream, over=lease.close)
            self.engine.submit(job)
        except BaseException:
            lease.close()
            raise
        reply = chat.Reply(self.name, asked, self.model.family.tokenizer)
        if asked.stream:
            return await self._stream(job, reply)
        pieces, end = await self._whole(job, request)
        return JSONResponse(reply.whole(pieces, end))

    async def _whole(self, job: Job, request: Request) -> tuple[list[Piece], End]:
        """All pieces of an answer, and its end. A client that hangs up cancels the job."""
        pieces: list[Piece] = []
        watch = asyncio.create_task(_hangs_up(request))
        try:
            while True:
                coming = asyncio.create_task(job.events.get())
                await asyncio.wait({coming, watch}, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    coming.cancel()
                    raise ClientDisconnect
                event = coming.result()
                if isinstance(event, Refused):
                    raise event
                if isinstance(event, End):
                    return pieces, event
                pieces.append(event)
        finally:
            job.cancelled = True
            watch.cancel()

    async def _stream(self, job: Job, reply: chat.Reply) -> Response:
        """Events as the answer grows. What is refused before the first token has its own status."""
        first = await job.events.get()
        if isinstance(first, Refused):
            raise first
        return StreamingResponse(self._events(first, job, reply), media_type="text/event-stream")

    async def _events(self, first: Piece | End, job: Job, reply: chat.Reply) -> AsyncIterator[str]:
        event: Piece | End | Refused = first
        try:
            yield reply.begin()
            while isinstance(event, Piece):
                yield reply.piece(event)
                event = await job.events.get()
            if isinstance(event, Refused):
                yield chat.failure(event)
                return
            for line in reply.end(event):
                yield line
        finally:
            if not isinstance(event, End):
                self.metrics.hung_up += 1
            job.cancelled = True

    async def transcribe(self, request: Request) -> Response:
        """`/v1/audio/transcriptions`."""
        if self.model.ears is None:
            raise Refused(400, "the model has no ears")
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or len(length) > 15:
            raise Refused(411, "a form needs a content-length")
        if int(length) > self.limits.body_bytes:
            raise self._too_large()
        content, form = await self._form(request)
        self._check_model(form.get("model", ""))
        form_of = form.get("response_format", "json")
        if form_of not in ("json", "text"):
            raise Refused(400, f"response_format: {form_of[:50]!r}, not 'json' or 'text'", param="response_format")
        lease = Lease(self.media)
        try:
            speech = await asyncio.to_thread(lease.recording, content, "file")
            sample, view, tokens = transcription(speech, self.instruction)
            job = Job(sample, view, Wish(tokens), over=lease.close)
            self.engine.submit(job)
        except BaseException:
            lease.close()
            raise
        _, end = await self._whole(job, request)
        return JSONResponse({"text": end.text}) if form_of == "json" else PlainTextResponse(end.text + "\n")

    async def _form(self, request: Request) -> tuple[bytes, dict[str, str]]:
        """The recording and the other fields of a multipart form."""
        try:
            async with asyncio.timeout(self.limits.read_s), request.form(max_files=1, max_fields=8) as form:
                fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
                file = form.get("file")
                if not isinstance(file, UploadFile):
                    raise Refused(400, "no file", param="file")
                content = await file.read()
        except TimeoutError:
            raise _too_slow() from None
        except (HTTPException, UnicodeError, ValueError):
            raise Refused(400, "not a multipart form") from None
        if unknown := sorted({*fields} - {*_FORM}):
            raise Refused(400, f"{unknown[0][:50]}: unknown or unsupported key", param=unknown[0][:50])
        if fields.get("temperature", "0") not in ("0", "0.0"):
            raise Refused(400, "temperature: transcripts are greedy, so it can only be 0", param="temperature")
        if not content:
            raise Refused(400, "an empty file", param="file")
        return content, fields

    async def _body(self, request: Request) -> bytes:
        """The whole body, within the limits of bytes and time."""
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and len(length) < 16 and int(length) > self.limits.body_bytes:
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.read_s):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self.limits.body_bytes:
                        raise self._too_large()
        except TimeoutError:
            raise _too_slow() from None
        return bytes(body)

    def _too_large(self) -> Refused:
        return Refused(413, f"the request has more than {self.limits.body_bytes:,} bytes", code="request_too_large")


def _too_slow() -> Refused:
    return Refused(408, "the request did not arrive in time")


async def _hangs_up(request: Request) -> None:
    """Returns when the client is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _check_origin(request: Request) -> None:
    """Refuse requests that another site's page makes in a browser."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise Refused(403, "requests of other sites' pages are not answered", code="forbidden_origin")


def _refused(refused: Refused) -> Response:
    headers = {"Retry-After": "1"} if refused.status in (429, 503) else {}
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if refused.status in (408, 413):  # The rest of the body is not read.
        headers["Connection"] = "close"
    return JSONResponse(refused.to_json(), status_code=refused.status, headers=headers)


async def _refusal(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)
    return _refused(refused)


async def _http_error(request: Request, error: Exception) -> Response:
    """A wrong address or method."""
    assert isinstance(error, HTTPException)
    what = {404: "there is nothing at this address", 405: "this address takes another method"}
    return _refused(Refused(error.status_code, what.get(error.status_code, error.detail)))
