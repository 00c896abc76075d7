"""Serves Netron's page with one model on loopback, so that nothing leaves the machine.

Netron's own server shares what it serves among all its instances, gives any file of the model's folder to whoever
asks, and its page looks up where the user is, sends analytics, and asks for updates. So its files are served from
here instead:

- only under a random path, to requests that name this address: no other user or page can guess or reach it;
- of files only Netron's own and those of the one model;
- with a policy that forbids the browser every request to another address (Content-Security-Policy,
  https://www.w3.org/TR/CSP3/), a cookie that answers the question for consent, and a page that says that it
  is new and not a release, which is what analytics and the request to update depend on.
"""

from __future__ import annotations

import datetime
import importlib.util
import json
import queue
import re
import secrets
import shutil
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypedDict
from urllib.parse import unquote, urlparse

from studio.core.artifact import Artifact
from studio.core.errors import PluginError

HOST = "127.0.0.1"
POLICY = (
    "default-src 'self'; script-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; worker-src 'self' blob:; font-src 'self' data:; object-src 'none'; "
    "frame-src 'none'; base-uri 'none'; form-action 'none'"
)
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".svg": "image/svg+xml",
}
MODEL = "model.onnx"
#: the longest message that the page may send, in bytes
LONGEST = 1 << 16
#: seconds after which a silent stream says that it is alive, so that one that was closed is noticed
ALIVE_S = 10.0
_META = re.compile(r'<meta name="(version|date)" content="[^"]*">')


def netron_folder() -> Path:
    """Find Netron's files without importing it.

    Raises
    ------
    PluginError
        When it is not installed.
    """
    spec = importlib.util.find_spec("netron")
    folders = spec.submodule_search_locations if spec is not None else None
    if not folders:
        raise PluginError("Netron is not installed.", "pip install netron==9.3.3")
    return Path(next(iter(folders)))


def patched(page: str, name: str, today: datetime.date) -> str:
    """Give Netron's page for the served model: it neither counts, nor asks for an update; it loads our script."""

    def meta(found: re.Match[str]) -> str:
        content = "0.0.0" if found[1] == "version" else f"{today.isoformat()} 00:00:00"
        return f'<meta name="{found[1]}" content="{content}">'

    shown = re.sub(r'[<>&"]', "_", name)
    ours = (
        f'<meta name="type" content="Python">\n<meta name="file" content="data/{MODEL}">\n'
        f'<meta name="name" content="{shown}">\n<meta name="identifier" content="{MODEL}">\n'
        '<script type="text/javascript" src="burnish.js"></script>\n</head>'
    )
    return _META.sub(meta, page).replace("</head>", ours, 1)


class Message(TypedDict, total=False):
    """What a page is told: which node to select, or to load anew."""

    node: str
    reload: bool


#: messages for one page; None ends it
Stream = queue.SimpleQueue[Message | None]


class NetronServer:
    """Serves one model until it is closed.

    Parameters
    ----------
    on_select
        Told, on a thread of the server, which node was selected in the page.
    """

    def __init__(self, artifact: Artifact, name: str, on_select: Callable[[str], None]) -> None:
        self.folder = netron_folder()
        self._streams: set[Stream] = set()
        self._lock = threading.Lock()
        self._last = ""
        self._closed = False
        self.serve(artifact, name)
        self.token = secrets.token_urlsafe(16)
        self._on_select = on_select
        self._server = _Server((HOST, 0), self)
        self.port = int(self._server.server_address[1])
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="burnish-netron", daemon=True
        ).start()

    def serve(self, artifact: Artifact, name: str) -> None:
        """Serve another model from now on; pages that show the one before load anew."""
        self.name = name
        beside = {item.location: artifact.path.parent / item.location for item in artifact.external}
        self.files = {MODEL: artifact.path, **beside}
        self._tell(Message(reload=True), "")

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def select(self, node: str) -> None:
        """Select a node in every page that shows the model."""
        self._tell(Message(node=node), node)

    def close(self) -> None:
        """End: the address answers no more."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for stream in self._streams:
                stream.put(None)
        self._server.shutdown()
        self._server.server_close()

    def selected(self, node: str) -> None:
        """Take what was selected in a page."""
        self._on_select(node)

    def stream(self) -> Stream:
        """Open a stream of messages, beginning with the present selection; None ends it."""
        made: Stream = queue.SimpleQueue()
        with self._lock:
            if self._last:
                made.put(Message(node=self._last))
            if self._closed:
                made.put(None)
            self._streams.add(made)
        return made

    def drop(self, stream: Stream) -> None:
        """Forget a stream."""
        with self._lock:
            self._streams.discard(stream)

    def _tell(self, message: Message, last: str) -> None:
        with self._lock:
            self._last = last
            for stream in self._streams:
                stream.put(message)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], owner: NetronServer) -> None:
        self.owner = owner
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    """Answers for one `NetronServer`."""

    server: _Server

    def do_GET(self) -> None:
        owner, path = self.server.owner, self._path()
        if path is None:
            self._refuse()
        elif path in ("", "index.html"):
            page = patched((owner.folder / "index.html").read_text("utf-8"), owner.name, datetime.date.today())
            self._send(page.encode(), ".html")
        elif path == "burnish.js":
            self._send(Path(__file__).with_name("page.js").read_bytes(), ".js")
        elif path == "events":
            self._stream()
        elif path.startswith("data/") and path[5:] in owner.files:
            self._file(owner.files[path[5:]])
        else:
            self._asset(owner.folder, path)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if self._path() != "selected" or not 0 < length <= LONGEST:
            self._refuse()
            return
        try:
            node = json.loads(self.rfile.read(length))["node"]
        except (ValueError, KeyError, TypeError):
            self._refuse()
            return
        self.server.owner.selected(str(node))
        self._begin(204, None, 0)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _path(self) -> str | None:
        """Give the path below the secret one; None for whoever does not know it, or asks for another host."""
        owner = self.server.owner
        first, _, rest = unquote(urlparse(self.path).path).lstrip("/").partition("/")
        known = secrets.compare_digest(first.encode(), owner.token.encode())
        return rest if known and self.headers.get("Host") == f"{HOST}:{owner.port}" else None

    def _asset(self, folder: Path, path: str) -> None:
        target = (folder / path).resolve()
        if target.suffix in TYPES and target.is_relative_to(folder.resolve()) and target.is_file():
            self._send(target.read_bytes(), target.suffix)
        else:
            self._refuse()

    def _file(self, path: Path) -> None:
        """Send a file in pieces: models are large."""
        try:
            with path.open("rb") as file:
                self._begin(200, "application/octet-stream", path.stat().st_size)
                shutil.copyfileobj(file, self.wfile, 1 << 20)
        except OSError:
            self.close_connection = True

    def _stream(self) -> None:
        """Send selections as server-sent events until the page or the view is closed."""
        owner = self.server.owner
        stream = owner.stream()
        self._begin(200, "text/event-stream", None)
        try:
            while True:
                try:
                    message = stream.get(timeout=ALIVE_S)
                except queue.Empty:
                    self.wfile.write(b":\n\n")
                    continue
                if message is None:
                    return
                self.wfile.write(f"data: {json.dumps(message)}\n\n".encode())
        except OSError:
            pass
        finally:
            owner.drop(stream)
            self.close_connection = True

    def _send(self, content: bytes, suffix: str) -> None:
        self._begin(200, TYPES[suffix], len(content))
        self.wfile.write(content)

    def _refuse(self) -> None:
        self._begin(404, None, 0)

    def _begin(self, status: int, kind: str | None, length: int | None) -> None:
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Set-Cookie", f"consent=1; Path=/{self.server.owner.token}/; SameSite=Strict")
        self.end_headers()
