"""The persistent worker: accepts connections on descriptor 0 until TERM, then ends in good order.

With one thread the main thread does everything. With more, each has a connection of its own, and the main
thread waits for the signal. TERM lets the requests under way finish; nobody waits for the next ones.
"""

import faulthandler
import gc
import os
import signal
import socket
import sys
import threading

from postern_wsgi.fastcgi import Connection
from postern_wsgi.response import FileWrapper

stack_dump_signal = signal.SIGUSR1


class Worker:
    """What all connections share."""

    def __init__(self, application, options):
        self.application = application
        self.strict = options.dev
        self.stopping = False
        # What an environ has before the request's own variables (I-1, I-3).
        self.environ = {
            "SCRIPT_NAME": "",
            "PATH_INFO": "",
            "QUERY_STRING": "",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.multithread": options.threads > 1,
            "wsgi.multiprocess": options.processes > 1,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": FileWrapper,
        }
        at_once = str(options.threads)
        self.values = {"FCGI_MAX_CONNS": at_once, "FCGI_MAX_REQS": at_once, "FCGI_MPXS_CONNS": "0"}

    @staticmethod
    def complain(text):
        """A line for the log, of what belongs to no request."""
        sys.stderr.write(f"postern wsgi: {text}\n")


def run(application, options):
    """Serves until TERM; gives the exit status."""
    try:
        listening = _take_descriptor_0()
    except (OSError, ValueError) as error:
        Worker.complain(f"descriptor 0 is no listening socket: {error}")
        return 2
    faulthandler.register(stack_dump_signal, all_threads=True, chain=False)
    worker = Worker(application, options)
    # What was loaded stays: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    serve = _serve_alone if options.threads == 1 else _serve_with_threads
    serve(listening, worker, options.threads)
    return 0


def _take_descriptor_0():
    """The listening socket; the application's own stdin is empty."""
    listening = socket.socket(fileno=0)
    if not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ValueError("it was not told to listen")
    listening.setblocking(True)
    sys.stdin = open(os.devnull, encoding="utf-8")
    return listening


def _accept(listening):
    """The next connection; None when it is not to be served (G-41)."""
    sock, peer = listening.accept()
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    allowed = os.environ.get("FCGI_WEB_SERVER_ADDRS")
    if allowed and (sock.family == socket.AF_UNIX or peer[0] not in allowed.split(",")):
        sock.close()
        return None
    return sock


class _Stop(BaseException):
    """TERM, while nothing else was going on."""


def _serve_alone(listening, worker, _threads):
    connection = None
    accepting = False

    def stop(_signal, _frame):
        worker.stopping = True
        if accepting:
            raise _Stop
        if connection is not None:
            connection.stop_waiting()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        while not worker.stopping:
            accepting = True
            sock = _accept(listening)
            connection = None if sock is None else Connection(sock, worker)
            accepting = False
            if connection is not None:
                connection.serve()
                connection = None
    except _Stop:
        pass


def _serve_with_threads(listening, worker, threads):
    connections = set()
    changed = threading.Condition()
    # A signal is a byte in here, so that none is missed between a look and a wait.
    signals, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)

    def stop(_signal, _frame):
        worker.stopping = True

    def serve():
        while not worker.stopping:
            sock = _accept(listening)
            if sock is None:
                continue
            connection = Connection(sock, worker)
            with changed:
                connections.add(connection)
            connection.serve()
            with changed:
                connections.discard(connection)
                changed.notify()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for number in range(threads):
        threading.Thread(target=serve, name=f"request-{number + 1}", daemon=True).start()
    while not worker.stopping:
        os.read(signals, 64)
    with changed:
        for connection in connections:
            connection.stop_waiting()
        # Threads that wait in accept end with the process.
        changed.wait_for(lambda: not connections)
