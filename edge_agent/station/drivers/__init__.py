"""One file for each sensor model; every file is found by itself (see `sensor.py`)."""
