from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from edgewatch.pipeline.errors import SceneError, SceneInvalid, SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.backends import create_scene_engine
from edgewatch.pipeline.scenes.http.engine import HttpEngine
from edgewatch.pipeline.scenes.setup import SceneSetup
from tests.fakes.image_server import ImageServer, painted

SIZE = (160, 96)
TOKEN = "a-token-of-the-server"

Start = Callable[..., tuple[ImageServer, HttpEngine]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a server, and an engine that asks it."""
    with ExitStack() as stack:

        def begin(
            seconds: float = 20.0, setup: dict[str, Any] | None = None, **rest: Any
        ) -> tuple[ImageServer, HttpEngine]:
            server = stack.enter_context(ImageServer(**rest).running())
            made = SceneSetup(
                root=tmp_path,
                backend="http",
                url=server.url,
                dialect=server.dialect,
                request_seconds=seconds,
            )
            engine = HttpEngine(replace(made, **(setup or {})))
            stack.callback(engine.close)
            engine.start()
            return server, engine

        yield begin


def token_in(folder: Path) -> Path:
    path = folder / "images.token"
    path.write_text(TOKEN)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("dialect", ["nim", "openai"])
class TestBothDialects:
    def test_a_picture_comes_as_the_server_painted_it(self, start: Start, dialect: str) -> None:
        _, engine = start(dialect=dialect)
        image = engine.generate("a road", 6, SIZE)
        assert image.shape == (96, 160, 3)
        assert image.dtype == np.float32
        assert np.array_equal(np.round(image * 255).astype(np.uint8), painted(7, SIZE)[..., ::-1])
        assert np.array_equal(image, engine.generate("a road", 6, SIZE))

    def test_seed_0_is_sent_as_1_and_said(self, start: Start, dialect: str) -> None:
        server, engine = start(dialect=dialect)
        with structlog.testing.capture_logs() as logs:
            engine.generate("a road", 0, SIZE)
            engine.generate("a road", 1, SIZE)
        assert [body["seed"] for body in server.seen] == [1, 2]
        assert [(one["seed"], one["sent_seed"]) for one in logs] == [(0, 1), (1, 2)]

    def test_a_jpeg_is_a_picture_too(self, start: Start, dialect: str) -> None:
        _, engine = start(dialect=dialect, jpeg=True)
        image = engine.generate("a road", 3, SIZE)
        assert np.abs(image * 255 - painted(4, SIZE)[..., ::-1]).mean() < 4

    @pytest.mark.parametrize(
        ("trick", "words"),
        [
            ("cut_base64", "cut off or damaged"),
            ("text", "no PNG or JPEG"),
            ("no_json", "no JSON"),
            ("cut_answer", "broke off in the middle"),
            ("other_size", "made 176x96 pixels where 160x96"),
            ("bomb", "made 60000x60000 pixels where 160x96"),
        ],
    )
    def test_what_is_no_picture_is_told(
        self, start: Start, dialect: str, trick: str, words: str
    ) -> None:
        _, engine = start(dialect=dialect, trick=trick)
        with pytest.raises(SceneInvalid, match=words):
            engine.generate("a road", 3, SIZE)


class TestFields:
    def test_nim_is_asked_with_its_fields(self, start: Start) -> None:
        server, engine = start(dialect="nim")
        engine.generate("a road", 3, SIZE)
        assert server.seen == [
            {
                "prompt": "a road",
                "mode": "base",
                "seed": 4,
                "steps": 4,
                "width": 160,
                "height": 96,
                "cfg_scale": 0.0,
            }
        ]

    def test_openai_is_asked_with_its_fields_and_schnells_values(self, start: Start) -> None:
        server, engine = start()
        engine.generate("a road", 3, SIZE)
        assert server.seen == [
            {
                "prompt": "a road",
                "size": "160x96",
                "n": 1,
                "seed": 4,
                "num_inference_steps": 4,
                "guidance_scale": 0.0,
                "max_sequence_length": 256,
                "response_format": "b64_json",
            }
        ]

    @pytest.mark.parametrize(("seed", "steps"), [(-1, None), (2**32 - 1, None), (0, 5), (0, 0)])
    def test_what_the_server_would_refuse_is_not_sent(
        self, start: Start, seed: int, steps: int | None
    ) -> None:
        server, engine = start(setup={"steps": steps})
        with pytest.raises(SceneRefused):
            engine.generate("a road", seed, SIZE)
        assert server.seen == []

    def test_an_engine_of_the_setting_http_is_this_one(self, tmp_path: Path) -> None:
        engine = create_scene_engine(SceneSetup(tmp_path, backend="http", url="http://h/v1"))
        assert engine.name == "http:flux.1-schnell:openai"


class TestTrouble:
    def test_a_silent_server_is_left_in_time(self, start: Start) -> None:
        _, engine = start(seconds=0.2, trick="silent")
        with pytest.raises(SceneUnavailable, match=r"did not answer within 0\.2 s"):
            engine.generate("a road", 3, SIZE)

    def test_a_server_that_drips_is_left_in_time(self, start: Start) -> None:
        _, engine = start(seconds=0.2, trick="drip")
        with pytest.raises(SceneUnavailable, match=r"did not answer within 0\.2 s"):
            engine.generate("a road", 3, SIZE)

    def test_an_answer_without_end_is_cut(self, start: Start) -> None:
        _, engine = start(trick="endless")
        with pytest.raises(SceneInvalid, match="longer than 33554432 bytes"):
            engine.generate("a road", 3, SIZE)

    def test_a_link_instead_of_the_picture_is_not_followed(self, start: Start) -> None:
        _, engine = start(trick="link")
        with pytest.raises(SceneInvalid, match="links are not followed"):
            engine.generate("a road", 3, SIZE)

    def test_a_picture_that_was_held_back(self, start: Start) -> None:
        _, engine = start(dialect="nim", trick="filtered")
        with pytest.raises(SceneInvalid, match=r"held the picture back \(CONTENT_FILTERED\)"):
            engine.generate("a road", 3, SIZE)

    @pytest.mark.parametrize(
        ("status", "kind"), [(422, SceneRefused), (500, SceneUnavailable), (404, SceneUnavailable)]
    )
    def test_a_status_is_told_without_the_token(
        self, start: Start, tmp_path: Path, status: int, kind: type[SceneError]
    ) -> None:
        setup = {"token_file": token_in(tmp_path)}
        _, engine = start(status=status, token=TOKEN, setup=setup)
        with pytest.raises(kind) as error, structlog.testing.capture_logs() as logs:
            engine.generate("a road", 3, SIZE)
        assert TOKEN not in str(error.value)
        assert TOKEN not in str(logs)
        assert "\n" not in str(error.value)

    def test_the_token_goes_in_the_header(self, start: Start, tmp_path: Path) -> None:
        server, engine = start(token=TOKEN, setup={"token_file": token_in(tmp_path)})
        engine.generate("a road", 3, SIZE)
        assert len(server.seen) == 1

    def test_a_server_that_wants_a_token_and_gets_none(self, start: Start) -> None:
        _, engine = start(token=TOKEN)
        with pytest.raises(SceneRefused, match="http_token_file"):
            engine.generate("a road", 3, SIZE)

    @pytest.mark.parametrize(
        "target", ["http://10.0.0.1/x", "http://169.254.169.254/", "https://x"]
    )
    def test_a_redirect_to_another_server_is_not_followed(self, start: Start, target: str) -> None:
        _, engine = start(redirect=(307, target))
        with pytest.raises(SceneRefused, match="which is not followed"):
            engine.generate("a road", 3, SIZE)

    def test_a_redirect_within_the_server_is_followed(self, start: Start) -> None:
        server, engine = start(redirect=(308, "/moved"))
        engine.generate("a road", 3, SIZE)
        assert server.elsewhere == 1

    def test_a_redirect_in_circles_ends(self, start: Start) -> None:
        _, engine = start(redirect=(307, "/v1/images/generations"))
        with pytest.raises(SceneUnavailable, match="in circles"):
            engine.generate("a road", 3, SIZE)

    def test_a_login_page_is_told(self, start: Start) -> None:
        _, engine = start(redirect=(302, "/login"))
        with pytest.raises(SceneUnavailable, match="login page"):
            engine.generate("a road", 3, SIZE)


class TestStart:
    def test_a_server_that_is_not_there(self, tmp_path: Path) -> None:
        setup = SceneSetup(tmp_path, backend="http", url="http://127.0.0.1:9/v1")
        with pytest.raises(SceneUnavailable, match="cannot be asked"):
            HttpEngine(setup).start()

    def test_a_nim_that_still_loads(self, start: Start) -> None:
        with pytest.raises(SceneUnavailable, match="not ready"):
            start(dialect="nim", ready=False)

    def test_flux_dev_is_refused_of_a_server_too(self, start: Start) -> None:
        with pytest.raises(SceneRefused, match="forbids use for surveillance"):
            start(setup={"model": "flux.1-dev"})

    def test_a_token_that_others_can_read_is_refused(self, start: Start, tmp_path: Path) -> None:
        path = token_in(tmp_path)
        path.chmod(0o644)
        with pytest.raises(SceneRefused, match="http_token_file: other users"):
            start(setup={"token_file": path})

    def test_a_picture_before_the_start_is_refused(self, tmp_path: Path) -> None:
        engine = HttpEngine(SceneSetup(tmp_path, backend="http", url="http://h"))
        with pytest.raises(SceneUnavailable, match="not started"):
            engine.generate("a road", 0, SIZE)
