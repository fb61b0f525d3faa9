"""How requests are read: JSON only, with messages that name no parser."""

from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import JSONParser


class JSONBody(JSONParser):
    """DRF's message quotes Python's json module; clients get a stable one."""

    def parse(self, stream, media_type=None, parser_context=None):
        try:
            return super().parse(stream, media_type, parser_context)
        except (ParseError, RecursionError):
            raise ParseError("JSON parse error.") from None


class AlwaysJSON(DefaultContentNegotiation):
    """Answers are JSON whatever Accept says: there is nothing else to offer."""

    def select_renderer(self, request, renderers, format_suffix=None):
        return renderers[0], renderers[0].media_type


def object_of(request):
    """The request's body, which must be a JSON object."""
    body = request.data
    if not isinstance(body, dict):
        raise ValidationError({"non_field_errors": ["Invalid data. Expected an object."]})
    return body


def caller_id(request):
    """The user who calls, as whatever stands in front says; None when unsaid."""
    return positive_integer(request.META.get("HTTP_X_USER_ID", ""))


def positive_integer(text):
    """The number a plain row of digits says, or None. Unlike int() this takes
    no signs, blanks, underscores or digits of other scripts."""
    # 18 digits fit a bigint; nothing here has a meaning beyond that.
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        return None
    return int(text) or None
