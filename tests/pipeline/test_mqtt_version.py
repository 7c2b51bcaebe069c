from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.mqtt_version import Trouble, VersionChoice

troubles: st.SearchStrategy[Trouble] = st.sampled_from(["version", "silent", "other"])


class TestVersionChoice:
    def test_the_newer_is_tried_first_and_kept_where_it_is_taken(self) -> None:
        choice = VersionChoice("auto")
        assert (choice.version, choice.proven) == ("5", False)
        choice.accepted()
        assert (choice.version, choice.proven) == ("5", True)

    def test_refusal_that_names_the_version_is_remembered(self) -> None:
        choice = VersionChoice("auto")
        assert choice.failed("version")
        assert choice.version == "3.1.1"
        choice.accepted()
        assert not choice.failed("other")
        assert choice.version == "3.1.1"

    def test_silence_is_answered_with_one_attempt_of_the_older(self) -> None:
        choice = VersionChoice("auto")
        assert choice.failed("silent")
        assert (choice.version, choice.proven) == ("3.1.1", False)
        assert not choice.failed("silent"), "the broker is away: wait"
        assert choice.version == "5"

    def test_silence_of_a_broker_that_has_spoken_5_does_not_cost_it_for_good(self) -> None:
        choice = VersionChoice("auto")
        spoken = []
        choice.accepted()
        assert choice.failed("silent")
        spoken.append(choice.version)
        choice.accepted()
        spoken.append(choice.version)
        assert spoken == ["3.1.1", "5"]

    def test_broker_that_is_away_changes_nothing(self) -> None:
        choice = VersionChoice("auto")
        assert not choice.failed("other")
        assert choice.version == "5"

    @given(st.sampled_from(["5", "3.1.1"]), st.lists(troubles))
    def test_what_was_asked_for_is_kept_to(self, wanted: str, came: list[Trouble]) -> None:
        choice = VersionChoice(wanted)  # type: ignore[arg-type] # sampled from its literals
        assert not any(choice.failed(trouble) for trouble in came)
        assert choice.version == wanted

    @given(st.lists(st.one_of(st.none(), troubles), max_size=30))
    def test_never_two_attempts_in_a_row_without_a_wait(self, came: list[Trouble | None]) -> None:
        choice, at_once = VersionChoice("auto"), False
        for trouble in came:
            if trouble is None:
                choice.accepted()
                at_once = False
                continue
            again = choice.failed(trouble)
            assert not (again and at_once), "a broker would be asked without end"
            at_once = again
