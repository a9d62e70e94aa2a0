"""Of which parts there are stages."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Kind(NamedTuple):
    """Of which parts a stage is made."""

    broker: Literal["mosquitto", "amqtt"]
    store: Literal["duckdb", "influx1", "victoria"]
    database: Literal["sqlite", "postgresql"] = "sqlite"
    collectors: int = 1

    @property
    def name(self) -> str:
        """By which it is asked for."""
        several = f"-{self.collectors}-collectors" if self.collectors > 1 else ""
        return f"{self.broker}-{self.store}-{self.database}{several}"


KINDS = (
    Kind("mosquitto", "duckdb"),
    Kind("amqtt", "victoria"),
    Kind("mosquitto", "influx1"),
    Kind("amqtt", "duckdb"),
    Kind("mosquitto", "victoria", "postgresql", 2),
    Kind("mosquitto", "influx1", "postgresql"),
)
