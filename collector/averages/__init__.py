"""Averages with their coverage, and the Vietnamese air quality index, from the raw samples in the store."""
