"""The project's figures: one file for each, run by `scripts/bench`."""
