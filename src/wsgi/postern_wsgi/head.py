"""The head of a response as CGI text, from what the application said to start_response.

Refuses what would be no head: line ends, names that are none, other types than str. The tables hold at most
`most_known` entries: applications have few header names and statuses, and whoever makes them up pays for it.
"""

import re

most_known = 1024

_ordinary, _length, _hop, _bad = range(4)

# RFC 9110 section 7.6.1, and Status, which is ours to say (PEP 3333 forbids it).
_hop_by_hop = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    "transfer-encoding upgrade status".split()
)
_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_status = re.compile(r"[2-9][0-9][0-9](?: [^\x00-\x08\x0a-\x1f\x7f]*)?\Z")

_kinds = {}
_status_lines = {}


class Head:
    """Text of a head without its last line end, and what it means for the body."""

    __slots__ = ("text", "length", "bodiless")

    def __init__(self, text, length, bodiless):
        self.text = text
        self.length = length
        self.bodiless = bodiless


def make_head(status, headers, strict):
    """
    The Head of `status` and `headers` (PEP 3333).

    `strict`: hop-by-hop fields are an error (I-11); otherwise they are left out. Raises TypeError and ValueError.
    """
    line = _status_lines.get(status) if type(status) is str else None
    if line is None:
        line = _make_status_line(status)
    length = None
    lines = [line]
    kinds = _kinds
    for name, value in headers:
        try:
            kind = kinds[name]
        except (KeyError, TypeError):
            kind = _kind_of(name)
        if kind:
            if kind is _length:
                length = _read_length(value, length)
            elif strict or kind is _bad:
                raise ValueError(_fault(name, kind))
            else:
                continue
        try:
            lines.append(name + ": " + value + "\r\n")
        except TypeError:
            raise TypeError(f"the value of the header {name} is no str: {value!r}") from None
    text = "".join(lines)
    count = len(lines)
    if text.count("\n") != count or text.count("\r") != count or "\0" in text:
        raise ValueError(_line_end_in(headers))
    return Head(_encoded(text), length, status.startswith(("204", "304")))


def _make_status_line(status):
    if not isinstance(status, str):
        raise TypeError(f"the status is no str: {status!r}")
    if _status.match(status) is None:
        raise ValueError(f"not a status of a response such as '200 OK': {status!r}")
    line = f"Status: {status}\r\n"
    if len(_status_lines) < most_known:
        _status_lines[status] = line
    return line


def _kind_of(name):
    if not isinstance(name, str):
        raise TypeError(f"a header name is no str: {name!r}")
    lower = name.lower()
    if _token.match(name) is None:
        kind = _bad
    elif lower in _hop_by_hop:
        kind = _hop
    else:
        kind = _length if lower == "content-length" else _ordinary
    if len(_kinds) < most_known:
        _kinds[name] = kind
    return kind


def _read_length(value, earlier):
    if not isinstance(value, str) or not (value.isascii() and value.isdigit()):
        raise ValueError(f"Content-Length is no number of bytes: {value!r}")
    length = int(value)
    if earlier is not None and earlier != length:
        raise ValueError(f"two different Content-Length headers: {earlier} and {length}")
    return length


def _fault(name, kind):
    if kind is _hop:
        return f"the header {name} belongs to the server, not to an application (PEP 3333)"
    return f"not a header name: {name!r}"


def _line_end_in(headers):
    for name, value in headers:
        if any(character in value for character in "\r\n\0"):
            return f"a line end or NUL in the value of the header {name}: {value!r}"
    return "a line end in a header"


def _encoded(text):
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        character = text[error.start : error.end]
        raise ValueError(f"status and headers have to be latin-1: {character!r}") from None
