"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "document_service.settings")
os.environ.setdefault("APPLICATION_NAME", "documents-web")

application = get_wsgi_application()
