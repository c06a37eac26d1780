"""The smallest WSGI application: what uWSGI runs behind every server of the suite `sockets`."""


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world\n"]
