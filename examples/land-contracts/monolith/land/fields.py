"""Serializer fields that are stricter than DRF's, so that what is accepted can
be said in one sentence and served by a program in another language."""

import datetime
import math
import re

from rest_framework import serializers

BIGINT_MAX = 2**63 - 1
# Deep enough for any sane document, shallow enough for every JSON parser.
MAX_JSON_DEPTH = 100

INTEGER = re.compile(r"-?[0-9]{1,1000}", re.ASCII)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def read_integer(value):
    """An integer, given as one or as a string of digits; ValueError if it is not."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and INTEGER.fullmatch(value):
        return int(value)
    raise ValueError("not an integer")


class ExistingId(serializers.Field):
    """The id of a row of `queryset`."""

    default_error_messages = {
        "invalid": "A valid integer is required.",
        "does_not_exist": 'Invalid pk "{value}" - object does not exist.',
    }

    def __init__(self, queryset, **kwargs):
        super().__init__(**kwargs)
        self.queryset = queryset

    def to_internal_value(self, data):
        try:
            number = read_integer(data)
        except ValueError:
            self.fail("invalid")
        if not 0 < number <= BIGINT_MAX or not self.queryset.filter(pk=number).exists():
            self.fail("does_not_exist", value=data)
        return number


class Day(serializers.Field):
    """A date as YYYY-MM-DD. DRF's field also takes 20261120 and 2026-W47-5."""

    default_error_messages = {
        "invalid": "Date has wrong format. Use one of these formats instead: YYYY-MM-DD."
    }

    def to_internal_value(self, data):
        try:
            if isinstance(data, str) and DAY.fullmatch(data):
                return datetime.date.fromisoformat(data)
        except ValueError:
            pass
        self.fail("invalid")


class JSONObject(serializers.Field):
    """A JSON object that PostgreSQL's jsonb can hold."""

    default_error_messages = {
        "not_an_object": "Value must be a JSON object.",
        "invalid": "Value must be valid JSON.",
        "null_characters": "Null characters are not allowed.",
    }

    def to_internal_value(self, data):
        if not isinstance(data, dict):
            self.fail("not_an_object")
        level, depth = [data], 0
        while level:
            depth += 1
            if depth > MAX_JSON_DEPTH:
                self.fail("invalid")
            level = [child for value in level for child in self._children(value)]
        return data

    def _children(self, value):
        if isinstance(value, dict):
            return [*value.keys(), *value.values()]
        if isinstance(value, list):
            return value
        if isinstance(value, str):
            if "\0" in value:
                self.fail("null_characters")
            try:
                value.encode()
            except UnicodeEncodeError:
                # Half of a surrogate pair: JSON can spell it, UTF-8 cannot.
                self.fail("invalid")
        elif isinstance(value, float) and not math.isfinite(value):
            self.fail("invalid")  # 1e999
        return []
