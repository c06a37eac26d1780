"""One request as a CGI program (RFC 3875): variables from the environment, body on stdin, answer on stdout."""

import io
import os
import signal

from postern_wsgi.body import Body
from postern_wsgi.errors import Errors
from postern_wsgi.response import ClientLeft, FileWrapper, Response

_block_size = 65536


class Output:
    """The channel of a Response to stdout."""

    def __init__(self):
        self.failed = False

    def send(self, content):
        """All of it, however often the pipe takes only some."""
        view = memoryview(content)
        try:
            while view:
                view = view[os.write(1, view) :]
        except OSError as error:
            raise ClientLeft(f"stdout was closed: {error}") from None

    finish = conclude = send

    def done(self):
        """The end of the process says it."""

    def abandon(self):
        """The exit status says that the answer is not whole."""
        self.failed = True

    def check(self):
        """Whoever has left ends this process."""


def run(application, options):
    """Answers the request; gives the exit status: 1 when the answer was broken off."""
    environ = {name.decode("latin-1"): value.decode("latin-1") for name, value in os.environb.items()}
    environ.setdefault("SCRIPT_NAME", "")
    environ.setdefault("PATH_INFO", "")
    environ.setdefault("QUERY_STRING", "")
    errors = Errors(_write_stderr)
    environ.update(
        {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if environ.get("HTTPS") in ("on", "1") else "http",
            "wsgi.input": _input(environ),
            "wsgi.errors": errors,
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": True,
            "wsgi.file_wrapper": FileWrapper,
        }
    )
    signal.signal(signal.SIGTERM, _leave)
    output = Output()
    is_head = environ.get("REQUEST_METHOD") == "HEAD"
    Response(output, errors, options.dev, is_head).run(application, environ)
    errors.end()
    return 1 if output.failed else 0


def _leave(_signal, _frame):
    """The client has left: the application closes what it has open (I-8), and the process ends."""
    raise ClientLeft("the request was ended")


def _input(environ):
    declared = environ.get("CONTENT_LENGTH", "")
    if declared.isdigit():
        length = int(declared)
    elif environ.pop("POSTERN_WSGI_STREAM", None):
        length = None
        environ["wsgi.input_terminated"] = True
    else:
        length = 0
    return io.BufferedReader(Body(lambda: os.read(0, _block_size), b"", length), _block_size)


def _write_stderr(content):
    view = memoryview(content)
    while view:
        view = view[os.write(2, view) :]
