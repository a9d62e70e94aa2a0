"""The regulator's files (Circular 10/2021): made for every cycle, spooled, pushed to the department."""
