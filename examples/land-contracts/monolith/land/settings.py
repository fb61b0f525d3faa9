"""Settings. Everything that differs between machines comes from the environment."""

import os
import secrets

from django.core.exceptions import ImproperlyConfigured

from land.database_url import EXAMPLE, parse_database_url

DEBUG = os.environ.get("DEBUG", "").lower() in ("1", "true", "yes", "on")

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured("Set DJANGO_SECRET_KEY, or DEBUG=1 to try things out.")
    SECRET_KEY = secrets.token_urlsafe(48)

ALLOWED_HOSTS = [
    host.strip() for host in os.environ.get("ALLOWED_HOSTS", "*").split(",") if host.strip()
]

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework",
    "rest_framework.authtoken",
    "accounts",
    "parties",
    "plots",
    "contracts",
    "documents",
    "signatures",
    "workflow",
]

# The API has no cookies, so there are no sessions and there is nothing for
# CSRF to protect. CommonMiddleware checks the host and sets Content-Length.
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
APPEND_SLASH = False

ROOT_URLCONF = "land.urls"
WSGI_APPLICATION = "land.wsgi.application"

if not os.environ.get("DATABASE_URL"):
    raise ImproperlyConfigured(f"Set DATABASE_URL, for example {EXAMPLE}")

DATABASES = {
    "default": {
        **parse_database_url(os.environ["DATABASE_URL"]),
        # A thread keeps its connection. A broken one is replaced at the start
        # of the next request, because Django checks connections after errors.
        # Unless it is told a number of seconds; 0 is Django's own default.
        "CONN_MAX_AGE": int(os.environ["CONN_MAX_AGE"])
        if "CONN_MAX_AGE" in os.environ
        else None,
        "CONN_HEALTH_CHECKS": False,
        "ATOMIC_REQUESTS": False,
    }
}
DATABASES["default"]["OPTIONS"] = {
    "application_name": os.environ.get("APPLICATION_NAME", "land-contracts"),
    "connect_timeout": 5,
    **DATABASES["default"]["OPTIONS"],
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# A login writes no row of auth_user.
AUTHENTICATION_BACKENDS = ["accounts.backends.WithoutRehash"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Sessions of /auth. The secret is shared with all who believe the tokens.
JWT_SECRET_KEY = os.environ.get("JWT_SECRET_KEY") or SECRET_KEY
JWT_ISSUER = os.environ.get("JWT_ISSUER") or None
JWT_AUDIENCE = os.environ.get("JWT_AUDIENCE") or None
ACCESS_TOKEN_LIFETIME = int(os.environ.get("ACCESS_TOKEN_LIFETIME", "900"))
REFRESH_TOKEN_DAYS = int(os.environ.get("REFRESH_TOKEN_DAYS", "14"))
# Who else issues tokens for our users, and the key that both sides show.
AUTH_SERVICE_URL = os.environ.get("AUTH_SERVICE_URL", "")
AUTH_SERVICE_API_KEY = os.environ.get("AUTH_SERVICE_API_KEY", "")

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["land.http.JSONBody"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "land.http.AlwaysJSON",
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_THROTTLE_CLASSES": [],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_PAGINATION_CLASS": "land.pagination.Pages",
    "EXCEPTION_HANDLER": "land.errors.answer_error",
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
    "DATETIME_INPUT_FORMATS": ["iso-8601"],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "filters": {"with_exception": {"()": "land.errors.OnlyWithException"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": [], "level": "WARNING", "propagate": True},
        # Django would log every 4xx and 503 answer here once more.
        "django.request": {"filters": ["with_exception"]},
    },
}
