"""One connection of a web server: requests one after the other, and the answers to them (FastCGI).

The channel of `response.Response`, too: requests of one connection never overlap. A small request is one
recv and a small answer one send. What grows: PARAMS, at most `most_params`, and what `reader.py` holds.
"""

import io
import socket
import threading

from postern_wsgi import record
from postern_wsgi.body import Body
from postern_wsgi.errors import Errors
from postern_wsgi.reader import RecordReader, recv_size
from postern_wsgi.record import Malformed, pack_header
from postern_wsgi.response import ClientLeft, Response

most_params = 4 * 1024 * 1024
# Of a large answer so much is made records of at a time.
_send_size = 16 * record.most_content

_stdout = record.stdout
_responder = 1


class Connection:
    """Serves `sock`; `worker` has the application and says when to stop."""

    def __init__(self, sock, worker):
        self._sock = sock
        self._reader = RecordReader(sock)
        self._worker = worker
        self._writing = threading.Lock()
        self._id = 0
        self._keep = True
        self._stdin_ended = True
        self._gone = False
        self._aborted = False

    def serve(self):
        """Answers requests until one side closes the connection."""
        try:
            while self._serve_one() and not self._worker.stopping:
                pass
        except (Malformed, ConnectionError) as error:
            if isinstance(error, Malformed):
                self._worker.complain(f"a connection was closed: {error}")
        finally:
            self._reader.idle = False
            self._sock.close()

    def stop_waiting(self):
        """From a signal handler or another thread: what was received is served, nothing more is waited for."""
        if self._reader.idle:
            try:
                self._sock.shutdown(socket.SHUT_RD)
            except OSError:
                pass

    def send(self, content):
        """Some of the answer."""
        if len(content) <= record.most_content:
            self._write(pack_header(1, _stdout, self._id, len(content), 0) + content)
            return
        view = memoryview(content)
        for at in range(0, len(content), _send_size):
            self._write(record.encode_stream(_stdout, self._id, view[at : at + _send_size]))

    def finish(self, content):
        """The last of the answer: STDOUT ends."""
        if len(content) > record.most_content:
            self.send(content)
            content = b""
        header = pack_header(1, _stdout, self._id, len(content), 0) if content else b""
        self._write(header + content + pack_header(1, _stdout, self._id, 0, 0))

    def done(self):
        """END_REQUEST: the application is ready for another one."""
        self._write(record.encode_end(self._id, 0, record.request_complete))

    def conclude(self, content):
        """finish and done in one message."""
        size = len(content)
        if 0 < size <= record.most_content:
            self._write(pack_header(1, _stdout, self._id, size, 0) + content + _conclusion(self._id))
        else:
            self.finish(content)
            self.done()

    def abandon(self):
        """
        Nothing more comes, and STDOUT does not end. Postern takes a failure in END_REQUEST for the reason; the
        end of the connection says it to everybody else, unless it was the other side's wish (G-49).
        """
        self._end_quietly(1)
        self._gone = self._gone or not self._aborted

    def check(self):
        """Looks, without waiting, whether the other side still wants the answer."""
        if self._gone or self._aborted:
            raise ClientLeft("the client has left")
        # With a body on its way, ABORT_REQUEST stands behind it.
        if not self._stdin_ended:
            return
        if not self._reader.receive_now():
            self._gone = True
            raise ClientLeft("the connection was closed")
        while not self._aborted and self._reader.has_record():
            self._meanwhile(*self._reader.next())
        if self._aborted:
            raise ClientLeft("the request was aborted")

    def _serve_one(self):
        """One request; False when the connection is to be closed."""
        pairs = self._small_request()
        if pairs is None:
            pairs = self._next_params()
        if pairs is None:
            return False
        worker = self._worker
        environ = worker.environ.copy()
        try:
            record.decode_pairs(pairs, environ)
        except Malformed:
            self._end_quietly(0)
            raise
        errors = Errors(self._send_stderr)
        environ["wsgi.errors"] = errors
        body = self._body(environ)
        if environ.get("HTTPS", "off") in _secure:
            environ["wsgi.url_scheme"] = "https"
        response = Response(self, errors, worker.strict, environ.get("REQUEST_METHOD") == "HEAD")
        try:
            response.run(worker.application, environ)
        except ClientLeft:
            pass
        errors.end()
        if body is not None:
            body.end()
        self._reader.idle = True
        return self._keep and not self._gone

    def _small_request(self):
        pairs = self._reader.small_request()
        if pairs is not None:
            self._id = 1
            self._keep = True
            self._stdin_ended = True
            self._aborted = False
        return pairs

    def _next_params(self):
        """The encoded variables of the next request; None at the end of the connection."""
        while True:
            found = self._reader.next()
            if found is None:
                return None
            kind, request, content = found
            if request == 0:
                self._manage(kind, content)
            elif kind == record.begin_request:
                if len(content) != 8:
                    raise Malformed(f"BEGIN_REQUEST of {len(content)} bytes")
                if content[0] << 8 | content[1] != _responder:
                    self._write(record.encode_end(request, 0, record.unknown_role))
                    continue
                self._id = request
                self._keep = bool(content[2] & 1)
                self._stdin_ended = False
                self._aborted = False
                pairs = self._read_params()
                if pairs is not None:
                    return pairs
            # Records of no request are ignored (section 3.3).

    def _read_params(self):
        """PARAMS up to their end; None when the request was aborted before."""
        found = self._reader.next()
        pairs = b""
        while True:
            if found is None:
                raise ClientLeft("the connection was closed in the middle of a request")
            kind, request, content = found
            if kind == record.params and request == self._id:
                if not content:
                    return pairs
                pairs = pairs + content if pairs else content
                if len(pairs) > most_params:
                    self._end_quietly(0)
                    raise Malformed(f"more than {most_params} bytes of PARAMS")
            elif kind == record.abort_request and request == self._id:
                self._end_quietly(0)
                return None
            else:
                self._meanwhile(kind, request, content)
            found = self._reader.next()

    def _body(self, environ):
        """Sets wsgi.input; the raw stream below it when the body is not whole yet, else None."""
        if self._stdin_ended and not environ.get("CONTENT_LENGTH"):
            environ["wsgi.input"] = io.BytesIO()
            return None
        pieces = []
        while not self._stdin_ended and self._reader.has_record():
            piece = self._next_piece()
            if piece:
                pieces.append(piece)
        declared = environ.get("CONTENT_LENGTH")
        length = int(declared) if declared and declared.isdigit() else None
        content = b"".join(pieces)
        if self._stdin_ended and (length is None or len(content) >= length):
            if length is None:
                if content:
                    environ["wsgi.input_terminated"] = True
            else:
                content = content[:length]
            environ["wsgi.input"] = io.BytesIO(content)
            return None
        if length is None:
            environ["wsgi.input_terminated"] = True
        body = Body(self._next_piece, content, length)
        environ["wsgi.input"] = io.BufferedReader(body, recv_size)
        return body

    def _next_piece(self):
        """The next of STDIN, b"" at its end. Raises ClientLeft."""
        while not self._stdin_ended:
            if self._aborted or self._gone:
                raise ClientLeft("the client has left")
            found = self._reader.next()
            if found is None:
                self._gone = True
                raise ClientLeft("the connection was closed in the middle of the request body")
            kind, request, content = found
            if kind == record.stdin and request == self._id:
                if content:
                    return content
                self._stdin_ended = True
            else:
                self._meanwhile(kind, request, content)
        return b""

    def _meanwhile(self, kind, request, content):
        """A record that is not what the request under way is waiting for."""
        if request == 0:
            self._manage(kind, content)
        elif kind == record.begin_request:
            if request == self._id:
                raise Malformed("a request begins whose id is in use")
            self._write(record.encode_end(request, 0, record.cannot_multiplex))
        elif kind == record.abort_request and request == self._id:
            self._aborted = True

    def _manage(self, kind, content):
        """Management records: FCGI_GET_VALUES, and UNKNOWN_TYPE for every other (G-47, G-48)."""
        if kind == record.get_values:
            asked = {}
            record.decode_pairs(content, asked)
            self._write(record.encode_values_result(asked, self._worker.values))
        else:
            self._write(pack_header(1, record.unknown_type, 0, 8, 0) + bytes((kind,)) + bytes(7))

    def _send_stderr(self, content):
        if self._gone:
            raise ClientLeft("the connection was closed")
        self._write(record.encode_stream(record.stderr, self._id, content))

    def _end_quietly(self, app_status):
        try:
            self._write(record.encode_end(self._id, app_status, record.request_complete))
        except ClientLeft:
            pass

    def _write(self, message):
        # An application's own threads may write to wsgi.errors.
        with self._writing:
            try:
                self._sock.sendall(message)
            except OSError as error:
                self._gone = True
                raise ClientLeft(f"the connection was closed: {error}") from None


_secure = frozenset(("on", "1", "ON", "On"))
_conclusions = {}


def _conclusion(request):
    """The end of STDOUT and END_REQUEST; kept for the few ids that web servers use."""
    made = _conclusions.get(request)
    if made is None:
        end = record.encode_end(request, 0, record.request_complete)
        made = pack_header(1, _stdout, request, 0, 0) + end
        if len(_conclusions) < 256:
            _conclusions[request] = made
    return made
