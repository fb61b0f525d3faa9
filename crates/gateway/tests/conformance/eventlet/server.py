"""A WSGI application behind eventlet that says whose request it has answered.

Prints its port. A body is read to its end, as frameworks do.
"""

import sys

import eventlet
from eventlet import wsgi


def application(environ, start_response):
    try:
        body = environ["wsgi.input"].read()
    except Exception:
        body = b""
    said = "{} {} {}".format(
        environ["PATH_INFO"], environ.get("HTTP_X_MARK", "-"), len(body)).encode("latin-1", "replace")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(said)))])
    return [said]


listener = eventlet.listen(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
with open("/dev/null", "w") as nowhere:
    wsgi.server(listener, application, log=nowhere, debug=False)
sys.exit(0)
