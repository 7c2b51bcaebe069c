"""Account: what became of one camera's time, exactly, as the database has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from edgewatch.pipeline.coverage import Span, open_ms, partition, settled_until_ms, totals_ms
from edgewatch.pipeline.records import Records
from edgewatch.pipeline.types import CameraName, Coverage

MOST_GAPS = 5


@dataclass(frozen=True, slots=True)
class Account:
    """What became of one camera's time; the spans are exactly [since, until)."""

    camera: CameraName
    since_ms: int
    """Unix time in whole milliseconds."""
    until_ms: int
    """Up to where its time is settled."""
    open_ms: int
    """What was asked for beyond that, and is not settled yet."""
    spans: Sequence[Span]
    totals_ms: dict[Coverage, int]

    @property
    def window_ms(self) -> int:
        """Length of the settled time."""
        return self.until_ms - self.since_ms

    def gaps(self) -> list[Span]:
        """Return the longest spans that were not judged, longest first, then by time."""
        gaps = [span for span in self.spans if span[2] != "judged"]
        return sorted(gaps, key=lambda span: span[0] - span[1])[:MOST_GAPS]

    def sums(self) -> Iterator[tuple[Coverage, int]]:
        """Yield (coverage, milliseconds) of what was judged, then of each reason that occurred."""
        for coverage in get_args(Coverage):
            length_ms = self.totals_ms.get(coverage, 0)
            if length_ms or coverage == "judged":
                yield coverage, length_ms


def read_account(
    records: Records, camera: CameraName, since_ms: int, until_ms: int, now_ms: int, window_ms: int
) -> Account:
    """Read what became of a camera's time; `window_ms`: length of the longest clip."""
    # First how far it is settled: rows that come meanwhile must not make a hole before them
    newest = records.spans(camera, now_ms - open_ms(window_ms), now_ms)
    newest_end_ms = newest[-1][1] if newest else None
    settled_ms = settled_until_ms(newest_end_ms, now_ms, window_ms)
    end_ms = max(since_ms, min(until_ms, settled_ms))
    spans = list(partition(records.spans(camera, since_ms, end_ms), since_ms, end_ms))
    return Account(
        camera=camera,
        since_ms=since_ms,
        until_ms=end_ms,
        open_ms=until_ms - end_ms,
        spans=spans,
        totals_ms=totals_ms(spans),
    )


def percentage(part_ms: int, whole_ms: int) -> str:
    """Write a share with two decimals; neither 0.00 nor 100.00 unless it is."""
    hundredths = 0 if not whole_ms else round(10_000 * part_ms / whole_ms)
    if 0 < part_ms < whole_ms:
        hundredths = min(max(hundredths, 1), 9_999)
    return f"{hundredths // 100}.{hundredths % 100:02}"


def in_seconds(length_ms: int) -> str:
    """Write a length in seconds, to the millisecond."""
    return f"{length_ms // 1000}.{length_ms % 1000:03}"
