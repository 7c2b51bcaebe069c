"""Energy: what counters tell, and why there is no figure."""

from __future__ import annotations

from pathlib import Path

from edgewatch.tools.evaluation.energy import EnergyMeter, RaplSource, energy_meter


def package(folder: Path, microjoules: int) -> Path:
    """Write a processor package as Linux shows it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text("package-0\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text("10000000\n")
    return folder


def test_joules_are_counted_from_reading_to_reading_also_over_the_counters_end(
    tmp_path: Path,
) -> None:
    folder = package(tmp_path / "intel-rapl:0", 9_000_000)
    package(tmp_path / "intel-rapl:0:0", 5)  # a part of the package, which must not count twice
    meter = energy_meter(powercap=tmp_path)
    rapl = [one for one in meter.sources if one.name.startswith("RAPL")]
    assert [one.name for one in rapl] == ["RAPL package-0"]
    meter = EnergyMeter(rapl)
    assert meter.since_last() == 0.0
    package(folder, 9_500_000)
    assert meter.since_last() == 0.5
    package(folder, 1_000_000)
    assert meter.since_last() == 1.5


def test_machine_that_tells_nothing_says_why(tmp_path: Path) -> None:
    meter = energy_meter(powercap=tmp_path / "none")
    assert not [one for one in meter.sources if one.name.startswith("RAPL")]
    assert f"no RAPL under {tmp_path / 'none'}" in meter.reason
    silent = EnergyMeter((), "nobody tells")
    assert silent.since_last() is None
    assert silent.told_by == "nobody tells"


def test_counter_that_goes_away_makes_the_rest_unknown(tmp_path: Path) -> None:
    folder = package(tmp_path / "intel-rapl:0", 1)
    meter = EnergyMeter([RaplSource("RAPL package-0", folder)])
    assert meter.since_last() == 0.0
    (folder / "energy_uj").unlink()
    assert meter.since_last() is None
    assert "RAPL package-0 stopped telling" in meter.told_by
    assert meter.since_last() is None
