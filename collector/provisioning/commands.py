"""`collector influx provision`: makes the InfluxDB of the settings ready; a second run changes nothing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from collector.errors import Failure
from collector.provisioning import influx1
from collector.provisioning.steps import Step, carry_out
from collector.settings import DuckDbSettings, Influx1Settings, VictoriaSettings, load, secret
from edge_agent.contract.secret_file import SecretFileError, read_secret


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `influx provision`; it sets `run`, which returns the exit status."""
    influx = commands.add_parser("influx", help="the InfluxDB that officers ask").add_subparsers(required=True)
    provision = influx.add_parser("provision", help="make buckets or databases, five-minute means, accounts")
    provision.add_argument("settings", type=Path, help="the collector's settings")
    provision.add_argument("--show", action="store_true", help="say what would be done, and do nothing")
    provision.add_argument(
        "--admin", metavar="USER", help="administrator of a 1.x server (default: `user` of the settings)"
    )
    provision.add_argument("--admin-password-file", type=Path, metavar="FILE")
    provision.add_argument(
        "--admin-token-file", type=Path, metavar="FILE", help="of a 2.x server (default: `token_file`)"
    )
    provision.add_argument(
        "--officer-file", type=Path, metavar="FILE",
        help="where the officers' password or token goes (default: influx-officer in the state folder)",
    )  # fmt: skip
    provision.set_defaults(run=_provision)


def _provision(options: argparse.Namespace) -> int:
    settings = load(options.settings)
    store = settings.store
    if isinstance(store, DuckDbSettings | VictoriaSettings):
        which = "the embedded one" if isinstance(store, DuckDbSettings) else "a VictoriaMetrics"
        raise Failure(f"store: is {which}, which needs nothing\n  set store: {{kind: influx1, ...}} or influx2 first")
    officer_file: Path = options.officer_file or Path(settings.state) / "influx-officer"
    if not options.show:
        officer_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if isinstance(store, Influx1Settings):
        lines = carry_out(_steps1(options, store, officer_file), show=options.show)
    else:
        from collector.provisioning import influx2  # loading its client takes a fifth of a second

        token = _read(options.admin_token_file) or secret(store.token_file, "store.token_file") or ""
        lines = carry_out(influx2.steps(influx2.Influx2(store, token), store, officer_file), show=options.show)
    for line in lines:
        print(line)
    if not options.show:
        where = f"its secret stands in {officer_file}"
        if not officer_file.exists():
            where = f"it was there before, but its secret is not in {officer_file}: delete the account to get another"
        print(f"The officers' account reads the measurements and nothing else; {where}")
    return 0


def _steps1(options: argparse.Namespace, store: Influx1Settings, officer_file: Path) -> Iterator[Step]:
    password = secret(store.password_file, "store.password_file")
    if options.admin:
        server = influx1.Influx1(store.url, options.admin, _read(options.admin_password_file))
    else:
        server = influx1.Influx1(store.url, store.user, password)
    if not server.asks_for_passwords():
        print(
            "warning: this server asks nobody for a password, so whoever reaches it reads everything, plates too.\n"
            "  Make an administrator, set [http] auth-enabled = true in influxdb.conf, restart it, and run this again.",
            file=sys.stderr,
        )
    yield from influx1.steps(server, store, password, officer_file)


def _read(file: Path | None) -> str | None:
    try:
        return None if file is None else read_secret(str(file))
    except SecretFileError as error:
        raise Failure(str(error)) from error
