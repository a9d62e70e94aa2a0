"""What an officer looks at instead of asking: curves, and a station's day on one page."""
