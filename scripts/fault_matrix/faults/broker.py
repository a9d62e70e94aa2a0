"""The broker forgets."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.fault_matrix.faults import Moment, fault
from scripts.fault_matrix.programs import Program
from scripts.fault_matrix.stage import Stage


def brokers(stage: Stage) -> Sequence[Program]:
    """A broker that runs by itself; the embedded one keeps nothing."""
    return [] if stage.broker is None else [stage.broker]


@fault(brokers)
def delete_the_brokers_state(broker: Program, moment: Moment) -> None:
    """kill -9, and everything that it had kept is gone."""
    broker.kill()
    (moment.stage.folder / "mosquitto" / "mosquitto.db").unlink(missing_ok=True)
    moment.hold()
    broker.start()
