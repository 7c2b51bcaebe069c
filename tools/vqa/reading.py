"""Reading a data set, however it is stored."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from edgewatch.config.errors import ConfigError
from edgewatch.tools.vqa import ai2d, mme, vqav2
from edgewatch.tools.vqa.lmms_lab import read_lmms_lab
from edgewatch.tools.vqa.questions import TaskData, TaskName, Wording

_OFFICIAL = {
    "vqav2": (vqav2.read_vqav2, vqav2.HOW),
    "mme": (mme.read_mme, mme.HOW),
    "ai2d": (ai2d.read_ai2d, ai2d.HOW),
}


def read_task(
    task: TaskName, folder: Path, *, wording: Wording = "official", limit: int | None = None
) -> TaskData:
    """Read a task's data below a folder; `limit`: only so many questions, the first ones.

    The official files go before lmms-lab's tables. Raises ConfigError.
    """
    if not folder.is_dir():
        raise ConfigError(f"--data {folder}: is no folder")
    read, how = _OFFICIAL[task]
    data = read(folder, wording, limit) or read_lmms_lab(task, folder, wording, limit)
    if data is None:
        raise ConfigError(
            f"--data {folder}: holds no {task}; wanted are {how}, or the parquet or arrow files "
            f"that lmms-lab publishes"
        )
    if not data.questions:
        raise ConfigError(f"--data {folder}: holds no questions")
    number, times = Counter(one.id for one in data.questions).most_common(1)[0]
    if times > 1:
        raise ConfigError(
            f"--data {folder}: question {number} is there {times} times; is a copy of the data "
            "set below the folder as well?"
        )
    return data
