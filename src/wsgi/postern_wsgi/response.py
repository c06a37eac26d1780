"""One run of the application: start_response, write, the iterable, and everything that can go wrong with them.

Knows PEP 3333 and no protocol: bytes go to a channel (`fastcgi.Connection`, `cgi.Output`). Nothing is collected: each
block is sent before the next is asked for. What a channel has:

- send(data), finish(data): some of the answer, the last of it;
- done(): the application is done with the request; conclude(data): finish and done at once;
- abandon(): it is not whole and never will be;
- check(): raises ClientLeft when nobody wants it any more, as all of them may.
"""

import sys
import traceback

from postern_wsgi.head import make_head


class ClientLeft(ConnectionError):
    """Nobody wants the answer any more."""


class FileWrapper:
    """wsgi.file_wrapper: a file in blocks, with or without a descriptor behind it (I-13)."""

    # At least so much at a time: small blocks only cost system calls.
    least_block = 256 * 1024

    def __init__(self, filelike, block_size=8192):
        self._read = filelike.read
        self._block_size = max(block_size, self.least_block)
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self):
        return self

    def __next__(self):
        block = self._read(self._block_size)
        if not block:
            raise StopIteration
        return block


_failure_body = b"The application failed.\n"
_failure_head = (
    b"Status: 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
    % len(_failure_body)
)


class Response:
    """The answer to one request; `run` is called once."""

    __slots__ = ("_channel", "_errors", "_strict", "_head", "_sent", "_room", "_is_head", "_no_body", "_finished")

    def __init__(self, channel, errors, strict, is_head):
        self._channel = channel
        self._errors = errors
        self._strict = strict
        self._head = None
        self._sent = False
        # Bytes that may still come by the declared Content-Length; None: any number.
        self._room = None
        self._is_head = is_head
        self._no_body = is_head
        # STDOUT has ended: nothing more of the body may come.
        self._finished = False

    def run(self, application, environ):
        """Calls the application and sends what it says; raises nothing."""
        try:
            result = application(environ, self.start_response)
            kind = type(result)
            if kind is list or kind is tuple:
                self._send_list(result)
            else:
                self._send_blocks(result)
        except ClientLeft:
            self._channel.abandon()
        except BaseException:
            self._fail()

    def start_response(self, status, headers, exc_info=None):
        """PEP 3333; checks what it is given, so that the traceback shows who said it (I-6, I-11)."""
        if exc_info is not None:
            try:
                if self._sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._head is not None:
            raise AssertionError("start_response was called before, and this call has no exc_info")
        head = make_head(status, headers, self._strict)
        self._head = head
        self._room = head.length
        if head.bodiless:
            self._no_body = True
        return self.write

    def write(self, data):
        """The callable that start_response gives: sends at once."""
        if not isinstance(data, bytes):
            raise TypeError(f"write wants bytes, not {type(data).__name__}")
        if data:
            self._send_block(data)

    def _send_list(self, blocks):
        """All blocks are there already: one message, and with one block its length is known (I-10)."""
        if len(blocks) == 1:
            body = blocks[0]
            if type(body) is not bytes:
                self._refuse_type(body)
        else:
            try:
                body = b"".join(blocks)
            except TypeError:
                for block in blocks:
                    self._refuse_type(block)
                raise
        if self._sent:
            if body:
                self._send_block(body)
            self._finish()
            self._channel.done()
        else:
            self._send_whole(body, len(blocks) == 1, self._channel.conclude)

    def _send_whole(self, body, infer, send):
        head = self._head
        if head is None:
            raise AssertionError("the application did not call start_response")
        text = head.text
        if head.length is not None:
            size = len(body)
            if size != head.length and not self._no_body:
                if size < head.length:
                    self._sent = True
                    self._room -= size
                    self._channel.send(text + b"\r\n" + body)
                    raise ValueError(self._short())
                self._warn_excess(size - head.length)
                body = body[: head.length]
        elif infer and not head.bodiless and (body or not self._is_head):
            text += b"Content-Length: %d\r\n" % len(body)
        self._sent = self._finished = True
        send(text + b"\r\n" if self._no_body else text + b"\r\n" + body)

    def _send_blocks(self, result):
        """Block by block; close() is called whatever happens (I-8)."""
        try:
            count = _length_of(result)
            for block in result:
                if not isinstance(block, bytes):
                    self._refuse_type(block)
                if not block:
                    self._channel.check()
                    continue
                if count == 1 and not self._sent:
                    self._infer_length(len(block))
                self._send_block(block)
                if self._no_body:
                    # Nobody wants to see more of it (I-12).
                    break
            self._finish()
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        self._channel.done()

    def _infer_length(self, size):
        head = self._head
        if head is None or head.length is not None or head.bodiless:
            return
        head.text += b"Content-Length: %d\r\n" % size
        head.length = self._room = size

    def _send_block(self, block):
        channel = self._channel
        if self._finished:
            if not self._no_body:
                self._warn_excess(len(block))
            channel.check()
            return
        room = self._room
        whole = False
        if room is not None and not self._no_body:
            size = len(block)
            if size > room:
                self._warn_excess(size - room)
                block = block[:room]
                size = room
            self._room = room - size
            whole = size == room
        if self._sent:
            channel.check()
        else:
            head = self._head
            if head is None:
                raise AssertionError("data before start_response was called")
            self._sent = True
            if self._no_body:
                whole = True
                block = head.text + b"\r\n"
            else:
                block = head.text + b"\r\n" + block
        if whole:
            self._finished = True
            channel.finish(block)
        else:
            channel.send(block)

    def _finish(self):
        """The application has no more to say."""
        if self._finished:
            return
        if not self._sent:
            self._send_whole(b"", False, self._channel.finish)
            return
        if self._room is not None and self._room > 0 and not self._no_body:
            raise ValueError(self._short())
        self._finished = True
        self._channel.finish(b"")

    def _fail(self):
        """I-14: a 500 as long as nothing was sent; afterwards the answer is broken off."""
        kind, error, trace = sys.exc_info()
        frames = trace and trace.tb_next
        try:
            self._errors.write("".join(traceback.format_exception(kind, error, frames)))
            self._errors.flush()
            if self._sent:
                if self._finished:
                    self._channel.done()
                else:
                    self._channel.abandon()
                return
            self._sent = self._finished = True
            self._channel.conclude(_failure_head + (b"" if self._is_head else _failure_body))
        except OSError:
            self._channel.abandon()
        finally:
            # No cycle of frame and traceback that would wait for the collector.
            del error, trace, frames

    def _short(self):
        declared = self._head.length
        return (
            f"the body is shorter than its Content-Length: {declared - self._room} of {declared} bytes; "
            "the answer is broken off"
        )

    def _warn_excess(self, count):
        self._errors.write(
            f"the body is longer than its Content-Length of {self._head.length}: {count} bytes were cut off\n"
        )

    @staticmethod
    def _refuse_type(block):
        if not isinstance(block, bytes):
            raise TypeError(f"the application gave {type(block).__name__} where a body has bytes")


def _length_of(result):
    try:
        return len(result)
    except (TypeError, AttributeError, NotImplementedError):
        return None
