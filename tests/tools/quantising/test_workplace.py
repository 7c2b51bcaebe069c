"""The workplace: all or nothing, and nothing is left of a run that ended early."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from edgewatch.config.errors import ConfigError
from edgewatch.tools.quantising.workplace import workplace


def test_what_is_published_appears_whole_and_the_rest_is_gone(tmp_path: Path) -> None:
    destination = tmp_path / "models" / "small"
    with workplace(destination) as place:
        (place.checkpoint / "config.json").write_text("{}")
        (place.clips / "0.npy").write_bytes(b"x")
        assert not destination.exists()
        place.publish()
    assert [one.name for one in destination.iterdir()] == ["config.json"]
    assert [one.name for one in destination.parent.iterdir()] == ["small"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_run_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def interrupted() -> None:
        with workplace(tmp_path / "small") as place:
            (place.checkpoint / "model.safetensors").write_bytes(b"half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_a_destination_that_exists_is_refused(tmp_path: Path, kind: str) -> None:
    destination = tmp_path / "small"
    match kind:
        case "file":
            destination.write_text("mine")
        case "folder":
            destination.mkdir()
        case _:
            destination.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="is there already"), workplace(destination):
        pass
    assert [one.name for one in tmp_path.iterdir()] == ["small"]


def test_a_destination_taken_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    destination = tmp_path / "small"
    with workplace(destination) as place:
        destination.mkdir()
        with pytest.raises(ConfigError, match="is there already"):
            place.publish()
    assert list(destination.iterdir()) == []


def test_what_a_killed_run_left_is_cleared_away_but_not_what_is_at_work(tmp_path: Path) -> None:
    killed, working = (tmp_path / f".small.partial-{name}" for name in ("killed", "working"))
    for folder in (killed, working):
        (folder / "checkpoint").mkdir(parents=True)
        (folder / "lock").touch()
    other = tmp_path / ".large.partial-other"
    other.mkdir()
    with (working / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with workplace(tmp_path / "small"):
            assert not killed.exists()
            assert working.exists()
            assert other.exists()


def test_a_parent_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigError, match="cannot be written beside"),
        workplace(tmp_path / "file" / "small"),
    ):
        pass
