"""FastCGI records and name-value pairs (specification sections 3 and 8) as bytes: no sockets here."""

import struct

begin_request, abort_request, end_request, params, stdin, stdout, stderr, data, get_values = range(1, 10)
get_values_result, unknown_type = 10, 11

most_content = 65535

_header = struct.Struct(">BBHHBx")
pack_header = _header.pack
unpack_header = _header.unpack_from
header_size = _header.size

request_complete, cannot_multiplex, overloaded, unknown_role = range(4)


class Malformed(ValueError):
    """Bytes that are not FastCGI."""


def encode_stream(kind, request, content):
    """Records of a stream with this content, which is not empty."""
    size = len(content)
    if size <= most_content:
        return pack_header(1, kind, request, size, 0) + content
    pieces = []
    for at in range(0, size, most_content):
        piece = content[at : at + most_content]
        pieces.append(pack_header(1, kind, request, len(piece), 0))
        pieces.append(piece)
    return b"".join(pieces)


def encode_end(request, app_status, protocol_status):
    """END_REQUEST."""
    return pack_header(1, end_request, request, 8, 0) + struct.pack(">IBxxx", app_status, protocol_status)


def encode_values_result(asked, known):
    """The answer to GET_VALUES: of the names that were asked those that are known (G-47)."""
    content = b"".join(
        bytes((len(name), len(known[name]))) + name.encode() + known[name].encode()
        for name in asked
        if name in known
    )
    return pack_header(1, get_values_result, 0, len(content), 0) + content


def decode_pairs(content, pairs):
    """
    Adds the pairs of `content` to the dict `pairs`, as latin-1 text.

    Raises Malformed when a length leads past the end (G-52).
    """
    text = content.decode("latin-1")
    end = len(content)
    at = 0
    try:
        while at < end:
            name_size = content[at]
            at += 1
            if name_size > 127:
                name_size = int.from_bytes(content[at - 1 : at + 3], "big") & 0x7FFFFFFF
                at += 3
            value_size = content[at]
            at += 1
            if value_size > 127:
                value_size = int.from_bytes(content[at - 1 : at + 3], "big") & 0x7FFFFFFF
                at += 3
            value_at = at + name_size
            at = value_at + value_size
            pairs[text[value_at - name_size : value_at]] = text[value_at:at]
    except IndexError:
        raise Malformed("a name-value pair is cut off") from None
    if at != end:
        raise Malformed("a name-value pair leads past the end")
