#!/usr/bin/env python3
"""Hosts one WSGI application (PEP 3333) in this process: START READING HERE.

As a FastCGI worker that listens on descriptor 0, or with --cgi for the one request that the environment
describes. Needs nothing but Python 3.8 and its standard library. Its own modules are in the package
postern_wsgi; the folder it is in never stays on sys.path, so no name is taken from the application.
"""

import os
import sys


def _own_package():
    """Imports what is needed of the package, and leaves no trace of it on the path."""
    own = os.path.dirname(os.path.abspath(__file__))
    path = [entry for entry in sys.path if os.path.abspath(entry or ".") != own]
    sys.path[:] = [own, *path]
    try:
        from postern_wsgi import command
    finally:
        sys.path[:] = path
    return command


if __name__ == "__main__":
    sys.exit(_own_package().main(sys.argv[1:]))
