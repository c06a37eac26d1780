"""What host.py is made of: a WSGI server (PEP 3333) that speaks FastCGI or CGI, for Python 3.8 and later."""
