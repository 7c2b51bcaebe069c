"""Families without a class: each through the strict server, shown as its row of the table says."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewatch.pipeline.engines.families.family import Family
from edgewatch.pipeline.engines.families.table import FAMILIES
from edgewatch.pipeline.engines.setup import LargestClip
from edgewatch.pipeline.engines.transformers.general.checkpoint import read_general
from edgewatch.pipeline.errors import EngineFailed
from tests.fakes.openai_server import Kind, OpenAiServer, serving
from tests.pipeline.engines.remote.asking import GREEN, RED, SIDE, clip, started

SERVED = [family for family in FAMILIES if not family.transformers_class]
_KINDS: dict[str, Kind] = {"trtllm-serve": "trtllm", "vLLM": "vllm"}
FRAMES = 8


@pytest.mark.parametrize("family", SERVED, ids=lambda family: family.model_types[0])
async def test_a_family_is_asked_on_each_of_its_servers_as_its_row_says(family: Family) -> None:
    assert family.runs == "remote"
    for kind in {_KINDS.get(name, "nim") for name in family.servers or ("another",)}:
        server = OpenAiServer(kind=kind, model=family.members[0], words="A square moves.")
        largest = LargestClip(frames=FRAMES, pixels=SIDE * SIDE, fps=4.0)
        async with (
            serving(server),
            started(server, send=family.send, largest_clip=largest) as model,
        ):
            red, green = await model.score([clip(RED), clip(GREEN)])
            assert model.name.startswith(f"remote:{family.members[0]}@")
            assert red.score == pytest.approx(0.9, abs=0.02)
            assert green.score == pytest.approx(0.1, abs=0.02)
            assert await model.words(clip(RED)) == "A square moves."
        shown = server.scored[0]
        assert shown.kind == ("video" if family.media == "video" else "images")
        if family.media == "image":
            assert len(shown.frames) == 1
            assert "The picture is one frame of a video." in shown.text
        elif family.media == "images":
            assert len(shown.frames) == FRAMES
            assert f"The {FRAMES} pictures are frames of one video" in shown.text


async def test_the_one_picture_is_the_middle_frame() -> None:
    server = OpenAiServer(kind="nim")
    async with serving(server), started(server, send="image") as model:
        wanted = clip(RED)
        await model.score([wanted])
    sent = server.scored[0].frames[0].astype(int)
    away = [abs(sent - frame.astype(int)).mean() for frame in wanted.frames]
    assert away.index(min(away)) == FRAMES // 2


@pytest.mark.parametrize("family", SERVED, ids=lambda family: family.model_types[0])
def test_its_checkpoint_in_transformers_is_refused_with_how_it_runs(
    family: Family, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(f'{{"model_type": "{family.model_types[0]}"}}')
    with pytest.raises(EngineFailed, match='kind = "remote"') as refused:
        read_general(tmp_path)
    assert family.name in str(refused.value)
    assert "docs/families.md" in str(refused.value)
