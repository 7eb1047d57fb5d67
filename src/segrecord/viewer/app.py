"""The routes of the viewer, and its server.

Every answer is made of the dataset that was given, of the marks, and of the files of the
page. Nothing of a URL ever becomes part of a path.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import threading
import webbrowser
from importlib import resources
from typing import TYPE_CHECKING, Any

import click
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from segrecord.errors import OutputError, PixelError, RecordError, SegrecordError, UsageError
from segrecord.viewer.answers import Answers
from segrecord.viewer.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from starlette.requests import Request

    from segrecord.viewer.record_images import Picture

HOST = "127.0.0.1"
"""Only this machine reaches it."""

_PAGE = {
    "/": ("index.html", "text/html"),
    "/view.css": ("view.css", "text/css"),
    "/common.js": ("common.js", "text/javascript"),
    "/list.js": ("list.js", "text/javascript"),
    "/record.js": ("record.js", "text/javascript"),
    "/view.js": ("view.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}

_HIGHEST_PORT = 65_535

_LONGEST_BODY = 32_768
"""Bytes of a POST: a key and a note."""

_STATUS: dict[type[SegrecordError], int] = {
    UsageError: 400,
    RecordError: 422,  # the request is sound, what it asks for is not
    PixelError: 422,
    OutputError: 507,
}


def application(
    dataset: str | Path,
    *,
    source: Mapping[str, str] | None = None,
    marks: str | Path | None = None,
) -> Starlette:
    """The viewer of a dataset, as an ASGI application.

    Args:
        dataset: its folder.
        source: the image file of each key, to be shown beside the record; None: none is.
        marks: the CSV of the marks; None: marks.csv in the working folder.

    Raises:
        OutputError: there is no finished dataset.
        RecordError: its manifest, index or list of findings is damaged.
        UsageError: its shards are compressed, or the marks file is none or lies inside it.
    """
    answers = Answers(dataset, source, marks)
    token = secrets.token_urlsafe()
    made = Starlette(
        routes=[*_file_routes(answers), *_api_routes(answers, token)],
        middleware=[Middleware(Guard, token=token)],
        exception_handlers={SegrecordError: _error_text},
    )
    made.router.redirect_slashes = False  # "/marks/" is no path of ours
    return made


def serve(
    dataset: str | Path,
    *,
    source: Mapping[str, str] | None = None,
    marks: str | Path | None = None,
    port: int = 0,
    open_browser: bool = False,
) -> None:
    """Show a dataset to browsers of this machine until Ctrl-C, and print the address.

    Args:
        dataset: its folder.
        source: as `application`.
        marks: as `application`.
        port: to listen on; 0: a free one.
        open_browser: show the page in the user's browser.

    Raises:
        UsageError: the port is taken or may not be used; or as `application`.
        OutputError, RecordError: as `application`.
    """
    made = application(dataset, source=source, marks=marks)
    with contextlib.closing(_listening(port)) as listener:
        address = f"http://{HOST}:{listener.getsockname()[1]}/"
        click.echo(f"{address}  (Ctrl-C ends it)")
        if open_browser:  # in a thread: a browser of the terminal returns when it is closed
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        config = uvicorn.Config(
            made,
            log_config=None,  # its own would close all handlers of the process, stderr with them
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _listening(port: int) -> socket.socket:
    if not 0 <= port <= _HIGHEST_PORT:
        raise UsageError(f"port must be from 0 to {_HIGHEST_PORT}, got {port}")
    try:
        listener = socket.create_server((HOST, port))
        # Connections inherit it. asyncio sets it only on sockets that were made for TCP by name,
        # and each answer in several pieces would wait 40 ms for the browser's acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise UsageError(
            f"port {port} cannot be listened on: {error.strerror}; without --port a free one is "
            "taken"
        ) from None
    return listener


def _api_routes(answers: Answers, token: str) -> list[Route]:
    def record_of_key(request: Request) -> dict[str, Any]:
        row = answers.row_of(request.query_params.get("key", ""))
        if row is None:
            raise HTTPException(404, "There is no record of this key.")
        return answers.record(row, request.query_params)

    def thumbs(request: Request) -> Response:
        lines = answers.thumbs(request.query_params)
        return StreamingResponse(lines, media_type="application/x-ndjson")

    async def marks(request: Request) -> Response:
        if request.method != "POST":
            return JSONResponse(answers.all_marks())
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _LONGEST_BODY:
                raise HTTPException(413, f"a mark has {_LONGEST_BODY} bytes at most")
        try:
            given = json.loads(body)
        except (ValueError, RecursionError):
            raise HTTPException(400, "the body must be JSON") from None
        return JSONResponse(await run_in_threadpool(answers.put_mark, given))

    def values(path: str, made: Callable[[Request], dict[str, Any]]) -> Route:
        return Route(path, lambda request: JSONResponse(made(request)))

    return [
        values("/api/dataset", lambda _: {**answers.dataset(), "token": token}),
        values("/api/records", lambda request: answers.page(request.query_params)),
        values("/api/record", record_of_key),
        values("/api/record/{row}", lambda it: answers.record(_row(answers, it), it.query_params)),
        Route("/api/thumbs", thumbs),
        Route("/marks", marks, methods=["GET", "POST"]),
    ]


def _file_routes(answers: Answers) -> list[Route]:
    """The page itself, and the pictures."""
    static, pictures = resources.files("segrecord.viewer") / "static", answers.pictures

    def page(path: str, name: str, media_type: str) -> Route:
        content = (static / name).read_bytes()
        return Route(path, lambda _: Response(content, media_type=media_type))

    def picture(path: str, made: Callable[[int], Picture | None]) -> Route:
        def answer(request: Request) -> Response:
            shown = made(_row(answers, request))
            if shown is None:
                raise HTTPException(404, "the record has none")
            return Response(shown.data, media_type=shown.media_type)

        return Route(path, answer)

    return [
        *(page(path, *file) for path, file in _PAGE.items()),
        picture("/image/{row}", pictures.image),
        picture("/mask/{row}", pictures.mask),
        picture("/outline/{row}", lambda row: pictures.mask(row, outline=True)),
        picture("/thumb/{row}", lambda row: pictures.thumb(row, painted=True)),
        picture("/source/{row}", answers.source_picture),
    ]


def _row(answers: Answers, request: Request) -> int:
    row = answers.row(request.path_params["row"])
    if row is None:
        raise HTTPException(404, "there is no such record")
    return row


async def _error_text(_: Request, error: Exception) -> Response:
    """The error's own words: they name the record, the rule and what to do."""
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    return PlainTextResponse(str(error), status)
