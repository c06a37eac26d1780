"""Records of one connection as they come, whichever way the bytes were cut.

What grows: bytes that were read and not used, at most one record and `most_unread`.
"""

import socket

from postern_wsgi.record import Malformed, unpack_header

recv_size = 65536
# With so much waiting `receive_now` reads no more.
most_unread = 65536

# BEGIN_REQUEST of request 1, a responder on a connection that is kept, and a PARAMS header up to its length.
_small_beginning = bytes.fromhex("0101000100080000 0001010000000000 01040001")
# The ends of PARAMS and STDIN.
_small_end = bytes.fromhex("0104000100000000 0105000100000000")


class RecordReader:
    """Reads from `sock`; blocks until there is a record or the end."""

    __slots__ = ("idle", "_recv", "_data", "_at")

    def __init__(self, sock):
        # Nothing has come of a next request; whoever reads one to its end sets it again.
        self.idle = True
        self._recv = sock.recv
        # Bytes that were read, and how far they are used.
        self._data = b""
        self._at = 0

    def small_request(self):
        """
        The encoded variables of request 1, when one recv brings a whole request without a body, as it mostly does:
        all of its records at a glance. None: whatever was received waits for `next`.
        """
        if self._at < len(self._data):
            return None
        self._at = 0
        self._data = data = self._recv(recv_size)
        if not (data.startswith(_small_beginning) and data.endswith(_small_end)):
            return None
        size = data[20] << 8 | data[21]
        if size == 0 or len(data) != 24 + size + data[22] + len(_small_end):
            return None
        self.idle = False
        self._at = len(data)
        return data[24 : 24 + size]

    def next(self):
        """Type, id and content of the next record; None at the end of the connection. Raises Malformed."""
        data, at = self._data, self._at
        while len(data) - at < 8:
            received = self._recv(recv_size)
            if not received:
                return None
            data = data[at:] + received if at < len(data) else received
            at = 0
        self.idle = False
        version, kind, request, size, padding = unpack_header(data, at)
        if version != 1:
            raise Malformed(f"a record of version {version}")
        content_at = at + 8
        end = content_at + size + padding
        if end > len(data):
            data = self._rest(data[at:], end - len(data))
            if data is None:
                return None
            end -= at
            content_at = 8
        self._data = data
        self._at = end
        return kind, request, data[content_at : content_at + size]

    def has_record(self):
        """Whether `next` has one at hand."""
        data, at = self._data, self._at
        if len(data) - at < 8:
            return False
        _, _, _, size, padding = unpack_header(data, at)
        return len(data) - at >= 8 + size + padding

    def receive_now(self):
        """Takes in what has come, without waiting; False at the end of the connection."""
        if len(self._data) - self._at > most_unread:
            return True
        try:
            received = self._recv(recv_size, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        self._data = self._data[self._at :] + received
        self._at = 0
        return received != b""

    def _rest(self, beginning, missing):
        pieces = [beginning]
        while missing > 0:
            received = self._recv(recv_size)
            if not received:
                return None
            pieces.append(received)
            missing -= len(received)
        return b"".join(pieces)
