"""Thousands of boxes in one process on real MQTT connections, and what became of what they sent: `scripts/load`."""
