"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "land.settings")
os.environ.setdefault("APPLICATION_NAME", "land-contracts-web")

application = get_wsgi_application()
