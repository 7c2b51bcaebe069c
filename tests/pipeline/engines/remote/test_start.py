"""Becoming acquainted: every wrong setting, here or on the server, is said with its cure."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.remote import RemoteModel
from edgewatch.pipeline.engines.setup import LargestClip
from edgewatch.pipeline.errors import EngineFailed
from tests.fakes.openai_server import Fault, Kind, OpenAiServer, serving
from tests.integration.mosquitto import free_port, need
from tests.pipeline.engines.remote.asking import TOKEN, clip, setup_for, started

LONG = LargestClip(frames=20, pixels=84 * 84, fps=4.0)


async def refusal(server: OpenAiServer, **changes: Any) -> str:
    """Start a model that must fail, and return what it says; it never tells the token."""
    model = RemoteModel(setup_for(server, **changes))
    with pytest.raises(EngineFailed) as failed:
        await model.start()
    await model.close()
    assert TOKEN not in str(failed.value)
    return str(failed.value)


@pytest.mark.parametrize(
    ("kind", "cure"),
    [
        ("vllm", "start vLLM with --max-logprobs 20"),
        ("trtllm", "start trtllm-serve with --backend pytorch"),
        ("nim", "a NIM does so on its vLLM profiles"),
    ],
)
async def test_a_server_without_log_probabilities_is_refused_with_its_cure(
    kind: Kind, cure: str
) -> None:
    server = OpenAiServer(kind=kind, always=Fault("no_logprobs"))
    async with serving(server):
        said = await refusal(server)
    assert "gives no log-probabilities" in said
    assert cure in said


async def test_a_server_that_names_tokens_by_number_is_refused() -> None:
    server = OpenAiServer(always=Fault("token_ids"))
    async with serving(server):
        assert "without --return-tokens-as-token-ids" in await refusal(server)


@pytest.mark.parametrize(
    ("kind", "read_frames", "cure"),
    [
        ("vllm", 16, '--media-io-kwargs \'{"video": {"num_frames": 20, "fps": 4}}\''),
        ("trtllm", 8, '--media_io_kwargs \'{"video": {"num_frames": 10}}\''),
        ("nim", 2, "let the server read 20 frames"),
    ],
)
async def test_a_server_that_leaves_frames_out_is_refused_with_its_cure(
    kind: Kind, read_frames: int, cure: str
) -> None:
    server = OpenAiServer(kind=kind, read_frames=read_frames)
    async with serving(server):
        said = await refusal(server, largest_clip=LONG)
    assert f"reads only about {read_frames} of a clip's" in said
    assert cure in said


async def test_a_server_that_samples_at_another_rate_is_refused_with_its_cure() -> None:
    server = OpenAiServer(read_fps=2.0)
    async with serving(server):
        said = await refusal(server, largest_clip=LONG)
        assert "reads only about 10 of a clip's 20 frames: start vLLM with" in said
        server.read_fps = 4.0
        async with started(server, largest_clip=LONG):
            assert len(server.seen[-1].frames) == 4


async def test_a_token_sent_in_plain_text_over_the_network_is_a_warning() -> None:
    server = OpenAiServer(token=TOKEN)
    async with serving(server):
        setup = setup_for(server)
        # Loopback too, but not one of its names that are known to be.
        far = f"http://127.0.0.2:{server.port}/v1"
        for urls, warned in (((server.url,), []), ((server.url, far), [far])):
            model = RemoteModel(replace(setup, servers=urls))
            with capture_logs() as logs:
                await model.start()
                await model.close()
            told = [line for line in logs if line["event"] == "token is sent unencrypted"]
            assert [line["server"] for line in told] == warned


async def test_trtllm_reads_a_default_clip_whole_without_any_option() -> None:
    server = OpenAiServer(kind="trtllm")
    async with serving(server), started(server, largest_clip=LONG) as model:
        await model.score([clip(frames=20)])
        assert len(server.scored[0].frames) == 10


@pytest.mark.parametrize("kind", ["trtllm", "nim"])
async def test_an_answer_prefix_is_refused_where_the_server_cannot_go_on_with_it(
    kind: Kind,
) -> None:
    server = OpenAiServer(kind=kind)
    async with serving(server):
        said = await refusal(server, form=Form(answer_prefix="So: "))
    assert "leave [engine] answer_prefix empty, or serve the model with vLLM" in said
    assert server.seen == []


async def test_a_model_that_is_not_served_is_refused_naming_those_that_are() -> None:
    server = OpenAiServer(model="nvidia/Cosmos-Reason1-7B")
    async with serving(server):
        said = await refusal(server, served_model="cosmos")
    assert 'does not serve "cosmos"' in said
    assert 'set [engine] served_model to one of "nvidia/Cosmos-Reason1-7B"' in said


async def test_a_wrong_token_and_a_missing_one_are_told_apart() -> None:
    server = OpenAiServer(token=TOKEN)
    async with serving(server):
        assert "refused the token: check [engine] token_file" in await refusal(server, token="no")
        assert "wants a token: set [engine] token_file" in await refusal(server, token=None)


async def test_a_server_that_repeats_the_token_does_not_make_us_tell_it() -> None:
    server = OpenAiServer(token=TOKEN, always=Fault("status", status=400))
    async with serving(server):
        with capture_logs() as logs:
            assert "(token)" in await refusal(server)
    assert TOKEN not in str(logs)


async def test_nobody_there_is_said_with_the_address() -> None:
    server = OpenAiServer(port=free_port())
    said = await refusal(server)
    assert f"http://127.0.0.1:{server.port}/v1 broke the connection (Connect" in said


async def test_an_address_without_v1_is_guessed() -> None:
    server = OpenAiServer()
    async with serving(server):
        setup = setup_for(server)
        model = RemoteModel(replace(setup, servers=(server.url.removesuffix("/v1"),)))
        with pytest.raises(EngineFailed, match=r"\[engine\] url, which ends in /v1"):
            await model.start()


async def test_answers_spelt_alike_are_refused() -> None:
    server = OpenAiServer()
    async with serving(server):
        assert "spelt alike" in await refusal(server, form=Form("yes", "YES"))


async def test_other_words_than_the_answers_are_a_warning_as_one_grey_clip_proves_little() -> None:
    server = OpenAiServer(answers=("Red", "Green"))
    async with serving(server):
        with capture_logs() as logs:
            async with started(server):
                pass
    (warning,) = [line for line in logs if line["event"] == "server answers with other words"]
    assert warning["log_level"] == "warning"
    assert "answer_prefix" in warning["cure"]


async def test_start_can_be_cancelled_while_a_server_hangs() -> None:
    server = OpenAiServer(always=Fault("hold"))
    async with serving(server):
        model = RemoteModel(setup_for(server))
        async with asyncio.TaskGroup() as tasks:
            starting = tasks.create_task(model.start())
            await server.until(lambda: server.in_flight == 1)
            starting.cancel()
        await server.until(lambda: server.in_flight == 0)
        await model.close()


# TLS


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that no authority knows, and a server's use of it."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *(need("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", str(key), "-out", str(cert), "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    return cert, context


async def test_a_certificate_is_checked_against_ca_file_and_the_token_kept_until_then(
    certificate: tuple[Path, ssl.SSLContext],
) -> None:
    cert, context = certificate
    server = OpenAiServer(token=TOKEN, tls=context)
    async with serving(server):
        said = await refusal(server)
        assert "certificate that is not trusted (self-signed certificate)" in said
        assert "set [engine] ca_file" in said
        assert server.request_ids == []
        async with started(server, ca_file=cert) as model:
            assert (await model.score([clip()]))[0].score == pytest.approx(0.9)


async def test_a_ca_file_that_holds_no_certificate_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("nothing")
    server = OpenAiServer(port=free_port())
    assert str(wrong) in await refusal(server, ca_file=wrong)
    assert "missing.pem" in await refusal(server, ca_file=tmp_path / "missing.pem")
