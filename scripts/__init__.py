"""What is run by hand: demo, tests, checks, benchmarks, simulated sensors."""
