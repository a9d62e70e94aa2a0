"""Makes an InfluxDB ready for the collector and the environmental officers; what is there already stays."""
