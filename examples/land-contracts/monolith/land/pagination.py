"""Numbered pages: `{"count", "next", "previous", "results"}`.

Not DRF's PageNumberPagination, because links keep the other parameters exactly
as they came (DRF sorts and encodes them anew), and because counting and
slicing can be done apart, which the contracts' list needs to stay cheap.
"""

from django.utils.encoding import iri_to_uri
from rest_framework.exceptions import NotFound
from rest_framework.pagination import BasePagination
from rest_framework.response import Response

from land.http import positive_integer

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100


class Page:
    """One page of `queryset`, as the request asks for it."""

    def __init__(self, request, queryset):
        self.request = request
        self.size = page_size(request.GET.get("page_size", ""))
        self.number = positive_integer(request.GET.get("page") or "1")
        self.count = queryset.count()
        self.last = max(1, -(-self.count // self.size))
        if self.number is None or self.number > self.last:
            raise NotFound("Invalid page.")
        start = (self.number - 1) * self.size
        self.rows = list(queryset[start : start + self.size]) if self.count else []

    def response(self, results):
        return Response(
            {
                "count": self.count,
                "next": self._link(self.number + 1) if self.number < self.last else None,
                "previous": self._link(self.number - 1) if self.number > 1 else None,
                "results": results,
            }
        )

    def _link(self, number):
        query = replace_page(self.request.META.get("QUERY_STRING", ""), number)
        url = f"http://{self.request.get_host()}{iri_to_uri(self.request.path)}"
        return f"{url}?{query}" if query else url


def page_size(text):
    # Anything that is no positive integer means the default. positive_integer
    # does not read numbers beyond a bigint; those are large, not wrong.
    if text.isascii() and text.isdigit() and len(text) > 18:
        return MAX_PAGE_SIZE
    return min(positive_integer(text) or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def replace_page(query, number):
    """`query` with its `page` set in place, or added last; page 1 needs none."""
    wanted = [] if number == 1 else [f"page={number}"]
    parts = []
    for part in iri_to_uri(query).split("&") if query else []:
        if part.partition("=")[0] == "page":
            parts += wanted
            wanted = []
        else:
            parts.append(part)
    return "&".join(parts + wanted)


class Pages(BasePagination):
    """The same pages for DRF's generic list views."""

    def paginate_queryset(self, queryset, request, view=None):
        self.page = Page(request._request, queryset)
        return self.page.rows

    def get_paginated_response(self, data):
        return self.page.response(data)
