"""How well plates are read, measured on photos whose plates are known."""
