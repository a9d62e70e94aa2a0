"""What the collector's file says of limits (key `standards`)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edge_agent.contract.legal import Certainty


class StandardsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How broken limits are dealt with; the limits themselves stand in the fleet's limits.yaml."""

    alarm_on: Annotated[
        tuple[Certainty, ...],
        Meta(description="How sure a limit must be to alarm; others are shown as what they are: certain, likely, ..."),
    ] = ("certain",)
