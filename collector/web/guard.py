"""What stands before every handler: who asks, may they, and in what dress answers leave.

A program shows its token in the `Authorization: Bearer` header. The page has a session cookie, which browsers send
by themselves; what changes something is therefore taken with a cookie only from the page's own origin.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from collector.bilingual import BilingualError
from collector.database import UNAVAILABLE
from collector.stores import StoreError
from collector.web.access import Right, Who
from collector.web.context import CONTEXT, WHO, Refusal
from collector.web.rates import Rate

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

COOKIE = "session"
STATIC = "/static"
MAX_BODY = 64 * 1024
BODY_S = 15.0
"""So long the body of a request may take to come."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with less, browsers hide the origin that changes are checked by
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One path: who may take it, and who answers."""

    method: str
    path: str
    handler: Handler
    right: Right | None = None
    """None: whoever has a token."""
    public: bool = False
    """Whether no token is needed."""
    page: bool = False
    """Whether it is for browsers, which are led to the login."""
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    answer: Any = None
    """Type of the JSON answer, if it is one."""
    status: int = 200
    """Of an answer that is none of an error."""
    media: tuple[str, ...] = ()
    """What else it may answer with."""


RATES, FAILURES = web.AppKey("rates", Rate), web.AppKey("failures", Rate)
"""Requests of a holder; those of an address without a valid token. A token of 256 bits is not guessed: the second only
keeps guessing cheap for us, and never keeps out who has one."""
ROUTE_OF = web.AppKey("route_of", dict[tuple[str, str], Route])


async def dress(request: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on every answer; only static files may be kept by browsers."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if not request.path.startswith(f"{STATIC}/"):
        response.headers.setdefault("Cache-Control", "no-store")


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let through who may, and turn every error into an answer that says what to do."""
    try:
        await _admit(request)
        await _body(request)
        return await handler(request)
    except Refusal as refusal:
        return refusal.response()
    except BilingualError as error:
        todo = ("Sửa lại rồi gửi lần nữa.", "Correct it and send it again.")
        return Refusal(400, (error.vi, error.en), todo).response()
    except (StoreError, *UNAVAILABLE) as error:
        return _unanswered(error).response()
    except web.HTTPRedirection:
        raise
    except web.HTTPException as error:
        return _plain(error).response()
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return Refusal(
            500,
            ("Máy chủ gặp lỗi.", "The collector failed."),
            ("Thử lại; nếu vẫn lỗi, báo nhân viên vận hành.", "Try again; if it stays, tell operations."),
        ).response()


def _unanswered(error: Exception) -> Refusal:
    what, vi, en = "database", "Cơ sở dữ liệu", "database"
    if isinstance(error, StoreError):
        what, vi, en = "store", "Kho dữ liệu chuỗi thời gian", "time-series store"
    log.warning("%s: %s", what, str(error).partition("\n")[0])
    return Refusal(
        503,
        (f"{vi} đang không trả lời.", f"The {en} does not answer now."),
        ("Thử lại sau một phút; dữ liệu không bị mất.", "Try again in a minute; no data is lost."),
    )


async def _admit(request: web.Request) -> None:
    resource = request.match_info.route.resource
    if resource is None or resource.canonical == STATIC:
        return  # no such path or method, as the router will answer; or a file that holds no data
    # a path that is not in the table is nobody's, not everybody's
    route = request.app[ROUTE_OF][request.method, resource.canonical]
    if route.public:
        return
    who, by_cookie = await identify(request)
    if who is None:
        if not request.app[FAILURES].allows(request.remote):
            raise too_often()
        if route.page:
            raise web.HTTPSeeOther("/login")
        raise Refusal(
            401,
            ("Cần mã truy cập hợp lệ.", "A valid token is needed."),
            (
                "Gửi tiêu đề Authorization: Bearer <mã>; mã do quản trị viên cấp bằng `collector token add`.",
                "Send the header Authorization: Bearer <token>; the administrator gives one by `collector token add`.",
            ),
        )
    if not request.app[RATES].allows(who.name):
        raise too_often()
    if by_cookie and request.method not in _SAFE and not same_origin(request):
        raise foreign_origin()
    if route.right is not None and not who.may(route.right):
        await audit(request, who, "refused", {"method": request.method, "path": request.path})
        raise Refusal(
            403,
            (f"Vai trò {who.role} không được xem phần này.", f"The role {who.role} may not use this."),
            ("Dùng mã truy cập của vai trò phù hợp.", "Use a token of a role that may."),
        )
    request[WHO] = who


async def _body(request: web.Request) -> None:
    """Wait for the body, which is kept for the handler."""
    if not request.can_read_body:
        return
    try:
        async with asyncio.timeout(BODY_S):
            await request.read()
    except TimeoutError:
        raise Refusal(
            408,
            ("Nội dung gửi đến quá chậm.", "The content came too slowly."),
            ("Kiểm tra đường truyền rồi gửi lại.", "Check the connection and send it again."),
        ) from None


async def identify(request: web.Request) -> tuple[Who | None, bool]:
    """Who asks, and whether a cookie says so."""
    context = request.app[CONTEXT]
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return await asyncio.to_thread(context.access.holder, token.strip()), False
    session = request.cookies.get(COOKIE)
    if session is None:
        return None, False
    return await asyncio.to_thread(context.access.session_holder, session, context.now()), True


def same_origin(request: web.Request) -> bool:
    """Tell whether the browser says that the request comes from our own pages."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("Origin")
    try:
        return origin is not None and urlsplit(origin).netloc == request.host
    except ValueError:
        return False


def too_often() -> Refusal:
    """The answer to one request too many."""
    return Refusal(
        429,
        ("Quá nhiều yêu cầu.", "Too many requests."),
        ("Chờ vài giây rồi thử lại.", "Wait some seconds and try again."),
    )


def foreign_origin() -> Refusal:
    """The answer to a change that another site's page asks for."""
    return Refusal(
        403,
        ("Yêu cầu không đến từ trang này.", "The request does not come from this page."),
        ("Mở trang này và làm lại ở đó.", "Open this page and do it there."),
    )


async def audit(request: web.Request, who: Who, what: str, parameters: Mapping[str, object]) -> None:
    """Write an audit line; await it before anything is shown."""
    context = request.app[CONTEXT]
    now, address = context.now(), request.remote or ""
    await asyncio.to_thread(context.access.record, who, what, parameters, now=now, address=address)


def _plain(error: web.HTTPException) -> Refusal:
    known = {
        404: (("Không có trang này.", "There is nothing here."), ("Kiểm tra địa chỉ.", "Check the address.")),
        405: (
            ("Không dùng được phương thức này ở đây.", "This method is not allowed here."),
            ("Kiểm tra địa chỉ và phương thức.", "Check the address and the method."),
        ),
        413: (
            ("Nội dung quá lớn.", "The content is too large."),
            (f"Gửi tối đa {MAX_BODY} byte.", f"Send at most {MAX_BODY} bytes."),
        ),
    }
    default = ((f"Lỗi {error.status}.", error.reason), ("Kiểm tra yêu cầu.", "Check the request."))
    return Refusal(error.status, *known.get(error.status, default))
