"""DHCP leases as dnsmasq writes them: `expiry mac ip hostname clientid`, one a line. Only their number is kept."""

from __future__ import annotations


def count_valid(text: str, now_s: int) -> int:
    """How many leases are valid at `now_s` (seconds since 1970); expiry 0 never ends.

    Lines of another form, such as the `duid` line before IPv6 leases, are passed over.
    """
    expiries = (fields[0] for line in text.splitlines() if len(fields := line.split()) >= 4)
    return sum(1 for expiry in expiries if expiry.isdecimal() and (int(expiry) == 0 or int(expiry) > now_s))
