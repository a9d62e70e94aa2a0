"""InfluxDB 2.x, through its client: buckets, five-minute means by tasks, the officers' token, a dashboard of queries.

Not checked against a server: none could be had. The requests are checked against canned answers, the Flux texts with
InfluxData's compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from influxdb_client import (
    Authorization,
    BucketRetentionRules,
    CreateCell,
    CreateDashboardRequest,
    DashboardsService,
    InfluxDBClient,
    Permission,
    PermissionResource,
)
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from collector.errors import Failure
from collector.provisioning.questions import QUESTIONS, dashboard_view, mean_task
from collector.provisioning.steps import FIVE_MINUTES, OFFICER, State, Step, write_secret
from collector.settings import Influx2Settings
from edge_agent.contract.quantities import MEDIA

TIMEOUT_S = 10
DASHBOARD = "Phú Quốc: cán bộ môi trường / environmental officers"
T = TypeVar("T")


class Influx2:
    """A server, asked with a token that may make buckets, tasks and tokens; raises Failure with what it says."""

    def __init__(self, settings: Influx2Settings, token: str) -> None:
        self._url = settings.url
        self.client = InfluxDBClient(url=settings.url, token=token, org=settings.org, timeout=TIMEOUT_S * 1000)
        self.org = self.say(lambda: self._org(settings.org))

    def _org(self, name: str) -> Any:
        found = self.client.organizations_api().find_organizations(org=name)
        if not found:
            raise Failure(f"store.org: {self._url} knows no organisation {name!r}")
        return found[0]

    def say(self, request: Callable[[], T]) -> T:
        """What the server answers."""
        try:
            return request()
        except ApiException as error:
            cure = "\n  give --admin-token-file of a token that may do this" if error.status in (401, 403) else ""
            raise Failure(f"{self._url} answers {error.status}: {error.message or error.reason}{cure}") from error
        except HTTPError as error:
            raise Failure(f"{self._url} does not answer: {error}") from error


def steps(server: Influx2, settings: Influx2Settings, officer_file: Path) -> Iterator[Step]:
    """Everything that must be there, each as it stands when the ones before it are done."""
    means = f"{settings.bucket}_{FIVE_MINUTES}"
    for bucket in filter(None, (settings.bucket, settings.plates_bucket, means)):
        yield _bucket(server, bucket)
    for medium in MEDIA:
        yield _task(server, medium, settings.bucket, means)
    yield _token(server, [settings.bucket, means], officer_file)
    yield _dashboard(server, settings.bucket)


def _bucket(server: Influx2, name: str) -> Step:
    api = server.client.buckets_api()
    there = server.say(lambda: api.find_bucket_by_name(name)) is not None
    forever = BucketRetentionRules(type="expire", every_seconds=0)

    def do() -> None:
        server.say(lambda: api.create_bucket(bucket_name=name, org=server.org, retention_rules=forever))

    return Step(what=f"bucket {name}, for ever", state="there" if there else "missing", do=do)


def _task(server: Influx2, medium: str, bucket: str, means: str) -> Step:
    api = server.client.tasks_api()
    name, flux = f"{medium}_5m", mean_task(medium, bucket, means)
    known = next((task for task in server.say(lambda: api.find_tasks(name=name)) if task.name == name), None)
    state: State = "missing" if known is None else "there" if known.flux == flux else "different"

    def do() -> None:
        if known is None:
            # the text carries its own options, so it is posted as it is
            request = {"flux": flux, "orgID": server.org.id}
            server.say(lambda: api._service.post_tasks(task_create_request=request))
        else:
            known.flux = flux
            server.say(lambda: api.update_task(known))

    return Step(what=f"{name} in {means}, by a task", state=state, do=do)


def _token(server: Influx2, buckets: list[str], officer_file: Path) -> Step:
    api = server.client.authorizations_api()
    tokens = server.say(lambda: api.find_authorizations(org_id=server.org.id))
    there = any(token.description == OFFICER for token in tokens)

    def do() -> None:
        find = server.client.buckets_api().find_bucket_by_name
        ids = [server.say(partial(find, name)).id for name in buckets]
        rights = [
            Permission(action="read", resource=PermissionResource(type="buckets", id=id_, org_id=server.org.id))
            for id_ in ids
        ]
        wanted = Authorization(org_id=server.org.id, permissions=rights, description=OFFICER)
        write_secret(officer_file, server.say(lambda: api.create_authorization(authorization=wanted)).token)

    what = f"token {OFFICER}, which reads {' and '.join(buckets)}"
    return Step(what=what, state="there" if there else "missing", do=do)


def _dashboard(server: Influx2, bucket: str) -> Step:
    service = DashboardsService(server.client.api_client)
    known = server.say(lambda: service.get_dashboards(org_id=server.org.id))
    there = any(board.name == DASHBOARD for board in known.dashboards or ())

    def do() -> None:
        request = CreateDashboardRequest(org_id=server.org.id, name=DASHBOARD)
        board = server.say(partial(service.post_dashboards, create_dashboard_request=request))
        for row, (title, flux) in enumerate(QUESTIONS.items()):
            place = CreateCell(x=0, y=4 * row, w=12, h=4)
            cell = server.say(partial(service.post_dashboards_id_cells, board.id, create_cell=place))
            view = dashboard_view(title, flux.replace("BUCKET", bucket))
            server.say(partial(service.patch_dashboards_id_cells_id_view, board.id, cell.id, view=view))

    return Step(what=f"dashboard with {len(QUESTIONS)} queries", state="there" if there else "missing", do=do)
