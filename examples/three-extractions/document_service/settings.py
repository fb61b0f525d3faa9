"""The monolith's settings, as far as they are not about the monolith."""

import os

from land.settings import *  # noqa: F403

INSTALLED_APPS = ["rest_framework", "document_service"]
ROOT_URLCONF = "document_service.urls"
WSGI_APPLICATION = "document_service.wsgi.application"
REST_FRAMEWORK = {**REST_FRAMEWORK, "UNAUTHENTICATED_USER": None}  # noqa: F405

# Who knows which contracts there are.
CONTRACTS_URL = os.environ["CONTRACTS_URL"]
