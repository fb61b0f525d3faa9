"""The addresses that left the monolith, and its own page."""

from django.urls import path, re_path

from document_service.views import DocumentDetail, DocumentList
from land.errors import not_found
from land.health import health

urlpatterns = [
    path("api/documents", DocumentList.as_view()),
    path("api/documents/<uuid:pk>", DocumentDetail.as_view()),
    path("health/ready", health),
    re_path("", not_found),
]

handler400 = "land.errors.bad_request"
handler404 = "land.errors.not_found"
handler500 = "land.errors.server_error"
