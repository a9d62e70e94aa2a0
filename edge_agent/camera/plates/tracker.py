"""Follows plates from frame to frame and says each vehicle's pass once; pure, time is passed in."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.camera.plates.read import Sight
from edge_agent.camera.plates.track import AT_ONCE_MS, Pass, Track

__all__ = ["Pass", "Tracker"]

MOST_TRACKS = 32
"""No street shows more vehicles at once; what is more is noise, and the longest unseen is given up."""
OUTAGE_MS = 60_000
"""Reading a frame never takes so long: the camera was away, and who is there afterwards has come anew."""


class Tracker:
    """Turns the sights of one camera's frames into passes; for one thread, frames in order of time."""

    def __init__(
        self,
        gone_ms: int,
        *,
        settle_frames: int = 3,
        settle_confidence: float = 0.8,
        decide_ms: int = 1500,
        sure: float = 0.9,
    ) -> None:
        """Take a plate as gone once frames have missed it for more than `gone_ms`; time without frames says nothing.

        A pass is said once `settle_frames` sights agree on a valid plate that the vote gives `settle_confidence`,
        or for a valid plate `decide_ms` after the first sight, else when it is gone: what is no plate yet may still
        come nearer. It takes two sights for each character of a plate (for the whole text of what is none), or a
        valid vote of confidence `sure`; a track that ends with less counts as dropped.
        """
        self._gone_ms = gone_ms
        self._settle_frames = settle_frames
        self._settle_confidence = settle_confidence
        self._decide_ms = decide_ms
        self._sure = sure
        self._tracks: list[Track] = []
        self._at = self._looked_at = 0
        self.dropped = 0
        """Tracks that ended without a pass."""

    def update(self, at_ms: int, sights: Sequence[Sight], frame: object) -> list[Pass]:
        """Take what was read in one frame, be it nothing; give the passes that are settled now."""
        step_ms, passes = self._step(at_ms)
        self._looked_at = at_ms
        unmatched = self._continue(at_ms, sights, frame)
        for sight in unmatched:
            if any(track.last == at_ms and track.same(sight) for track in self._tracks):
                continue  # found twice in one frame
            self._tracks.append(Track(at_ms, sight, frame))
        passes += self._settled(at_ms) + self._end(at_ms, step_ms)
        while len(self._tracks) > MOST_TRACKS:
            passes += self._finish(min(self._tracks, key=lambda track: track.last))
        return passes

    def still(self, at_ms: int) -> list[Pass]:
        """Take a frame that was not read since nothing moved in it: what was there still stands there."""
        step_ms, passes = self._step(at_ms)
        for track in self._tracks:
            if track.last >= self._looked_at - AT_ONCE_MS:
                track.last = at_ms
        return passes + self._settled(at_ms) + self._end(at_ms, step_ms)

    def flush(self) -> list[Pass]:
        """End all tracks (the source ended); give the passes that were still open."""
        return [said for track in list(self._tracks) for said in self._finish(track)]

    def _continue(self, at_ms: int, sights: Sequence[Sight], frame: object) -> list[Sight]:
        """Give every track the sight that continues it best; give back the sights that continue none."""
        pairs = [
            (kinship, t, s)
            for t, track in enumerate(self._tracks)
            for s, sight in enumerate(sights)
            if (kinship := track.kinship(at_ms, sight)) is not None
        ]
        tracks, taken = set(), set()
        for _, t, s in sorted(pairs, key=lambda pair: pair[0], reverse=True):
            if t not in tracks and s not in taken:
                tracks.add(t)
                taken.add(s)
                self._tracks[t].see(at_ms, sights[s], frame)
        return [sight for s, sight in enumerate(sights) if s not in taken]

    def _settled(self, at_ms: int) -> list[Pass]:
        passes = []
        for track in list(self._tracks):
            if track.said:
                continue
            voted = track.voted
            agreed = (
                voted.valid and voted.confidence >= self._settle_confidence and track.agreeing >= self._settle_frames
            )
            late = voted.valid and at_ms - track.first >= self._decide_ms
            if agreed or (late and self._believable(track)):
                passes += self._say(track)
        return passes

    def _step(self, at_ms: int) -> tuple[int, list[Pass]]:
        """Go on to a frame; give the time since the one before, and what ends where that tells nothing."""
        step_ms, self._at = at_ms - self._at, at_ms
        if 0 <= step_ms <= max(OUTAGE_MS, self._gone_ms):
            return step_ms, []
        return 0, self.flush()  # a clock that was set back would keep plates in view for ever

    def _end(self, at_ms: int, step_ms: int) -> list[Pass]:
        """End the tracks that this frame and those before it have missed for too long."""
        for track in self._tracks:
            if track.last < at_ms:
                # half at most: where frames are rare, no single one that misses the plate may end its pass
                track.unseen_ms += min(step_ms, self._gone_ms // 2)
        gone = [track for track in self._tracks if track.unseen_ms > self._gone_ms]
        return [said for track in gone for said in self._finish(track)]

    def _finish(self, track: Track) -> list[Pass]:
        passes: list[Pass] = []
        if not track.said:
            if self._believable(track):
                passes = self._say(track)
            else:
                self.dropped += 1
        self._tracks = [other for other in self._tracks if other is not track]
        return passes

    def _believable(self, track: Track) -> bool:
        return track.supported >= 2 or (track.voted.valid and track.voted.confidence >= self._sure)

    def _say(self, track: Track) -> list[Pass]:
        """Say a track's pass, unless another track has said this plate: then both were one vehicle from the start."""
        for other in self._tracks:
            if other is not track and other.said and other.voted.text == track.voted.text:
                if other.last <= track.last:
                    other.last, other.quad = track.last, track.quad
                self._tracks = [kept for kept in self._tracks if kept is not track]
                return []
        return [track.say()]
