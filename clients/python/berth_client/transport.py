"""What the generated clients stand on: connections over a unix socket or TCP, streams, and connections taken over.

Each request has a connection of its own, so a client may be used by several threads.
"""
from __future__ import annotations

import codecs
import http.client
import json
import socket
import ssl
import urllib.parse
from typing import Any, BinaryIO, Dict, Iterable, Iterator, Optional, Tuple, Union

#: What a request may carry beside JSON, for example a tar archive.
Body = Union[bytes, BinaryIO, Iterable[bytes]]

#: Names of the streams in frames, by their first byte.
_STREAMS = ("stdin", "stdout", "stderr")


class ApiError(Exception):
    """The engine's answer to a request that it did not carry out.

    status is the HTTP status, 304 where nothing had to be changed; message is the engine's sentence.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: Optional[float]) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.close()
            raise


def _frames(read: Any) -> Iterator[Tuple[str, bytes]]:
    """Gives (stream, payload) of the frames that read(n) gives the bytes of."""
    while True:
        head = read(8)
        if not head:
            return
        if len(head) < 8 or head[0] >= len(_STREAMS):
            raise ValueError(f"no frame begins with {head!r}: a container with a terminal sends none")
        size = int.from_bytes(head[4:], "big")
        payload = read(size)
        if len(payload) < size:
            raise EOFError(f"the connection ended {size - len(payload)} bytes before the frame's end")
        yield _STREAMS[head[0]], payload


class Stream:
    """A body that is read as it comes. Close it, or use it in a with statement, to end it early."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self.headers: Dict[str, str] = dict(response.getheaders())

    def read(self, size: int = -1) -> bytes:
        """Up to size bytes, all of them unless the body ends before; without size, the whole body."""
        return self._response.read() if size < 0 else self._response.read(size)

    def __iter__(self) -> Iterator[bytes]:
        """Gives the bytes in the pieces that arrive."""
        while True:
            piece = self._response.read1(65536)
            if not piece:
                return
            yield piece

    def frames(self) -> Iterator[Tuple[str, bytes]]:
        """Gives ("stdout" or "stderr", payload) of the log of a container without a terminal."""
        return _frames(self.read)

    def objects(self) -> Iterator[Any]:
        """Gives the JSON objects of events, stats and progress, each as soon as it is complete."""
        decoder, text = json.JSONDecoder(), ""
        decode = codecs.getincrementaldecoder("utf-8")("replace")
        for piece in self:
            text += decode.decode(piece)
            while text.strip():
                text = text.lstrip()
                try:
                    value, end = decoder.raw_decode(text)
                except ValueError:
                    break
                yield value
                text = text[end:]
        if text.strip():
            raise EOFError("the stream ended in the middle of an object")

    def close(self) -> None:
        self._response.close()
        self._connection.close()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Hijacked:
    """A connection that attach or exec took over: what is sent is the process's input, what is read its output."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        # The response's buffered reader may hold the first bytes of output.
        self._connection = connection
        self._response = response
        self._socket = connection.sock
        self._file = response.fp

    def read(self, size: int) -> bytes:
        """size bytes, fewer only at the end."""
        return self._file.read(size)

    def __iter__(self) -> Iterator[bytes]:
        """Gives the bytes of a terminal as they come."""
        while True:
            piece = self._file.read1(65536)
            if not piece:
                return
            yield piece

    def frames(self) -> Iterator[Tuple[str, bytes]]:
        """Gives ("stdout" or "stderr", payload) of a process without a terminal."""
        return _frames(self.read)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def close_input(self) -> None:
        """Ends the process's standard input and leaves its output open."""
        # That of the socket below TLS: SSLSocket.shutdown would also end the
        # decryption of what still comes.
        socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def close(self) -> None:
        self._response.close()
        self._connection.close()
        self._socket.close()

    def __enter__(self) -> "Hijacked":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Base:
    """Sends the requests of a generated Client to a daemon.

    host is unix://PATH or tcp://HOST[:PORT], the latter over TLS if a context is given (port 2376, without TLS 2375). timeout, in seconds, bounds each
    read and write; without it a stream may be silent for as long as it likes.
    """

    base_path = ""

    def __init__(
        self,
        host: str = "unix:///run/berth.sock",
        *,
        tls: Optional[ssl.SSLContext] = None,
        timeout: Optional[float] = None,
    ) -> None:
        self._address = urllib.parse.urlsplit(host)
        if self._address.scheme not in ("unix", "tcp"):
            raise ValueError(f"{host}: unix:// and tcp:// are known")
        self._tls = tls
        self._timeout = timeout

    def _connect(self) -> http.client.HTTPConnection:
        if self._address.scheme == "unix":
            return _UnixConnection(self._address.path, self._timeout)
        host, port = self._address.hostname or "localhost", self._address.port or (2376 if self._tls else 2375)
        if self._tls is not None:
            return http.client.HTTPSConnection(host, port, context=self._tls, timeout=self._timeout)
        return http.client.HTTPConnection(host, port, timeout=self._timeout)

    def _send(
        self, method: str, path: str, query: Dict[str, Any], headers: Dict[str, Any], body: Any
    ) -> Tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        pairs = []
        for name, value in query.items():
            if isinstance(value, bool):
                value = "1" if value else "0"
            if isinstance(value, (list, tuple)):
                pairs += [(name, item) for item in value]
            elif value is not None:
                pairs.append((name, value))
        target = self.base_path + urllib.parse.quote(path, safe="/:@%")
        if pairs:
            target += "?" + urllib.parse.urlencode(pairs)
        sent = {name: str(value) for name, value in headers.items() if value is not None}
        if isinstance(body, (dict, list, str)):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        elif body is not None:
            sent.setdefault("Content-Type", "application/x-tar")
        connection = self._connect()
        try:
            # The connection's socket is kept by name: http.client forgets it
            # when the answer says that the connection will be closed.
            connection.connect()
            wire = connection.sock
            try:
                connection.request(method, target, body=body, headers=sent)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before the whole body was sent: the answer tells why
            response = connection.getresponse()
            connection.sock = wire
            if response.status not in (101,) and not 200 <= response.status < 300:
                raise ApiError(response.status, response.read().decode("utf-8", "replace").strip())
            return connection, response
        except BaseException:
            connection.close()
            raise

    def _call(self, *request: Any) -> Any:
        connection, response = self._send(*request)
        try:
            content = response.read()
        finally:
            connection.close()
        if not content:
            return None
        if response.getheader("Content-Type", "").startswith("application/json"):
            return json.loads(content)
        return content.decode("utf-8", "replace")

    def _head(self, *request: Any) -> Dict[str, str]:
        connection, response = self._send(*request)
        connection.close()
        return dict(response.getheaders())

    def _stream(self, *request: Any) -> Stream:
        return Stream(*self._send(*request))

    def _hijack(self, method: str, path: str, query: Any, headers: Any, body: Any) -> Hijacked:
        headers = dict(headers, Connection="Upgrade", Upgrade="tcp")
        return Hijacked(*self._send(method, path, query, headers, body))
