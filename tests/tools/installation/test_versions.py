"""Versions and requirements, held against the library that pip itself uses."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement as Official
from packaging.version import Version

from edgewatch.tools.installation.versions import core_requirements, numbers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2.13.0+cpu", (2, 13, 0)),
        ("2.9.1rc2", (2, 9, 1)),
        ("580.159.04", (580, 159, 4)),
        ("v1.2", (1, 2)),
        ("unknown", ()),
    ],
)
def test_leading_numbers_are_read(text: str, expected: tuple[int, ...]) -> None:
    assert numbers(text) == expected


WRITTEN = [
    "av<19,>=18",
    "amqtt<0.13,>=0.11.3",
    "numpy>=1.26",
    "other~=10.13.3",
    "not!=3.1",
]


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize(
    "version",
    ["0.11.2", "0.11.3", "0.12.9", "0.13", "1.26.0", "2.9.1", "3.1", "10.13.3", "10.13.9",
     "10.14", "18", "18.1.0", "19.0"],
)  # fmt: skip
def test_bounds_hold_as_pip_has_them(written: str, version: str) -> None:
    (ours,) = core_requirements([written])
    official = Official(written)
    assert ours.package == official.name
    assert ours.holds(version) == official.specifier.contains(Version(version))


def test_extras_and_other_platforms_are_no_demand() -> None:
    lines = ["av>=18", 'torch>=2.6; extra == "transformers"', 'colorama; sys_platform == "win32"']
    assert [one.text for one in core_requirements(lines)] == ["av>=18"]
