"""The scene engine `http`: an image server paints the pictures."""

from __future__ import annotations

import structlog

from edgewatch.pipeline.errors import SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.engine import SceneImage
from edgewatch.pipeline.scenes.http.connection import Connection, Reply
from edgewatch.pipeline.scenes.http.dialects import (
    PictureQuestion,
    base_of,
    complaint_in,
    picture_in,
    picture_path,
    probe_path,
    request_body,
    sent_seed,
)
from edgewatch.pipeline.scenes.http.picture_file import pixels_of
from edgewatch.pipeline.scenes.models.licences import check_licence
from edgewatch.pipeline.scenes.models.origins import place_of
from edgewatch.pipeline.scenes.setup import SceneSetup
from edgewatch.pipeline.scenes.token_file import read_token

log = structlog.get_logger(__name__)

PROBE_SECONDS = 10.0


class HttpEngine:
    """Asks a NIM or a server with OpenAI's interface. What model it runs is the setting's word."""

    def __init__(self, setup: SceneSetup) -> None:
        self._setup = setup
        self._connection: Connection | None = None

    @property
    def name(self) -> str:
        """As `SceneEngine` has it; the server knows its precision, not we."""
        return f"http:{self._setup.model}:{self._setup.dialect}"

    def sent_seed(self, seed: int) -> int:
        """Return what the server is sent for a seed, as it differs, for sidecars."""
        return sent_seed(seed)

    def start(self) -> None:
        """Check licence and token, and that the server is there.

        Raises SceneRefused, SceneUnavailable.
        """
        setup = self._setup
        if setup.url is None:
            raise SceneRefused("no image server is named. Set [scenes] url, or --url")
        check_licence(setup.chosen_model, setup)
        token = (
            read_token(setup.token_file, "[scenes] http_token_file") if setup.token_file else None
        )
        connection = Connection(
            token=token, ca_file=setup.ca_file, limit_seconds=setup.request_seconds
        )
        url = base_of(setup.url) + probe_path(setup.dialect)
        reply = connection.get(url, PROBE_SECONDS)
        if reply.status in (401, 403):
            raise self._refused(reply)
        # Of OpenAI's interface not every image server has /models: 404 is an answer, too.
        if reply.status >= 500 or (setup.dialect == "nim" and reply.status != 200):
            raise SceneUnavailable(
                f"the image server {place_of(url)} is not ready (it answers {reply.status}). "
                "Wait until its model is loaded"
            )
        self._connection = connection

    def generate(self, prompt: str, seed: int, size: tuple[int, int]) -> SceneImage:
        """Ask for one picture; see `SceneEngine`. The server is sent `sent_seed`."""
        setup = self._setup
        if self._connection is None or setup.url is None:
            raise SceneUnavailable("the engine is not started")
        question = PictureQuestion(prompt, seed, size, setup.chosen_steps)
        body = request_body(setup.chosen_model, setup.dialect, question)
        log.info("picture asked for", seed=seed, sent_seed=sent_seed(seed), server=self._place())
        reply = self._connection.post(base_of(setup.url) + picture_path(setup.dialect), body)
        if reply.status != 200:
            raise self._refused(reply)
        return pixels_of(picture_in(reply.body, setup.dialect), size)

    def close(self) -> None:
        """Forget the token; idempotent."""
        self._connection = None

    def _place(self) -> str:
        return place_of(self._setup.url or "")

    def _refused(self, reply: Reply) -> SceneRefused | SceneUnavailable:
        said = complaint_in(reply.body)
        words = f": {said}" if said else ""
        place, setup = self._place(), self._setup
        if reply.status in (401, 403):
            held = f"the token in {setup.token_file}" if setup.token_file else "no token"
            return SceneRefused(
                f"the image server {place} refuses {held} ({reply.status}). Set [scenes] "
                "http_token_file to a file with its token"
            )
        if reply.status in (400, 413, 422):
            return SceneRefused(
                f"the image server {place} does not take the request ({reply.status}){words}. "
                f'Check size, steps, [scenes] model and dialect (now "{setup.dialect}")'
            )
        if reply.status in (404, 405):
            return SceneUnavailable(
                f"the image server {place} has no {picture_path(setup.dialect)} ({reply.status}). "
                f'Check [scenes] url and dialect (now "{setup.dialect}")'
            )
        return SceneUnavailable(
            f"the image server {place} answered {reply.status}{words}. Look at its log"
        )
