"""A request body that is still on its way: read piece by piece, never past its CONTENT_LENGTH.

What is already whole is an io.BytesIO and does not come here. Holds one piece, of at most one record.
"""

import io


class BodyTooShort(OSError):
    """The body ended before its CONTENT_LENGTH: an update must not be committed (FastCGI 6.2, G-53)."""


class Body(io.RawIOBase):
    """The raw stream below an io.BufferedReader; `next_piece` gives bytes, and b"" at the end."""

    def __init__(self, next_piece, piece, length):
        super().__init__()
        self._next_piece = next_piece
        self._piece = memoryview(piece)
        # Bytes that are missing; None: up to the end of the stream.
        self._missing = length

    def readable(self):
        """For io.BufferedReader."""
        return True

    def readinto(self, target):
        """Waits for the next piece; 0 at the end."""
        if self._missing == 0:
            return 0
        if not self._piece:
            if self._next_piece is None:
                raise ValueError("the request is over")
            self._piece = memoryview(self._next_piece())
            if not self._piece:
                return self._at_end()
        size = min(len(target), len(self._piece))
        if self._missing is not None:
            size = min(size, self._missing)
            self._missing -= size
        target[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        return size

    def end(self):
        """The request is over: nothing is read for it any more."""
        self._next_piece = None

    def _at_end(self):
        if self._missing is None:
            self._missing = 0
            return 0
        raise BodyTooShort(f"the request body ended {self._missing} bytes before its CONTENT_LENGTH")
