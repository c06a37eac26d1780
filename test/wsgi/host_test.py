"""The host's own parts without a web server: records cut at every byte, heads, bodies, loading.

Run by test/wsgi/host.test.ts with the folder of the host as its argument; bytes are written by hand.
"""

import argparse
import os
import socket
import sys
import tempfile
import textwrap
import threading
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv.pop(1))

from postern_wsgi import record  # noqa: E402
from postern_wsgi.body import Body, BodyTooShort  # noqa: E402
from postern_wsgi.errors import Errors, most_waiting  # noqa: E402
from postern_wsgi.fastcgi import Connection, most_params  # noqa: E402
from postern_wsgi.head import make_head  # noqa: E402
from postern_wsgi.loading import CannotLoad, load_application  # noqa: E402
from postern_wsgi.server import Worker  # noqa: E402

BEGIN_KEEP = bytes.fromhex("0101000100080000 0001010000000000")
BEGIN_CLOSE = bytes.fromhex("0101000100080000 0001000000000000")
# {REQUEST_METHOD: GET, QUERY_STRING: ""}, 33 bytes and 7 of padding (conventions G).
PARAMS = (
    bytes.fromhex("0104000100210700 0e03") + b"REQUEST_METHODGET" + bytes.fromhex("0c00") + b"QUERY_STRING" + bytes(7)
)
PARAMS_END = bytes.fromhex("0104000100000000")
STDIN_END = bytes.fromhex("0105000100000000")
ABORT = bytes.fromhex("0102000100000000")
STDOUT_END = bytes.fromhex("0106000100000000")
END = bytes.fromhex("0103000100080000 0000000000000000")
REQUEST = BEGIN_KEEP + PARAMS + PARAMS_END + STDIN_END

HELLO_HEAD = b"Status: 200 OK\r\nX-Method: GET\r\nContent-Length: 2\r\n\r\n"
HELLO = bytes((1, 6, 0, 1, 0, len(HELLO_HEAD) + 2, 0, 0)) + HELLO_HEAD + b"hi" + STDOUT_END + END


def hello(environ, start_response):
    environ["wsgi.input"].read()
    start_response("200 OK", [("X-Method", environ["REQUEST_METHOD"])])
    return [b"hi"]


def stdin(content):
    return bytes((1, 5, 0, 1)) + len(content).to_bytes(2, "big") + bytes(2) + content


class Peer:
    """The web server's end of one connection; the host serves the other one in a thread."""

    def __init__(self, application=hello, strict=False, threads=1):
        options = argparse.Namespace(dev=strict, threads=threads, processes=2)
        self.worker = Worker(application, options)
        self.complaints = []
        self.worker.complain = self.complaints.append
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(10)
        self.thread = threading.Thread(target=Connection(theirs, self.worker).serve)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.thread.join(10)

    def send(self, *messages):
        for message in messages:
            self.socket.sendall(message)

    def send_doomed(self, *messages):
        """What the host may refuse to read to its end."""
        try:
            self.send(*messages)
        except OSError:
            pass

    def receive(self, size):
        received = b""
        while len(received) < size:
            block = self.socket.recv(size - len(received))
            if not block:
                break
            received += block
        return received

    def rest(self):
        received = b""
        while True:
            try:
                block = self.socket.recv(65536)
            except ConnectionResetError:
                # It has closed without reading all of what was sent; what it had said before is still there.
                continue
            if not block:
                return received
            received += block


class Records(unittest.TestCase):
    def test_a_request_cut_at_every_byte(self):
        for at in range(1, len(REQUEST)):
            with Peer() as peer:
                peer.send(REQUEST[:at], REQUEST[at:])
                self.assertEqual(peer.receive(len(HELLO)), HELLO, at)

    def test_byte_by_byte_and_several_on_one_connection(self):
        with Peer() as peer:
            peer.send(*(REQUEST[at : at + 1] for at in range(len(REQUEST))))
            self.assertEqual(peer.receive(len(HELLO)), HELLO)
            peer.send(REQUEST + REQUEST)
            self.assertEqual(peer.receive(2 * len(HELLO)), HELLO + HELLO)

    def test_G42_without_keep_conn_it_closes(self):
        with Peer() as peer:
            peer.send(BEGIN_CLOSE + PARAMS + PARAMS_END + STDIN_END)
            self.assertEqual(peer.rest(), HELLO)

    def test_G2_pairs_that_straddle_records(self):
        content = PARAMS[8:-7]
        for at in range(1, len(content)):
            parts = [bytes((1, 4, 0, 1, 0, len(part), 0, 0)) + part for part in (content[:at], content[at:])]
            with Peer() as peer:
                peer.send(BEGIN_KEEP, *parts, PARAMS_END, STDIN_END)
                self.assertEqual(peer.receive(len(HELLO)), HELLO, at)

    def test_lengths_of_127_and_128(self):
        for size, encoded in ((127, b"\x7f"), (128, b"\x80\x00\x00\x80"), (65535, b"\x80\x00\xff\xff")):
            pairs = {}
            record.decode_pairs(encoded + b"\x01" + b"n" * size + b"v", pairs)
            record.decode_pairs(b"\x01" + encoded + b"m" + b"w" * size, pairs)
            self.assertEqual(pairs, {"n" * size: "v", "m": "w" * size})

    def test_G52_malformed_pairs_end_the_request_and_the_connection(self):
        for content in (b"\x05\x01abc", b"\x05", b"\x80\x00", b"\xff\xff\xff\xff\x01a"):
            with self.assertRaises(record.Malformed):
                record.decode_pairs(content, {})
            params = bytes((1, 4, 0, 1, 0, len(content), 0, 0)) + content
            with Peer() as peer:
                peer.send_doomed(BEGIN_KEEP, params, PARAMS_END, STDIN_END)
                self.assertEqual(peer.rest(), END)
                peer.thread.join(10)
                self.assertEqual(len(peer.complaints), 1)

    def test_garbage_closes_the_connection(self):
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", bytes((2, 1, 0, 1, 0, 8, 0, 0)) + bytes(8)):
            with Peer() as peer:
                peer.send_doomed(garbage)
                self.assertEqual(peer.rest(), b"")
                peer.thread.join(10)
                self.assertEqual(len(peer.complaints), 1)

    def test_G44_an_id_that_is_in_use(self):
        with Peer() as peer:
            peer.send_doomed(BEGIN_KEEP, BEGIN_KEEP)
            self.assertEqual(peer.rest(), b"")

    def test_G43_no_second_request_beside_the_first(self):
        second = bytes.fromhex("0101000200080000 0001010000000000")
        with Peer() as peer:
            peer.send(BEGIN_KEEP, second)
            self.assertEqual(peer.receive(16), bytes.fromhex("0103000200080000 0000000001000000"))
            peer.send(PARAMS, PARAMS_END, STDIN_END)
            self.assertEqual(peer.receive(len(HELLO)), HELLO)

    def test_G45_other_roles(self):
        with Peer() as peer:
            peer.send(bytes.fromhex("0101000100080000 0002010000000000"))
            self.assertEqual(peer.receive(16), bytes.fromhex("0103000100080000 0000000003000000"))
            peer.send(REQUEST)
            self.assertEqual(peer.receive(len(HELLO)), HELLO)

    def test_G47_G48_management(self):
        with Peer(threads=3) as peer:
            asked = b"\x0e\x00FCGI_MAX_CONNS\x0f\x00FCGI_MPXS_CONNS\x01\x00X"
            peer.send(bytes((1, 9, 0, 0, 0, len(asked), 0, 0)) + asked)
            known = b"\x0e\x01FCGI_MAX_CONNS3\x0f\x01FCGI_MPXS_CONNS0"
            self.assertEqual(peer.receive(8 + len(known)), bytes((1, 10, 0, 0, 0, len(known), 0, 0)) + known)
            peer.send(bytes.fromhex("012a000000000000"))
            self.assertEqual(peer.receive(16), bytes.fromhex("010b000000080000 2a00000000000000"))

    def test_G49_abort_before_and_during_the_answer(self):
        closed = []

        def endless(_environ, start_response):
            start_response("200 OK", [])
            try:
                while True:
                    yield b"x"
            finally:
                closed.append(True)

        with Peer() as peer:
            peer.send(BEGIN_KEEP, ABORT)
            self.assertEqual(peer.receive(16), END)
            peer.send(REQUEST)
            self.assertEqual(peer.receive(len(HELLO)), HELLO)
        with Peer(endless) as peer:
            peer.send(REQUEST)
            peer.receive(1000)
            peer.send(ABORT)
            received = b""
            while not received.endswith(bytes.fromhex("0103000100080000 0000000100000000")):
                received = received[-16:] + peer.receive(1)
            self.assertEqual(closed, [True])

    def test_G50_what_is_left_of_a_body_is_dropped(self):
        def deaf(_environ, start_response):
            start_response("200 OK", [("X-Method", "GET")])
            return [b"hi"]

        with Peer(deaf) as peer:
            peer.send(BEGIN_KEEP, PARAMS, PARAMS_END, stdin(b"a" * 1000))
            self.assertEqual(peer.receive(len(HELLO)), HELLO)
            peer.send(stdin(b"b" * 1000), STDIN_END, REQUEST)
            self.assertEqual(peer.receive(len(HELLO)), HELLO)

    def test_G54_a_large_block_is_several_records(self):
        def large(_environ, start_response):
            start_response("200 OK", [])
            return [b"y" * 3_000_000]

        with Peer(large) as peer:
            peer.send(BEGIN_CLOSE + PARAMS + PARAMS_END + STDIN_END)
            received, content, at = peer.rest(), b"", 0
            while received[at + 1] == 6:
                size = int.from_bytes(received[at + 4 : at + 6], "big")
                content += received[at + 8 : at + 8 + size]
                at += 8 + size
            self.assertEqual(received[at:], END)
            self.assertEqual(content.partition(b"\r\n\r\n")[2], b"y" * 3_000_000)

    def test_params_have_a_limit(self):
        def deaf(_environ, start_response):
            start_response("200 OK", [("X-Method", "GET")])
            return [b"hi"]

        for excess, answer in ((0, HELLO), (1, END)):
            value = most_params - 9 + excess
            pair = b"\x80\x00\x00\x01" + (value | 0x80000000).to_bytes(4, "big") + b"N" + b"v" * value
            self.assertEqual(len(pair), most_params + excess)
            records = []
            for at in range(0, len(pair), 65535):
                part = pair[at : at + 65535]
                records.append(bytes((1, 4, 0, 1)) + len(part).to_bytes(2, "big") + bytes(2) + part)
            with Peer(deaf) as peer:
                peer.send_doomed(BEGIN_KEEP, *records, PARAMS_END, STDIN_END)
                self.assertEqual(peer.receive(len(answer)), answer)

    def test_I10_no_length_is_made_up_for_two_blocks(self):
        def two(_environ, start_response):
            start_response("200 OK", [])
            return [b"a", b"b"]

        with Peer(two) as peer:
            peer.send(BEGIN_CLOSE + PARAMS + PARAMS_END + STDIN_END)
            self.assertNotIn(b"Content-Length", peer.rest())

    def test_I14_an_answer_of_unknown_length_is_broken_off_by_the_end_of_the_connection(self):
        def broken(_environ, start_response):
            start_response("200 OK", [])
            yield b"a"
            raise RuntimeError

        with Peer(broken) as peer:
            peer.send(REQUEST)
            received = peer.rest()
            self.assertNotIn(STDOUT_END, received)
            self.assertTrue(received.endswith(bytes.fromhex("0103000100080000 0000000100000000")))


class Heads(unittest.TestCase):
    def test_statuses(self):
        for status in ("200 OK", "200 ", "404", "599 A B\tC", "418 \xe9"):
            self.assertIn(status.encode("latin-1"), make_head(status, [], True).text)
        for status in ("", "20", "2000", "100 Continue", "abc OK", "200 a\nb", "200 a\rb", "200 \x7f", b"200 OK"):
            with self.assertRaises((ValueError, TypeError), msg=repr(status)):
                make_head(status, [], True)

    def test_headers_that_are_none(self):
        for name, value in (
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("a\n", "x"),
            ("\xe9", "x"),
            (b"A", "x"),
            ("A", b"x"),
            ("A", 1),
            ("A", "x\r\nB: y"),
            ("A", "x\n"),
            ("A", "x\ry"),
            ("A", "x\0"),
            ("A", "\u20ac"),
            ("Content-Length", "-1"),
            ("Content-Length", "1_0"),
            ("Content-Length", "\u0661"),
            ("Connection", "close"),
            ("transfer-encoding", "chunked"),
            ("Status", "200"),
        ):
            with self.assertRaises((ValueError, TypeError), msg=f"{name!r}: {value!r}"):
                make_head("200 OK", [(name, value)], True)

    def test_hop_by_hop_is_left_out_otherwise(self):
        head = make_head("200 OK", [("Connection", "close"), ("A", "b")], False)
        self.assertEqual(head.text, b"Status: 200 OK\r\nA: b\r\n")

    def test_lengths(self):
        self.assertEqual(make_head("200 OK", [("content-length", "12")], True).length, 12)
        self.assertEqual(make_head("200 OK", [("Content-Length", "3")] * 2, True).length, 3)
        with self.assertRaises(ValueError):
            make_head("200 OK", [("Content-Length", "3"), ("content-length", "4")], True)


class Bodies(unittest.TestCase):
    def body(self, pieces, length):
        pieces = iter([*pieces, b""])
        return Body(lambda: next(pieces), b"", length)

    def test_it_ends_at_its_length(self):
        self.assertEqual(self.body([b"abc", b"defgh"], 5).readall(), b"abcde")
        self.assertEqual(self.body([], 0).readall(), b"")
        self.assertEqual(self.body([b"abc", b"de"], None).readall(), b"abcde")

    def test_one_that_is_too_short(self):
        with self.assertRaises(BodyTooShort):
            self.body([b"abc"], 4).readall()

    def test_after_the_request(self):
        body = self.body([b"abc"], 3)
        body.end()
        with self.assertRaises(ValueError):
            body.read(1)


class ErrorStreams(unittest.TestCase):
    def test_lines_and_flush(self):
        sent = []
        errors = Errors(sent.append)
        errors.write("a")
        self.assertEqual(sent, [])
        errors.write("b\n")
        errors.write("c")
        errors.flush()
        errors.flush()
        errors.write("\ud800\n")
        self.assertEqual(sent, [b"ab\n", b"c", b"\\ud800\n"])
        with self.assertRaises(TypeError):
            errors.write(b"bytes")

    def test_what_waits_has_a_limit(self):
        sent = []
        errors = Errors(sent.append)
        errors.write("x" * most_waiting)
        self.assertEqual(sent, [])
        errors.write("x")
        self.assertEqual(sent, [b"x" * (most_waiting + 1)])


class Loading(unittest.TestCase):
    def load(self, source, spec):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "loaded.py"), "w", encoding="utf-8") as file:
                file.write(textwrap.dedent(source))
            sys.path.insert(0, folder)
            try:
                return load_application(spec)
            finally:
                sys.path.remove(folder)
                sys.modules.pop("loaded", None)

    def test_what_is_found(self):
        self.assertEqual(self.load("def app(): pass", "loaded:app").__name__, "app")
        self.assertEqual(self.load("class a:\n  def b(): pass", "loaded:a.b").__name__, "b")

    def test_I16_what_is_missing(self):
        with self.assertRaisesRegex(CannotLoad, "loaded has no aplication. Did you mean loaded:application"):
            self.load("def application(): pass\ndef other(): pass", "loaded:aplication")
        with self.assertRaisesRegex(CannotLoad, "What can be called there: other"):
            self.load("def other(): pass", "loaded:zzz")
        with self.assertRaisesRegex(CannotLoad, "of type int, which cannot be called. Nothing"):
            self.load("app = 3", "loaded:app")

    def test_I15_what_cannot_be_imported(self):
        with self.assertRaisesRegex(CannotLoad, r"(?s)loaded.py.*line 2.*ZeroDivisionError.*cannot be imported") as caught:
            self.load("def f():\n  return 1 / 0\nf()", "loaded:app")
        self.assertNotIn("importlib", str(caught.exception))
        with self.assertRaisesRegex(CannotLoad, "no nowhere_to_be_found.py"):
            self.load("", "nowhere_to_be_found:app")
        with self.assertRaisesRegex(CannotLoad, "SyntaxError"):
            self.load("def", "loaded:app")
        with self.assertRaisesRegex(CannotLoad, "SystemExit"):
            self.load("import sys; sys.exit(0)", "loaded:app")


if __name__ == "__main__":
    unittest.main()
