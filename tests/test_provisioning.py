"""InfluxDB made ready for the officers: 1.x on a real server with passwords, 2.x against a double of its API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from frames import MINUTE, air, plates
from influx2_double import Influx2Double
from servers import Server, influxd

from collector.__main__ import main
from collector.provisioning.questions import QUESTIONS
from collector.provisioning.steps import averaged
from collector.stores.influx1 import Influx1Store

FLEET = Path(__file__).parent.parent / "firmware_configs"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with influxd(tmp_path_factory.mktemp("influx"), auth=True) as server:
        ask(server, "CREATE USER admin WITH PASSWORD 'right' WITH ALL PRIVILEGES", user=None)
        yield server


def ask(server: Server, influxql: str, database: str = "", user: str | None = "admin", password: str = "right") -> Any:
    headers = urllib3.make_headers(basic_auth=f"{user}:{password}") if user else {}
    return urllib3.request(
        "POST", f"{server.url}/query", fields={"db": database, "q": influxql}, headers=headers
    ).json()


def settings_of(tmp_path: Path, store: str) -> str:
    file = tmp_path / "collector.yaml"
    (tmp_path / "secret").write_text("it's a \\ secret\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "admin").write_text("right\n")
    (tmp_path / "admin").chmod(0o600)
    file.write_text(
        f"state: {tmp_path / 'state'}\nfleet: {FLEET}\nplates: {{keep_days: 1, keep_hit_days: 1}}\nstore: {{{store}}}\n"
    )
    return str(file)


@pytest.fixture
def settings(server: Server, tmp_path: Path) -> str:
    store = f"kind: influx1, url: '{server.url}', database: environment, plates_database: police, user: collector"
    return settings_of(tmp_path, f"{store}, password_file: {tmp_path / 'secret'}")


def provision(settings: str, *more: str) -> int:
    folder = Path(settings).parent
    return main(
        ["influx", "provision", settings, "--admin", "admin", "--admin-password-file", f"{folder / 'admin'}", *more]
    )


def clean(server: Server) -> None:
    for statement in ("DROP DATABASE environment", "DROP DATABASE police", "DROP USER collector", "DROP USER officer"):
        ask(server, statement)


def test_a_server_is_made_ready_once(server: Server, settings: str, capsys: pytest.CaptureFixture[str]) -> None:
    clean(server)
    assert provision(settings, "--show") == 0
    assert "not yet made  database environment" in capsys.readouterr().out
    assert "environment" not in str(ask(server, "SHOW DATABASES")), "shown, not done"
    assert not (Path(settings).parent / "state" / "influx-officer").exists()
    assert provision(settings) == 0
    said = capsys.readouterr().out
    assert "made           database police" in said
    there = [line for line in said.splitlines() if line.startswith("there already")]
    assert there == ["there already  no privileges on police for officer"]
    secret = Path(settings).parent / "state" / "influx-officer"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.read_text().strip() not in said
    before = [ask(server, f"SHOW {what}") for what in ("CONTINUOUS QUERIES", "USERS", "DATABASES")]
    assert provision(settings) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("there already") for line in lines[:-1]), lines
    assert [ask(server, f"SHOW {what}") for what in ("CONTINUOUS QUERIES", "USERS", "DATABASES")] == before


def test_the_officer_reads_measurements_and_never_a_plate(server: Server, settings: str) -> None:
    clean(server)
    assert provision(settings) == 0
    store = Influx1Store(url=server.url, database="environment", plates_database="police", user="collector",
                         password="it's a \\ secret")  # fmt: skip
    store.write([air(pm2_5=[10.0], pm2_5_flag=[1]), plates("51A00001")])
    store.close()
    secret = (Path(settings).parent / "state" / "influx-officer").read_text().strip()
    assert "51A00001" in str(ask(server, "SELECT * FROM plates", "police"))
    assert "10" in str(ask(server, "SELECT pm2_5 FROM air", "environment", "officer", secret))
    for refused in ('SELECT * FROM "police".."plates"', "DROP MEASUREMENT air", "SHOW USERS"):
        answer = str(ask(server, refused, "environment", "officer", secret))
        assert "error" in answer and "51A00001" not in answer
    assert "10" in str(ask(server, "SELECT pm2_5 FROM air", "environment"))


def test_five_minute_means_leave_out_what_is_suspect(server: Server, settings: str) -> None:
    clean(server)
    assert provision(settings) == 0
    query = next(
        row[1]
        for series in ask(server, "SHOW CONTINUOUS QUERIES")["results"][0]["series"]
        for row in series.get("values", ())
        if row[0] == "air_pm2_5_5m"
    )
    start = int(time.time() * 1000) // (5 * MINUTE) * 5 * MINUTE - 10 * MINUTE
    store = Influx1Store(url=server.url, database="environment", user="admin", password="right")
    frame = air(pm2_5=[10.0, 20.0, 900.0, 30.0], pm2_5_flag=[1, 2, 3, 1])
    frame.at[:] = start + MINUTE * frame.at.argsort()
    store.write([frame])
    store.close()
    # the server runs it at the next five minutes: the same text, run at once
    select = query[query.index("SELECT") : query.index(" END")]
    span = f"time >= {start}ms AND time < {start + 5 * MINUTE}ms AND "
    ask(server, select.replace("WHERE ", f"WHERE {span}"), "environment")
    means = ask(server, "SELECT pm2_5, pm2_5_n FROM five_minutes.air_5m", "environment", "officer",
                (Path(settings).parent / "state" / "influx-officer").read_text().strip())  # fmt: skip
    assert means["results"][0]["series"][0]["values"][0][1:] == [20, 3]


def test_what_was_changed_by_hand_is_put_right(
    server: Server, settings: str, capsys: pytest.CaptureFixture[str]
) -> None:
    clean(server)
    assert provision(settings) == 0
    ask(server, 'DROP CONTINUOUS QUERY "air_so2_5m" ON "environment"')
    ask(server, 'CREATE CONTINUOUS QUERY "air_so2_5m" ON "environment" BEGIN SELECT max(so2) INTO x FROM air '
                "GROUP BY time(1h) END")  # fmt: skip
    ask(server, 'GRANT ALL ON "environment" TO "officer"')
    ask(server, 'GRANT READ ON "police" TO "officer"')
    (Path(settings).parent / "state" / "influx-officer").unlink()
    capsys.readouterr()
    assert provision(settings) == 0
    said = capsys.readouterr().out
    assert "delete the account to get another" in said, "nobody can look up a secret that is lost"
    changed = [line for line in said.splitlines() if line.startswith("changed")]
    assert changed == [
        "changed        air_5m in five_minutes, by continuous queries",
        "changed        read on environment for officer",
        "changed        no privileges on police for officer",
    ]
    assert "READ" not in str(ask(server, 'SHOW GRANTS FOR "officer"')).split("police")[1].split("]")[0]


def test_what_is_refused_is_said(
    server: Server, settings: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "admin").write_text("wrong\n")
    assert provision(settings) == 1
    assert "--admin-password-file" in capsys.readouterr().err
    assert main(["influx", "provision", settings_of(tmp_path, "kind: duckdb")]) == 1
    assert "embedded" in capsys.readouterr().err
    nobody = settings_of(tmp_path, "kind: influx1, url: 'http://127.0.0.1:9', database: e")
    assert main(["influx", "provision", nobody]) == 1
    assert "does not answer" in capsys.readouterr().err


def test_no_user_is_made_without_a_password(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean(server)
    assert provision(settings_of(tmp_path, f"kind: influx1, url: '{server.url}', database: environment, user: me")) == 1
    assert "store.password_file: is missing" in capsys.readouterr().err
    assert "'me'" not in str(ask(server, "SHOW USERS"))


def test_an_open_server_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with influxd(tmp_path / "open") as server:
        settings = settings_of(tmp_path, f"kind: influx1, url: '{server.url}', database: environment")
        assert main(["influx", "provision", settings]) == 0
        assert "asks nobody for a password" in capsys.readouterr().err


def test_a_server_that_waits_for_its_first_administrator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with influxd(tmp_path / "new", auth=True) as server:
        settings = settings_of(tmp_path, f"kind: influx1, url: '{server.url}', database: environment")
        assert main(["influx", "provision", settings]) == 1
        said = capsys.readouterr().err
        assert "CREATE USER admin" in said and "asks nobody" not in said


def test_a_server_of_version_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    double = Influx2Double()
    with double.served() as url:
        store = f"kind: influx2, url: '{url}', org: island, bucket: environment, plates_bucket: police"
        settings = settings_of(tmp_path, f"{store}, token_file: {tmp_path / 'secret'}")
        assert main(["influx", "provision", settings]) == 1
        assert "--admin-token-file" in capsys.readouterr().err
        (tmp_path / "all").write_text("all\n")
        (tmp_path / "all").chmod(0o600)
        command = ["influx", "provision", settings, "--admin-token-file", f"{tmp_path / 'all'}"]
        assert main([*command, "--show"]) == 0
        assert not double.changes and not double.kept["buckets"]
        assert main(command) == 0
        assert [bucket["name"] for bucket in double.kept["buckets"]] == [
            "environment", "police", "environment_five_minutes",
        ]  # fmt: skip
        (token,) = double.kept["authorizations"]
        ids = {bucket["id"] for bucket in double.kept["buckets"] if bucket["name"] != "police"}
        assert {(right["action"], right["resource"]["id"]) for right in token["permissions"]} == {
            ("read", i) for i in ids
        }
        secret = tmp_path / "state" / "influx-officer"
        assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("the officers' token\n", 0o600)
        (board,) = double.kept["dashboards"]
        assert len(board["cells"]) == len(QUESTIONS)
        assert 'from(bucket: "environment")' in str(board["cells"][0]["view"])
        made = len(double.changes)
        assert main(command) == 0
        assert len(double.changes) == made, "a second run changes nothing"
        double.kept["tasks"][0]["flux"] = "something else"
        assert main(command) == 0
        assert double.kept["tasks"][0]["flux"].count("from(bucket") == len(averaged("air"))
        assert "the officers' token" not in capsys.readouterr().out
