"""A Django with users, for the tests.

monolith.py migrate                      its tables, in the schema public
monolith.py create NAME EMAIL PASSWORD   JSON: the new user's number
monolith.py authenticate NAME PASSWORD   JSON: the user's number, or null

The database is in DATABASE_URL.
"""

import json
import os
import sys
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings

url = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": url.hostname,
            "PORT": url.port,
            "NAME": url.path.lstrip("/"),
            "USER": url.username,
            "PASSWORD": unquote(url.password or ""),
        }
    },
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    USE_TZ=True,
)
django.setup()

from django.contrib.auth import authenticate  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402


def migrate():
    call_command("migrate", verbosity=0)


def create(name, email, password):
    return User.objects.create_user(name, email, password).pk


def known(name, password):
    user = authenticate(username=name, password=password)
    return user and user.pk


commands = {"migrate": migrate, "create": create, "authenticate": known}
print(json.dumps(commands[sys.argv[1]](*sys.argv[2:])))
