"""The command line of host.py, and the way from it to a running application.

Exit status: 0 after TERM, 2 for a mistake on the command line, 4 when the application cannot be loaded (the
traceback is on stderr then).
"""

import argparse
import os
import sys

from postern_wsgi.loading import CannotLoad, load_application

not_loaded = 4


def main(words):
    """Hosts the application that `words` name; gives the exit status."""
    application = os.environ.pop("POSTERN_WSGI_APPLICATION", None)
    # The arguments of a CGI program may be the client's own words (RFC 3875 section 4.4).
    options = _parser().parse_args(words if application is None else _cgi_words(application))
    directory = os.path.abspath(options.directory)
    os.chdir(directory)
    sys.path.insert(0, directory)
    sys.argv = [options.application]
    # What is printed is for the log, and at once; as a CGI program stdout is the answer's alone.
    sys.stdout.reconfigure(line_buffering=True)
    sys.stderr.reconfigure(line_buffering=True)
    if options.cgi:
        sys.stdout = sys.stderr
        from postern_wsgi import cgi as mode
    else:
        from postern_wsgi import server as mode
    try:
        application = load_application(options.application)
    except CannotLoad as error:
        sys.stderr.write(f"{error}\n")
        return not_loaded
    return mode.run(application, options)


def _parser():
    parser = argparse.ArgumentParser(
        prog="host.py",
        description="Hosts a WSGI application: FastCGI on descriptor 0, or one CGI request.",
    )
    parser.add_argument("application", help="module:callable")
    parser.add_argument(
        "--directory", default=".", help="working directory and first on sys.path"
    )
    parser.add_argument("--threads", type=_whole, default=1, help="requests at once")
    parser.add_argument(
        "--processes", type=_whole, default=2, help="how many processes there are: wsgi.multiprocess"
    )
    parser.add_argument("--dev", action="store_true", help="be strict with the application")
    parser.add_argument("--cgi", action="store_true", help="one request, as a CGI program")
    return parser


def _cgi_words(application):
    words = [application, "--cgi", "--directory", os.environ.pop("POSTERN_WSGI_DIRECTORY", ".")]
    if os.environ.pop("POSTERN_WSGI_DEV", None):
        words.append("--dev")
    return words


def _whole(text):
    number = int(text)
    if not 1 <= number <= 1024:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 1024, got {text}")
    return number
