"""Every failure is answered in JSON, also those that DRF does not know."""

import logging

from django.core.exceptions import RequestDataTooBig
from django.http import JsonResponse
from django.http.request import UnreadablePostError
from rest_framework.response import Response
from rest_framework.views import exception_handler

# What PostgreSQL answers to a write where writes are closed: a standby, a
# read-only database, or the fence that stands while contracts move.
READ_ONLY_SQLSTATE = "25006"

logger = logging.getLogger(__name__)


def sqlstate_of(error):
    """The SQLSTATE the server answered, or None. Django wraps the driver's
    error, which is the cause of its own."""
    while error is not None:
        sqlstate = getattr(error, "sqlstate", None)
        if sqlstate:
            return sqlstate
        error = error.__cause__
    return None


def answer_error(error, context):
    """DRF's EXCEPTION_HANDLER."""
    response = exception_handler(error, context)
    if response is not None:
        return response
    if isinstance(error, RequestDataTooBig):
        return Response({"detail": "Request body too large."}, status=413)
    if isinstance(error, UnreadablePostError):
        return Response({"detail": "The request body ended early."}, status=400)
    if sqlstate_of(error) == READ_ONLY_SQLSTATE:
        return Response(
            {"detail": "Writes are closed for a moment. Try again."},
            status=503,
            headers={"Retry-After": "1"},
        )
    request = context["request"]
    logger.error("request failed: %s %s", request.method, request.path, exc_info=error)
    return Response({"detail": "Internal server error."}, status=500)


def bad_request(request, exception=None):
    return JsonResponse({"detail": "Bad request."}, status=400)


def not_found(request, exception=None):
    return JsonResponse({"detail": "Not found."}, status=404)


def server_error(request):
    return JsonResponse({"detail": "Internal server error."}, status=500)


class OnlyWithException(logging.Filter):
    """Passes what Django caught itself; the rest is logged by answer_error."""

    def filter(self, record):
        return bool(record.exc_info)
