"""Damage: which decoded frames are not to be trusted, told from what became of their packets."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from schemas.reasons import Failure, Outcome, Reason

_CONSTANT_SHARE = 0.98  # of the frame distances of a video whose rate is constant
_CONSTANT_SPREAD, _ROUNDING_US = 0.1, 1_500  # Matroska rounds to milliseconds
_HOLE_FRAMES = 5.0  # cameras drop a frame or two; packets are lost by the dozen
_MIN_FRAMES_FOR_RATE = 25


@dataclass(slots=True)
class Damage:
    """Trouble met while scanning one stream, as frame ranges, and the frames that it spoils.

    Complete when the scan is over: an error may tell only later that frames before it were wrong.
    """

    failures: list[tuple[Reason, int | None, int | None, str]] = field(default_factory=list)
    spoiled: dict[int, Reason] = field(default_factory=dict)
    """Frame index: why the frame must not be labelled."""

    def as_failures(self, content_id: str, uri: str, stage: str) -> list[Failure]:
        """Rows of `failures`; the video itself is still `done`."""
        return [
            Failure(content_id, uri, stage, reason, Outcome.DONE, detail, frame_from, frame_to)
            for reason, frame_from, frame_to, detail in self.failures
        ]


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known of a codec and its container before the first packet.

    `whole_gops`: the decoder notices only part of the damage, so an error condemns its whole group of pictures.
    `one_to_one`: each packet shows one frame, unless fields come in packets of their own; one that shows none was damaged.
    `has_times`: without (AVI), nobody knows when the frames after a loss are shown.
    `may_lose_packets`: a hole in the timestamps can be packets that were lost. In MP4 it can't: its index says how long each lasts.
    """

    whole_gops: bool
    one_to_one: bool
    has_times: bool
    may_lose_packets: bool


class PacketLog:
    """Notes packets in decoding order and frames in presentation order, and judges the frames.

    A damaged packet spoils what is decoded after it, up to the next key frame that decodes well. Leading pictures of a key frame
    (decoded after it, shown before it) lean on the group before it, too.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._pts: list[int | None] = []
        self._key: list[bool] = []
        self._shows: list[bool] = []
        self._skips: list[int] = []
        self._spoiled: list[bool] = []  # as far as is known while the scan goes on
        self._bad: dict[int, str] = {}
        self._shown: set[int] = set()
        self._frames: list[tuple[int, int]] = []  # (packet, pts_us)
        self._key_pts: int | None = None
        self._interlaced = False
        self._timeless_from: int | None = None
        self._now, self._before = False, False  # whether this group of pictures, and the one before it, is spoiled by now

    @property
    def last(self) -> int:
        """Number of the latest packet; -1 before the first."""
        return len(self._pts) - 1

    def is_key(self, packet: int) -> bool:
        """Whether the packet was said to be a key frame."""
        return self._key[packet]

    def is_spoiled(self, packet: int) -> bool:
        """Whether the packet's frame is spoiled, for all that is known now."""
        return self._spoiled[packet]

    def packet(self, pts_us: int | None, is_key: bool, shows: bool = True) -> int:
        """Number of the next packet in decoding order.

        Args:
            pts_us: when it is shown; None where nobody knows, or it is not to be shown.
            is_key: as the container says.
            shows: False for one too small to hold a picture.
        """
        if is_key:
            self._now, self._before, self._key_pts = False, self._now, pts_us
        self._pts.append(pts_us)
        self._key.append(is_key)
        self._shows.append(shows)
        self._spoiled.append(self._now or (self._before and self._is_leading(pts_us, self._key_pts)))
        return self.last

    def bad(self, packet: int, why: str) -> None:
        """The packet did not decode, or only in part; -1 (nothing was read yet) is nobody."""
        if packet < 0:
            return
        self._bad.setdefault(packet, why)
        self._spoil_from(packet)

    def shown(self, packet: int, is_key: bool, is_corrupt: bool, is_interlaced: bool) -> None:
        """A frame of this packet came out."""
        self._shown.add(packet)
        self._interlaced |= is_interlaced
        if self._key[packet] and not is_key:  # some containers call every packet one
            self._key[packet] = False
            if packet and self._spoiled[packet - 1]:
                self._spoil_from(packet)
        if is_corrupt:
            self.bad(packet, "decoded in part")

    def handed_out(self, packet: int, pts_us: int) -> None:
        """The frame got the next index."""
        self._frames.append((packet, pts_us))

    def skipped(self) -> None:
        """The reader passed over bytes before the next packet: padding, or packets that it could not make out."""
        self._skips.append(len(self._pts))

    def judge(self, damage: Damage, whole: bool, claimed: int) -> None:
        """Writes ranges and spoiled frames to `damage`; called once, after the last frame.

        Args:
            damage: what to write to.
            whole: nothing is left in the decoder.
            claimed: how many packets the container's header announced, 0 if it did not.
        """
        if whole and self._watch.one_to_one and not self._interlaced:
            self._find_silent_losses()
        holes = self._holes() if self._watch.may_lose_packets else {}
        if whole and 0 < len(self._pts) < claimed and not self._watch.has_times:
            # Frames wait for others in the decoder: those of the group in which the first packet is missing are out of step already.
            start = min([*(packet - 1 for packet in self._skips), *self._bad, self.last])
            self._timeless_from = next((packet for packet in range(min(start, self.last), 0, -1) if self._key[packet]), 0)
            lost = claimed - len(self._pts)
            holes[self._timeless_from] = (
                f"{lost} packets are missing from here on, and AVI does not say when the frames after them are shown"
            )
        if not self._bad and not holes:
            return
        clean_keys = {packet for packet in holes if self._key[packet] and packet not in self._bad}
        at_key = clean_keys - {self._timeless_from}  # such a hole spoils nothing
        starts = set(self._bad) | (set(holes) - at_key)
        incident_of = self._incidents(starts)
        spoiled: dict[int, list[int]] = {}
        for index, (packet, _) in enumerate(self._frames):
            if incident_of[packet] >= 0:
                spoiled.setdefault(incident_of[packet], []).append(index)
        told: dict[int, list[int]] = {}
        for packet in sorted(starts):
            told.setdefault(incident_of[packet], []).append(packet)
        told |= {-1 - packet: [packet] for packet in at_key}
        times = [pts_us for _, pts_us in self._frames]
        for incident, packets in told.items():
            broken = [packet for packet in packets if packet in self._bad]
            reason = Reason.BAD_PACKETS if broken else Reason.MISSING_FRAMES
            detail = f"{len(broken)} bad packets: {self._bad[broken[0]]}" if broken else holes[packets[0]]
            indices = spoiled.get(incident, [])
            damage.spoiled.update(dict.fromkeys(indices, reason))
            nearest = self._nearest(packets[0], times)
            places: list[tuple[int | None, int | None]] = [*_runs(indices)] or [(nearest, nearest)]
            damage.failures += [(reason, low, high, detail) for low, high in places]

    def _spoil_from(self, packet: int) -> None:
        for later in range(packet, len(self._pts)):
            if later > packet and self._key[later]:
                self._before = True
                return
            self._spoiled[later] = True
        self._now = True

    def _is_timeless(self, packet: int) -> bool:
        return self._timeless_from is not None and packet >= self._timeless_from

    @staticmethod
    def _is_leading(pts_us: int | None, key_pts_us: int | None) -> bool:
        return pts_us is not None and key_pts_us is not None and pts_us < key_pts_us

    def _find_silent_losses(self) -> None:
        """Packets from which no frame came, although nothing complained. Before the first frame nothing could be decoded yet."""
        first = min(self._shown, default=len(self._pts))
        key_pts: int | None = None
        for packet in range(first, len(self._pts)):
            key_pts = self._pts[packet] if self._key[packet] else key_pts
            expected = self._shows[packet] and self._pts[packet] is not None and not self._is_leading(self._pts[packet], key_pts)
            if packet in self._shown or packet in self._bad or not expected:
                continue
            self._bad[packet] = "no frame came out"

    def _incidents(self, starts: set[int]) -> list[int]:
        """For each packet the number of the incident that spoils it, -1 for a good one."""
        groups = np.cumsum(self._key).tolist()
        hit = {groups[packet] for packet in starts} if self._watch.whole_gops else set()
        result: list[int] = []
        count, now, before = -1, False, False
        key_pts: int | None = None
        for packet, group in enumerate(groups):
            if self._key[packet] and packet not in self._bad and not self._is_timeless(packet):
                now, before, key_pts = False, now, self._pts[packet]
            if packet in starts or group in hit:
                count += not now
                now = True
            result.append(count if now or (before and self._is_leading(self._pts[packet], key_pts)) else -1)
        return result

    def _holes(self) -> dict[int, str]:
        """Packet after the hole: what is missing, where the timestamps of a video of constant rate leave out several frames."""
        known = sorted({pts: packet for packet, pts in enumerate(self._pts) if pts is not None}.items())
        if len(known) < _MIN_FRAMES_FOR_RATE:
            return {}
        pts = np.array([time for time, _ in known], np.int64)
        steps = np.diff(pts)
        usual = float(np.median(steps))
        if (np.abs(steps - usual) <= max(_CONSTANT_SPREAD * usual, _ROUNDING_US)).mean() < _CONSTANT_SHARE:
            return {}
        holes: dict[int, str] = {}
        # The first packet in decoding order that is shown after the hole.
        earliest = np.minimum.accumulate(np.array([packet for _, packet in known])[::-1])[::-1]
        for at in np.flatnonzero(steps > _HOLE_FRAMES * usual).tolist():
            missing = round(steps[at] / usual) - 1
            holes.setdefault(int(earliest[at + 1]), f"about {missing} frames ({steps[at] / 1e6:.2f} s) are missing before it")
        return holes

    def _nearest(self, packet: int, times: list[int]) -> int | None:
        """Index of the frame next to where the packet's own would stand; `times` of all frames."""
        if not self._frames:
            return None
        while packet > 0 and self._pts[packet] is None:
            packet -= 1
        index = bisect_left(times, self._pts[packet] or 0)
        return min(index, len(self._frames) - 1)


class ByteRanges:
    """Answers whether a byte lies in one of some ranges (start, stop), which are in order and apart."""

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        self._starts, self._stops = [start for start, _ in ranges], [stop for _, stop in ranges]

    def __contains__(self, place: int | None) -> bool:
        if place is None or not self._starts:
            return False
        at = bisect_right(self._starts, place) - 1
        return at >= 0 and place < self._stops[at]


def _runs(indices: list[int]) -> list[tuple[int, int]]:
    """First and last of each stretch of consecutive numbers."""
    breaks = [i for i in range(1, len(indices)) if indices[i] != indices[i - 1] + 1]
    edges = [0, *breaks, len(indices)]
    return [(indices[a], indices[b - 1]) for a, b in pairwise(edges)] if indices else []
