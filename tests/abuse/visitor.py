"""A visitor without a browser: the websocket that a page opens, uploads, and plain requests with
any headers; knows Streamlit's protocol."""

from __future__ import annotations

import http.client
import socket
from types import TracebackType
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from cpart_core.bench.harness.app_server import AppServer

COOKIE, HEADER = "_streamlit_xsrf", "X-Xsrftoken"
REFUSED_WITHOUT_STATUS = 0


class Visitor:
    """One session of the app: `with Visitor(server) as visitor: visitor.upload("a", b"...")`."""

    def __init__(self, server: AppServer) -> None:
        self.server = server
        self.session = ""
        self.token = ""
        self.socket: ClientConnection | None = None

    def __enter__(self) -> Visitor:
        """Open the websocket and have the page's script run once, as a browser does."""
        answer = request(self.server, "GET", "/_stcore/health")
        cookies = [
            value
            for name, value in answer.headers
            if name.lower() == "set-cookie" and value.startswith(COOKIE)
        ]
        self.token = cookies[0].split("=", 1)[1].split(";")[0].strip('"') if cookies else ""
        self.socket = open_socket(self.server)
        rerun = BackMsg()
        rerun.rerun_script.query_string = ""
        self.socket.send(rerun.SerializeToString())
        while not self.session:
            message = ForwardMsg()
            message.ParseFromString(self.socket.recv(timeout=30))  # type: ignore[arg-type]
            if message.WhichOneof("type") == "new_session":
                self.session = message.new_session.initialize.session_id
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.socket is not None:
            self.socket.close()

    def upload(self, file: str, data: bytes, token: str | None = None) -> int:
        """PUT a file, as the browser does; the status of the answer."""
        body, kind = multipart(data)
        headers = {
            "Content-Type": kind,
            "Cookie": f"{COOKIE}={self.token}",
            HEADER: self.token if token is None else token,
        }
        return request(
            self.server, "PUT", f"/_stcore/upload_file/{self.session}/{file}", headers, body
        ).status


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.getheaders()
        self.body = response.read()


def request(
    server: AppServer,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """One plain request; a Host among the headers stands in the place of the right one."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host="Host" in (headers or {}))
        for name, value in {
            **(headers or {}),
            **({} if body is None else {"Content-Length": str(len(body))}),
        }.items():
            connection.putheader(name, value)
        connection.endheaders()
        try:
            if body is not None:
                connection.send(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all of it was read; the answer is there
        return Answer(connection.getresponse())
    finally:
        connection.close()


def open_socket(server: AppServer, origin: str | None = "own", host: str = "") -> ClientConnection:
    """The page's websocket. origin: "own", another one, or None for none at all. WebSocketException
    where it is refused."""
    own = f"127.0.0.1:{server.port}"
    # wherever the address says that it leads
    wire = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    options: dict[str, Any] = {
        "sock": wire,
        "subprotocols": ["streamlit"],
        "max_size": None,
        "open_timeout": 20,
    }
    return connect(
        f"ws://{host or own}/_stcore/stream",
        origin=f"http://{own}" if origin == "own" else origin,
        **options,
    )  # type: ignore[arg-type]


def socket_status(server: AppServer, origin: str | None = "own", host: str = "") -> int:
    """What a websocket with this origin and host is answered with: 101 where it is opened."""
    try:
        open_socket(server, origin, host).close()
    except InvalidStatus as refused:
        return refused.response.status_code
    except (WebSocketException, OSError, EOFError):
        return REFUSED_WITHOUT_STATUS
    return 101


def multipart(data: bytes, name: str = "text.txt") -> tuple[bytes, str]:
    """(body, content type) of a form with one file."""
    edge = "----------edge"
    head = (
        f'--{edge}\r\nContent-Disposition: form-data; name="file";'
        f' filename="{name}"\r\nContent-Type: text/plain\r\n\r\n'
    )
    return (
        head.encode() + data + f"\r\n--{edge}--\r\n".encode(),
        f"multipart/form-data; boundary={edge}",
    )
