"""The smallest WSGI application, for HTTP servers of Python behind the servers that are compared."""


def application(environ, start_response):
    body = b"Hello, world\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
