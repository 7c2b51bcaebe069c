"""One daemon a data folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgewatch.daemon.lock import DataLock
from edgewatch.pipeline.errors import StoreError


def test_second_holder_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    with (
        DataLock(tmp_path / "data"),
        pytest.raises(StoreError, match=f"process {os.getpid()}.*data_dir"),
        DataLock(tmp_path / "data"),
    ):
        pass


def test_freed_lock_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with DataLock(tmp_path):
            pass


def test_locks_of_different_names_do_not_disturb_each_other(tmp_path: Path) -> None:
    with DataLock(tmp_path), DataLock(tmp_path, "replay"):
        pass


def test_folder_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"service\.data_dir"), DataLock(tmp_path / "file" / "d"):
        pass
