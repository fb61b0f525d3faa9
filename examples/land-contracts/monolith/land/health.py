"""Answers whether this process can reach its database."""

from django.db import Error, connection
from rest_framework.decorators import api_view
from rest_framework.response import Response


@api_view(["GET"])
def health(request):
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        # Without this a connection that died unnoticed would be asked again.
        connection.close()
        return Response({"status": "unavailable"}, status=503)
    return Response({"status": "ok"})
