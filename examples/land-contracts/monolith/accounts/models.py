"""Sessions of `/auth`, and the refresh tokens that carry them on.

Users themselves are Django's; nothing here is part of `auth_user`.
"""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone


class Session(models.Model):
    """A login on one device. The auth service may know it as well."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    # Null where only its end is known: the auth service has told of that first.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    # Of the encoded password: another one ends the session, as with Django's.
    password_digest = models.CharField(max_length=64)
    # Of the password that is being set in this session. It is written before
    # that, and not in one transaction with it: auth_user may move alone.
    next_password_digest = models.CharField(max_length=64, null=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    # The auth service was told of it, and must be told when it ends.
    is_shared = models.BooleanField(default=False)


class RefreshToken(models.Model):
    """Good once. Used ones are kept, so that one that comes again is known."""

    digest = models.CharField(max_length=64, primary_key=True)
    session = models.ForeignKey(Session, models.CASCADE, related_name="tokens")
    issued_at = models.DateTimeField(default=timezone.now)
    used_at = models.DateTimeField(null=True)
    # Used by the auth service, which knows what became of it.
    is_claimed = models.BooleanField(default=False)
