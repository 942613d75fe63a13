"""The model in a thread of its own. Requests that arrive together are answered in one batch."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from earwise.errors import InputError
from earwise.models.answering import Token, Wish, answer
from earwise.models.layout import Layout
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.use.serve.limits import Limits, Refused
from earwise.use.serve.metrics import Metrics
from earwise.use.serve.text import GrowingText
from earwise.views import View

log = logging.getLogger(__name__)
_BROKEN: Final = "the server failed on this request"


@dataclass(frozen=True)
class Piece:
    """A part of an answer: text that is certain, and the tokens since the last part."""

    text: str
    tokens: tuple[Token, ...]


@dataclass(frozen=True)
class End:
    """The end of an answer."""

    text: str
    """The whole answer."""
    reason: str
    """`stop` or `length`."""
    prompt_tokens: int
    answer_tokens: int


@dataclass(eq=False)
class Job:
    """One request on its way through the model. Its events are read in the event loop that made it."""

    sample: Sample
    view: View
    wish: Wish
    stops: tuple[str, ...] = ()
    streams: bool = False
    """Whether pieces are wanted; otherwise there is one before the end."""
    events: asyncio.Queue[Piece | End | Refused] = field(default_factory=asyncio.Queue)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    over: Callable[[], None] = lambda: None
    """Called once, when the model is done with the job."""
    cancelled: bool = False
    """Set when nobody waits for the answer any more."""

    def tell(self, event: Piece | End | Refused) -> None:
        """Hand an event to the loop; does nothing after the loop has ended."""
        if not isinstance(event, Piece):
            self.over()
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.events.put_nowait, event)


class _Answer:
    """The growing answer of one job."""

    def __init__(self, job: Job, prompt: Layout, model: OmniModel) -> None:
        self.job, self.prompt = job, prompt
        self._text = GrowingText(model.family.tokenizer, job.stops)
        self._tokens: list[Token] = []
        self._held = ""
        self.told = False
        """Whether something was handed out, so that the answer cannot begin again."""

    def take(self, token: Token) -> bool:
        """One more token; returns whether the answer goes on."""
        if self.job.cancelled or token.ends:
            return False
        self._tokens.append(token)
        self._held += self._text.add(token.id)
        if self.job.streams and self._held:
            self._tell()
        return not self._text.stopped and not self._is_full

    @property
    def _is_full(self) -> bool:
        return len(self._text) >= self.job.wish.max_new_tokens

    def _tell(self) -> None:
        self.told = True
        self.job.tell(Piece(self._held, tuple(self._tokens)))
        self._held, self._tokens = "", []

    def end(self) -> None:
        """Hand out the rest."""
        self._held += self._text.rest()
        if self._held or self._tokens:
            self._tell()
        full = self._is_full and not self._text.stopped
        self.job.tell(End(self._text.text, "length" if full else "stop", len(self.prompt), len(self._text)))


class Engine:
    """Answers jobs, in the order in which they came, as many at a time as the limits allow."""

    def __init__(self, model: OmniModel, limits: Limits, metrics: Metrics) -> None:
        self.model, self.limits, self.metrics = model, limits, metrics
        self._waiting: queue.Queue[Job | None] = queue.Queue()
        self._put_back: list[tuple[Job, Layout]] = []
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Number of waiting jobs."""
        return self._waiting.qsize() + len(self._put_back)

    def submit(self, job: Job) -> None:
        """Let a job wait for its turn. Raises `Refused` if too many wait, or the server ends."""
        if self._closing:
            raise Refused(503, "the server is stopping", code="stopping")
        if self.depth >= self.limits.queue:
            raise Refused(429, f"{self.limits.queue} requests are waiting: try again later", code="queue_full")
        self._waiting.put(job)

    def close(self, timeout_s: float) -> None:
        """Answer what waits, then end."""
        self._closing = True
        self._waiting.put(None)
        self._thread.join(timeout_s)

    @property
    def works(self) -> bool:
        """Whether the thread lives."""
        return self._thread.is_alive()

    def _work(self) -> None:
        ends = False
        while not ends or self._put_back:
            batch, ended = self._gather(wait=not ends and not self._put_back)
            ends = ends or ended
            if batch:
                self._answer(batch)

    def _gather(self, *, wait: bool) -> tuple[list[_Answer], bool]:
        """The next batch, and whether no job follows it."""
        batch: list[_Answer] = []
        coming, self._put_back = self._put_back, []
        until = time.monotonic() + self.limits.gather_s
        while len(batch) < self.limits.batch:
            if coming:
                job, prompt = coming.pop(0)
            else:
                try:
                    found = self._waiting.get(
                        timeout=None if wait and not batch else max(0.0, until - time.monotonic())
                    )
                except queue.Empty:
                    return batch, False
                if found is None:
                    return batch, True
                if not batch:
                    until = time.monotonic() + self.limits.gather_s
                built = self._build(found)
                if built is None:
                    continue
                job, prompt = found, built
            if batch and not self._fits([*(one.prompt for one in batch), prompt], [*(one.job for one in batch), job]):
                self._put_back = [(job, prompt), *coming]
                break
            batch.append(_Answer(job, prompt, self.model))
        return batch, False

    def _build(self, job: Job) -> Layout | None:
        """The job's prompt; None if it is refused or nobody waits for it."""
        if job.cancelled:
            job.over()
            return None
        try:
            prompt = self.model.layouts.build(job.sample, job.view, answers=False)
            self._check_length(prompt, job)
        except Refused as refused:
            job.tell(refused)
        except InputError as error:
            remedy = f" ({error.remedy})" if error.remedy and "/" not in error.remedy else ""
            job.tell(Refused(400, f"{error.what}{remedy}"))
        except Exception:
            log.exception("a prompt could not be built")
            job.tell(Refused(500, _BROKEN))
        else:
            return prompt
        return None

    def _check_length(self, prompt: Layout, job: Job) -> None:
        longest = getattr(self.model.family.backbone.config, "max_position_embeddings", None)
        if longest is not None and len(prompt) + job.wish.max_new_tokens > longest:
            what = f"a prompt of {len(prompt)} tokens and an answer of {job.wish.max_new_tokens}, of {longest} in all"
            raise Refused(400, what, param="messages", code="context_length_exceeded")

    def _fits(self, prompts: Sequence[Layout], jobs: Sequence[Job]) -> bool:
        longest = max(map(len, prompts)) + max(job.wish.max_new_tokens for job in jobs)
        return len(prompts) * longest <= self.limits.batch_tokens

    def _answer(self, batch: list[_Answer]) -> None:
        """Answer a batch. If it fails, each job is tried alone, so that one cannot end the others."""
        self.metrics.batch(len(batch))
        over = [False] * len(batch)

        def take(row: int, token: Token) -> bool:
            goes_on = batch[row].take(token)
            self.metrics.tokens += 1
            if not goes_on and not over[row]:
                over[row] = True
                batch[row].end()
            return goes_on

        try:
            wishes = [one.job.wish for one in batch]
            answer(self.model, [one.prompt for one in batch], wishes, take)
        except Exception:
            log.exception("a batch of %d failed", len(batch))
            for row, one in enumerate(batch):
                if over[row]:
                    continue
                if len(batch) > 1 and not one.told:
                    self._answer([_Answer(one.job, one.prompt, self.model)])
                else:
                    one.job.tell(Refused(500, _BROKEN))
