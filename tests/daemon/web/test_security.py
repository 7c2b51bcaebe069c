"""Who may read and change what, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edgewatch.daemon.web.attempts import FAILURES_AN_ADDRESS, REFILL_SECONDS
from edgewatch.daemon.web.headers import HEADERS
from edgewatch.daemon.web.login import local_path
from edgewatch.daemon.web.server import MAX_BODY_BYTES
from edgewatch.daemon.web.sessions import IDLE_SECONDS
from tests.daemon.web.core import TOKEN, Core, core, settings_for

BEARER = {"Authorization": f"Bearer {TOKEN}"}
PAGE = {"Accept": "text/html"}
READABLE = ("/", "/status", "/events", "/metrics", "/cameras/front")
SET = "/cameras/front/set"


@pytest.fixture
async def loopback(tmp_path: Path) -> AsyncIterator[Core]:
    """Bound to loopback, with a token."""
    async with core(settings_for(tmp_path)) as served:
        yield served


@pytest.fixture
async def tokenless(tmp_path: Path) -> AsyncIterator[Core]:
    """Bound to loopback, without a token."""
    async with core(settings_for(tmp_path, token=None)) as served:
        yield served


@pytest.fixture
async def outside(tmp_path: Path) -> AsyncIterator[Core]:
    """Bound to every address."""
    async with core(settings_for(tmp_path, 'host = "0.0.0.0"')) as served:
        yield served


def threshold(served: Core) -> float:
    return served.pipeline.flow.watches[0].threshold


async def change(served: Core, **how: object) -> int:
    """Ask for another threshold; returns the status."""
    data = {"key": "threshold", "value": "0.25"} | dict(how.pop("form", {}))  # type: ignore[call-overload]
    answer = await served.ask("POST", SET, data=data, **how)  # type: ignore[arg-type]
    return answer.status


class TestReading:
    @pytest.mark.parametrize("path", READABLE)
    async def test_on_loopback_reading_is_free(self, loopback: Core, path: str) -> None:
        assert (await loopback.ask("GET", path)).status == 200

    @pytest.mark.parametrize("path", [*READABLE, "/live", "/evidence/x.mp4", "/nothing-here"])
    async def test_from_elsewhere_nothing_is_read_without_the_token(
        self, outside: Core, path: str
    ) -> None:
        answer = await outside.ask("GET", path)
        assert answer.status == 401
        assert "front" not in await answer.text()
        answer = await outside.ask("GET", path, headers=PAGE)
        assert (answer.status, answer.headers["Location"].partition("?")[0]) == (303, "/login")

    @pytest.mark.parametrize("path", READABLE)
    async def test_from_elsewhere_a_token_or_a_session_reads(
        self, outside: Core, path: str
    ) -> None:
        assert (await outside.ask("GET", path, headers=BEARER)).status == 200
        cookie, _ = await outside.log_in()
        assert (await outside.ask("GET", path, cookie=cookie)).status == 200

    async def test_the_sign_of_life_and_the_login_are_free(self, outside: Core) -> None:
        assert (await outside.ask("GET", "/healthz")).status == 503
        assert (await outside.ask("GET", "/login")).status == 200
        assert (await outside.ask("GET", "/static/page.css")).status == 200

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
    async def test_what_a_proxy_passes_on_counts_as_from_elsewhere(
        self, loopback: Core, header: str
    ) -> None:
        answer = await loopback.ask("GET", "/status", headers={header: "192.0.2.7"})
        assert answer.status == 401

    async def test_with_a_public_address_reading_needs_the_token(self, tmp_path: Path) -> None:
        settings = settings_for(tmp_path, 'public_url = "https://box.example.org"')
        async with core(settings) as served:
            host = {"Host": "box.example.org"}
            assert (await served.ask("GET", "/status", headers=host)).status == 401
            assert (await served.ask("GET", "/status", headers=host | BEARER)).status == 200


class TestHostNames:
    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:8787", "127.0.0.1.evil.example", "[", "10.0.0.9", ""]
    )
    async def test_another_name_for_loopback_is_refused(self, loopback: Core, host: str) -> None:
        for path in ("/", "/metrics", "/healthz", "/login"):
            answer = await loopback.ask("GET", path, headers={"Host": host})
            assert answer.status in (400, 403), path
        assert await change(loopback, headers=BEARER | {"Host": host}) in (400, 403)

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "localhost:9000", "LOCALHOST", "[::1]:8787", "127.9.9.9:1"]
    )
    async def test_its_own_names_are_taken_at_any_port(self, loopback: Core, host: str) -> None:
        assert (await loopback.ask("GET", "/status", headers={"Host": host})).status == 200


class TestTokens:
    async def test_a_script_changes_with_the_token(self, loopback: Core) -> None:
        assert await change(loopback, headers=BEARER) < 400
        assert threshold(loopback) == 0.25

    @pytest.mark.parametrize(
        "given",
        ["Bearer wrong", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "x"],
    )
    async def test_a_wrong_token_neither_reads_nor_changes(
        self, loopback: Core, given: str
    ) -> None:
        wrong = {"Authorization": given}
        answer = await loopback.ask("GET", "/status", headers=wrong)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert await change(loopback, headers=wrong) == 401
        assert threshold(loopback) == 0.5

    async def test_without_any_token_nothing_can_be_changed(self, tokenless: Core) -> None:
        for headers in ({}, BEARER, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}):
            assert await change(tokenless, headers=headers) in (401, 403)
        assert (await tokenless.ask("POST", "/login", data={"token": ""})).status == 403
        assert threshold(tokenless) == 0.5
        page = await (await tokenless.ask("GET", "/login")).text()
        assert "token_file" in page

    async def test_wrong_tokens_are_limited_and_then_even_the_right_one_waits(
        self, loopback: Core
    ) -> None:
        wrong = {"Authorization": "Bearer wrong"}
        for _ in range(FAILURES_AN_ADDRESS):
            assert (await loopback.ask("GET", "/status", headers=wrong)).status == 401
        answer = await loopback.ask("GET", "/status", headers=wrong)
        assert answer.status == 429
        assert 0 < int(answer.headers["Retry-After"]) <= REFILL_SECONDS + 1
        assert (await loopback.ask("GET", "/status", headers=BEARER)).status == 429
        assert (await loopback.ask("POST", "/login", data={"token": TOKEN})).status == 429
        assert (await loopback.ask("GET", "/status")).status == 200, "who claims nothing is not hit"
        loopback.clock.advance(REFILL_SECONDS + 1)
        assert (await loopback.ask("GET", "/status", headers=BEARER)).status == 200

    async def test_no_token_shows_in_log_or_answer(self, loopback: Core) -> None:
        with capture_logs() as logs:
            for token in (TOKEN, TOKEN + "x"):
                answer = await loopback.ask("POST", "/login", data={"token": token})
                assert TOKEN not in await answer.text() + str(answer.headers)
        assert TOKEN not in str(logs)
        assert TOKEN not in repr(loopback.context.settings)


class TestSessions:
    async def test_the_cookie_is_for_this_page_alone(self, loopback: Core) -> None:
        answer = await loopback.ask("POST", "/login", data={"token": TOKEN, "next": "/events"})
        attributes = answer.headers["Set-Cookie"].split("; ")
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
        assert "Secure" not in attributes
        assert not any(one.startswith("Domain") for one in attributes)
        assert answer.headers["Location"] == "/events"

    async def test_behind_tls_the_cookie_is_secure(self, tmp_path: Path) -> None:
        settings = settings_for(tmp_path, 'public_url = "https://box.example.org"')
        async with core(settings) as served:
            answer = await served.ask(
                "POST", "/login", data={"token": TOKEN}, headers={"Host": "box.example.org"}
            )
            assert "Secure" in answer.headers["Set-Cookie"].split("; ")

    async def test_a_form_of_the_session_changes(self, loopback: Core) -> None:
        cookie, csrf = await loopback.log_in()
        assert await change(loopback, cookie=cookie, form={"csrf": csrf}) < 400
        assert threshold(loopback) == 0.25

    async def test_a_script_of_the_page_sends_the_form_token_as_header(
        self, loopback: Core
    ) -> None:
        cookie, csrf = await loopback.log_in()
        assert await change(loopback, cookie=cookie, headers={"X-CSRF-Token": csrf}) < 400
        assert threshold(loopback) == 0.25

    async def test_without_its_form_token_a_session_changes_nothing(self, loopback: Core) -> None:
        cookie, _ = await loopback.log_in()
        other_cookie, other_csrf = await loopback.log_in()
        assert other_cookie != cookie
        for form in ({}, {"csrf": ""}, {"csrf": "x"}, {"csrf": other_csrf}):
            assert await change(loopback, cookie=cookie, form=form) == 403
        assert threshold(loopback) == 0.5

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "http://127.0.0.1"},
        ],
    )
    async def test_a_post_from_another_site_is_refused(
        self, loopback: Core, headers: dict[str, str]
    ) -> None:
        cookie, csrf = await loopback.log_in()
        status = await change(loopback, cookie=cookie, form={"csrf": csrf}, headers=headers)
        assert status == 403
        answer = await loopback.ask("POST", "/login", data={"token": TOKEN}, headers=headers)
        assert answer.status == 403
        assert "Set-Cookie" not in answer.headers
        assert threshold(loopback) == 0.5

    async def test_a_post_of_our_own_page_is_taken(self, loopback: Core) -> None:
        server = loopback.client.server
        own = {"Origin": f"http://127.0.0.1:{server.port}", "Sec-Fetch-Site": "same-origin"}
        cookie, csrf = await loopback.log_in(**own)
        assert await change(loopback, cookie=cookie, form={"csrf": csrf}, headers=own) < 400

    async def test_a_session_that_was_ended_or_ran_out_is_none(self, loopback: Core) -> None:
        cookie, csrf = await loopback.log_in()
        assert (await loopback.ask("POST", "/logout", cookie=cookie)).status == 403
        answer = await loopback.ask("POST", "/logout", cookie=cookie, data={"csrf": csrf})
        assert answer.status == 303
        assert "Max-Age=0" in answer.headers["Set-Cookie"]
        assert await change(loopback, cookie=cookie, form={"csrf": csrf}) == 401
        cookie, csrf = await loopback.log_in()
        loopback.clock.advance(IDLE_SECONDS)
        assert await change(loopback, cookie=cookie, form={"csrf": csrf}) == 401

    async def test_a_made_up_cookie_is_none(self, loopback: Core) -> None:
        for value in ("x", "", "a" * 4000):
            assert await change(loopback, cookie=f"edgewatch_8787={value}") == 401

    @pytest.mark.parametrize(
        "path",
        [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:1",
            "",
            "/é",
            "/\r\nSet-Cookie: x=y",
            "/" + "a" * 3000,
        ],
    )
    def test_after_the_login_nobody_is_led_elsewhere(self, path: str) -> None:
        assert local_path(path) == "/"

    def test_after_the_login_one_is_where_one_was(self) -> None:
        assert local_path("/events?camera=front&page=2") == "/events?camera=front&page=2"


class TestAnswers:
    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/", 200),
            ("GET", "/healthz", 503),
            ("GET", "/metrics", 200),
            ("GET", "/static/page.css", 200),
            ("GET", "/login", 200),
            ("POST", "/login", 403),
            ("GET", "/nothing-here", 404),
            ("GET", "/events/nothing-here", 404),
            ("GET", "/evidence/019aa7b2-5f00-7000-8000-000000000000.mp4", 404),
            ("POST", SET, 401),
            ("PUT", SET, 405),
            ("DELETE", "/", 405),
            ("OPTIONS", "/", 405),
            ("TRACE", "/", 405),
            ("GET", "/logout", 405),
        ],
    )
    async def test_every_answer_says_what_a_browser_may_do(
        self, loopback: Core, method: str, path: str, status: int
    ) -> None:
        for headers in ({}, PAGE):
            answer = await loopback.ask(method, path, headers=headers)
            assert answer.status == status
            for name, value in HEADERS.items():
                assert answer.headers[name] == value
            assert "unsafe" not in answer.headers["Content-Security-Policy"]
            assert answer.headers["Server"] == "edgewatch"
            assert "Access-Control-Allow-Origin" not in answer.headers

    async def test_a_page_has_nothing_inline(self, loopback: Core) -> None:
        for path in ("/", "/login", "/status", "/events", "/nothing-here"):
            text = await (await loopback.ask("GET", path, headers=PAGE)).text()
            assert "<style" not in text
            assert " style=" not in text
            assert " onclick=" not in text
            assert "<script>" not in text

    @pytest.mark.parametrize("path", ["/login", SET])
    async def test_a_body_too_large_is_refused(self, loopback: Core, path: str) -> None:
        body = b"token=" + b"x" * MAX_BODY_BYTES
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await loopback.ask("POST", path, data=body, headers=form | BEARER)).status == 413

    @pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "text/plain", "image/png"])
    async def test_other_kinds_of_bodies_are_refused(self, loopback: Core, kind: str) -> None:
        headers = BEARER | {"Content-Type": kind}
        assert (await loopback.ask("POST", SET, data=b"x", headers=headers)).status == 415

    @pytest.mark.parametrize(
        "path",
        [
            "/static/../server.py",
            "/static/%2e%2e/server.py",
            "/static/..%2fserver.py",
            "/static//etc/passwd",
            "/static/%2fetc%2fpasswd",
            "/static/",
            "/static/page.css%00",
        ],
    )
    async def test_static_files_are_the_known_ones_alone(self, loopback: Core, path: str) -> None:
        _, status, body = await raw(loopback, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status in (400, 404)
        assert b"import" not in body
        assert b"root:" not in body

    @pytest.mark.parametrize(
        "request_line",
        ["GET / HTTP/9.9", "GET", "\x00\x01", "GET / HTTP/1.1\r\nHost: a\r\nHost: b" + "x" * 9000],
    )
    async def test_what_is_no_http_ends_in_an_answer_or_a_closed_connection(
        self, loopback: Core, request_line: str
    ) -> None:
        whole, status, _ = await raw(loopback, f"{request_line}\r\n\r\n")
        assert status in (0, 400, 403)
        assert b"Traceback" not in whole


async def raw(served: Core, request: str) -> tuple[bytes, int, bytes]:
    """Send bytes as they are; returns the answer, its status (0: none) and its body."""
    server = served.client.server
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode("latin-1"))
    async with asyncio.timeout(10):
        whole = await reader.read()
    writer.close()
    head, _, body = whole.partition(b"\r\n\r\n")
    return whole, int(head.split()[1]) if head else 0, body
