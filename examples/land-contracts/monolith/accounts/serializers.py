"""What requests to `/auth` must hold."""

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as WeakPassword
from rest_framework import serializers
from rest_framework.exceptions import APIException

from land.http import object_of

PASSWORD_CHARACTERS_MAX = 1024


class Invalid(APIException):
    status_code = 422


def password_field():
    return serializers.CharField(max_length=PASSWORD_CHARACTERS_MAX, trim_whitespace=False)


class Credentials(serializers.Serializer):
    """Either an e-mail address or a username."""

    email = serializers.CharField(max_length=254, required=False)
    username = serializers.CharField(max_length=150, required=False)
    password = password_field()

    def validate(self, given):
        if ("email" in given) == ("username" in given):
            raise serializers.ValidationError("Either email or username is required.")
        return given


class Registration(serializers.Serializer):
    username = serializers.CharField(max_length=150, validators=[User.username_validator])
    email = serializers.EmailField(max_length=254)
    password = password_field()
    first_name = serializers.CharField(max_length=150, default="", allow_blank=True)
    last_name = serializers.CharField(max_length=150, default="", allow_blank=True)

    def validate(self, given):
        names = {name: value for name, value in given.items() if name != "password"}
        ensure_strong(given["password"], User(**names), "password")
        return given


class Change(serializers.Serializer):
    current_password = password_field()
    new_password = password_field()

    def validate(self, given):
        ensure_strong(given["new_password"], self.context["user"], "new_password")
        return given


class Claim(serializers.Serializer):
    refresh_token = serializers.CharField(max_length=200)


def ensure_strong(password, user, field):
    try:
        validate_password(password, user)
    except WeakPassword as weak:
        raise serializers.ValidationError({field: weak.messages}) from None


def checked(serializer_class, request, **context):
    serializer = serializer_class(data=object_of(request), context=context)
    if not serializer.is_valid():
        raise Invalid(serializer.errors)
    return serializer.validated_data
