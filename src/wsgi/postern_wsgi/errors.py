"""wsgi.errors of one request: text that goes out line by line, so that it gets the request's id in the log.

What is not a whole line yet waits for its end, for flush or for `most_waiting` characters. After the
request (an application may keep it) everything goes to the stderr of the process.
"""

import sys

most_waiting = 8192


class Errors:
    """A text stream that is only written to (PEP 3333)."""

    __slots__ = ("_send", "_waiting")

    encoding = "utf-8"

    def __init__(self, send):
        self._send = send
        self._waiting = ""

    def write(self, text):
        """Takes a str; gives its length."""
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")
        waiting = self._waiting + text
        if "\n" in text or len(waiting) > most_waiting:
            self._waiting = ""
            self._pass_on(waiting)
        else:
            self._waiting = waiting
        return len(text)

    def writelines(self, lines):
        """Writes each of them."""
        self.write("".join(lines))

    def flush(self):
        """Sends what waits."""
        if self._waiting:
            waiting, self._waiting = self._waiting, ""
            self._pass_on(waiting)

    def end(self):
        """The request is over."""
        try:
            self.flush()
        except OSError:
            # Nobody is there to read it.
            pass
        self._send = None

    def _pass_on(self, text):
        if self._send is None:
            sys.stderr.write(text)
        else:
            self._send(text.encode("utf-8", "backslashreplace"))
