"""The command `collector certificate`: certificates for Mosquitto, the collector and the boxes."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from collector.errors import Failure
from edge_agent.contract.device import is_collector

DAYS = 730
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `certificate`."""
    parser = commands.add_parser("certificate", help="make a certificate by which a box, collector or broker is known")
    parser.add_argument("folder", type=Path, help="of the city's authority, which is made there if there is none")
    parser.add_argument("name", help="the box, `collector` (or collector-2 ...), or the broker's name")
    parser.add_argument(
        "--address", action="append", default=[], help="of a broker: name or address that it is reached by"
    )
    parser.add_argument("--days", type=int, default=DAYS, help=f"how long it holds (default {DAYS})")
    parser.add_argument("--revoke", action="store_true", help="end the certificate of that name instead")
    parser.set_defaults(run=_certificate)


def _certificate(options: argparse.Namespace) -> int:
    from collector.authority import Authority  # cryptography is loaded only for this

    if not _NAME.fullmatch(options.name) or options.name in ("ca", "crl"):
        raise Failure(f"{options.name!r} cannot be a name: lower-case letters, digits and hyphens, a letter first")
    if not 1 <= options.days <= 3650:
        raise Failure("--days must be from 1 to 3650")
    authority = Authority(options.folder)
    if options.revoke:
        authority.revoke(options.name)
        print(f"revoked; now bring {authority.crl} to Mosquitto's crlfile and send it SIGHUP;")
        print("connections that stand end only when Mosquitto is restarted")
        return 0
    certificate, key = authority.issue(options.name, days=options.days, addresses=options.address)
    if options.address:
        print(
            f"in mosquitto.conf:\ncafile {authority.ca}\ncertfile {certificate}\nkeyfile {key}\ncrlfile {authority.crl}"
        )
        return 0
    whose = "the collector's settings" if is_collector(options.name) else f"the file of {options.name}"
    print(
        f"bring {authority.ca.name}, {certificate.name} and {key.name} to where they are used, readable by its program "
        f"alone; in {whose}:\n"
        f"broker:\n  tls: {{ca: .../{authority.ca.name}, certificate: .../{certificate.name}, key: .../{key.name}}}\n"
        "  password_file: null            # the certificate says who it is"
    )
    return 0
