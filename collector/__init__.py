"""The centre: takes the boxes' events in, judges them, stores them once, and warns."""
