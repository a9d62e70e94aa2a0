"""Quality flags for readings in the stream, their settings, and what else is made of readings there; pure."""

from collector.quality.settings import QualitySettings
from collector.quality.stream import Judged, Quality, Revision

__all__ = ["Judged", "Quality", "QualitySettings", "Revision"]
