"""Trains the plate models: data, networks, loops and export. Development only; nothing here runs on a box."""
