"""Reads a PostgreSQL URL into Django's database settings.

libpq's own forms are accepted: the host may be in the query (for a socket
directory), and every other query parameter is a connection option.
"""

from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

EXAMPLE = "postgresql://user:password@127.0.0.1:5432/land"


def parse_database_url(url):
    """The keys ENGINE, NAME, USER, PASSWORD, HOST, PORT and OPTIONS."""
    # The URL holds a password, so no message repeats it.
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured(
            f"DATABASE_URL is not a valid URL. It looks like {EXAMPLE}"
        ) from None
    name = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in ("postgres", "postgresql") or not name:
        raise ImproperlyConfigured(
            f"DATABASE_URL must name a PostgreSQL database, for example {EXAMPLE}"
        )

    options = dict(parse_qsl(parts.query))
    host = options.pop("host", None) or unquote(parts.hostname or "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": options.pop("user", None) or unquote(parts.username or ""),
        "PASSWORD": options.pop("password", None) or unquote(parts.password or ""),
        "HOST": host,
        "PORT": options.pop("port", None) or (str(port) if port else ""),
        "OPTIONS": options,
    }
