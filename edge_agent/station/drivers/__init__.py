"""One file for each sensor model; every file is found by itself (see `sensor.py`)."""

wanted: frozenset[str] = frozenset()
"""Names of the modules to load, all if it is empty. Set before `settings.py` is imported, where it is known: a box has
three drivers and memory for no more."""
