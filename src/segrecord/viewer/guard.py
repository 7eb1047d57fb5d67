"""Who is answered: a page that this very server gave out, on this very machine, and nobody else.

A browser lets any web page send requests to 127.0.0.1, so the address alone protects nothing:

- A name of the attacker's that suddenly points here (DNS rebinding) makes his page one of ours.
  The Host header still holds his name, and is refused.
- A form or script of another site may send a POST (CSRF). It cannot set our Content-Type or token
  without being asked for leave, and its Origin is another.
- It may show our pictures in its page. `Cross-Origin-Resource-Policy` forbids that.

The rules are those of the OWASP cheat sheets "Cross-Site Request Forgery Prevention" and "HTTP
Security Response Headers". Not kept out: other people who are logged in on this machine.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_HEADER = "x-segrecord-token"  # noqa: S105 - the name of a header

# No script or style but those of our files, and nothing of another host. data: is for thumbnails,
# which come sixty in one answer; as an image it can run nothing.
_POLICY = (
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'"
)

HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    # The pictures may be of patients: no copy stays in the browser's cache.
    "cache-control": "no-store",
}
"""Of every answer, refusals among them."""

_HTTP_PORT = 80
"""Browsers leave it out of Host and Origin."""


class Guard:
    """Refuses what does not come from the page itself, and adds HEADERS to every answer.

    Args:
        app: what is guarded.
        token: that a POST must carry; made anew at each start.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        # What a browser on this machine calls the server, by the port that it listens on.
        headers, port = Headers(scope=scope), scope["server"][1]
        hosts = [
            f"{name}{f':{port}' * (port != _HTTP_PORT)}" for name in ("127.0.0.1", "localhost")
        ]
        if headers.getlist("host") not in [[host] for host in hosts]:
            return PlainTextResponse(f"the Host must be {' or '.join(hosts)}", 400)
        if scope["method"] != "POST":
            return None
        if headers.get("origin") != f"http://{headers['host']}":
            return PlainTextResponse("the Origin must be this page", 403)
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return PlainTextResponse("the Content-Type must be application/json", 415)
        if not hmac.compare_digest(headers.get(TOKEN_HEADER, "").encode(), self._token.encode()):
            return PlainTextResponse("the token is not that of this start: reload the page", 403)
        return None
