"""What the law allows: limits with their days and sources, and when a station was beyond them."""
