"""Quality flags for readings in the stream, their settings, and what else is made of readings there; pure."""

from collector.quality.companions import Derived, Revision
from collector.quality.gaps import Gap
from collector.quality.settings import QualitySettings
from collector.quality.stream import Judged, Quality

__all__ = ["Derived", "Gap", "Judged", "Quality", "QualitySettings", "Revision"]
