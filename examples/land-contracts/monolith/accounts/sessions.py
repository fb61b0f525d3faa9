"""Sessions: begun by a login, carried on by refresh tokens, ended for good.

A refresh token is good once; a second use ends the session, for whoever has
copied it. A session is also over once its user has another password.

The auth service issues tokens for the same users. What is not known here, or
looks over here, it is asked about, and a session that goes on there is taken
over: from then on both know it. Which of them is asked first does not matter.
"""

import datetime
import hashlib
import secrets

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone
from rest_framework.exceptions import APIException, AuthenticationFailed

from accounts.adapters import auth_service
from accounts.models import RefreshToken, Session


# Whoever has claimed a token answers for it within the first time, or not at
# all; the issuer takes it back after the second at the earliest.
ANSWERED_WITHIN = datetime.timedelta(seconds=30)
CLAIM_FRESH = datetime.timedelta(seconds=60)


class Unconfirmed(APIException):
    """The other side says that a session goes on, and has another password
    for its user: one of us is behind. Saying "log in again" would be wrong."""

    status_code = 503
    default_detail = "Not known for sure at the moment. Try again."


class Ended(AuthenticationFailed):
    default_detail = "The session has ended. Log in again."


class Replayed(AuthenticationFailed):
    default_detail = "The refresh token was used before. Its session has ended; log in again."


class Unknown(AuthenticationFailed):
    default_detail = "The refresh token is none of ours."


def digest_of(text):
    return hashlib.sha256(text.encode()).hexdigest()


def lifetime():
    return timezone.now() + datetime.timedelta(days=settings.REFRESH_TOKEN_DAYS)


def begin(user):
    """A new session, and the token that carries it on."""
    session = Session.objects.create(
        user=user, password_digest=digest_of(user.password), expires_at=lifetime()
    )
    return session, issue(session)


def issue(session):
    text = secrets.token_urlsafe(32)
    RefreshToken.objects.create(digest=digest_of(text), session=session)
    return text


def goes_on(session):
    return session.ended_at is None and session.expires_at > timezone.now() and is_current(session)


def is_current(session):
    user = session.user
    digests = (session.password_digest, session.next_password_digest)
    return user.is_active and digest_of(user.password) in digests


def by_id(session_id):
    return Session.objects.select_related("user").filter(pk=session_id).first()


def find(session_id):
    """The session with its user, if it goes on; None once it has ended."""
    session = by_id(session_id)
    if session and (session.ended_at or goes_on(session)):
        return None if session.ended_at else session
    told = auth_service().session(session_id)
    return told and taken_over(told)


def taken_over(told):
    """A session as the auth service tells of it; None where it has ended."""
    session = by_id(told.session)
    if session and (session.ended_at or goes_on(session)):
        return None if session.ended_at else session
    if not told.is_current:
        return None
    user = get_user_model().objects.filter(pk=told.user, is_active=True).first()
    if user is None or digest_of(user.password) != told.password_digest:
        raise Unconfirmed()
    Session.objects.bulk_create(
        [
            Session(
                id=told.session,
                user=user,
                password_digest=told.password_digest,
                expires_at=told.expires_at,
                is_shared=True,
            )
        ],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["password_digest", "expires_at", "is_shared"],
    )
    session = by_id(told.session)
    return session if goes_on(session) else None


def refresh(text):
    """Uses a refresh token up: the session, and its next token."""
    token = RefreshToken.objects.filter(pk=digest_of(text)).first()
    if token is None:
        return claimed_there(text)
    if by_id(token.session_id).ended_at:
        raise Ended()
    if token.is_claimed:
        # Only the auth service knows whether it has answered for it; where it
        # has not, it may be about to.
        told = auth_service().claim(text)
        if told.is_replayed:
            raise_replayed(token.session_id)
    session = find(token.session_id)
    if session is None:
        raise Ended()
    if token.is_claimed and token.used_at > timezone.now() - CLAIM_FRESH:
        raise Unconfirmed()
    with transaction.atomic():
        # As it was seen: unused, or claimed long ago.
        mine = RefreshToken.objects.filter(
            pk=token.pk, used_at=token.used_at if token.is_claimed else None
        )
        if mine.update(used_at=timezone.now(), is_claimed=False):
            return session, carried_on(session)
    raise_replayed(session.id)


def claimed_there(text):
    """Of a token that the auth service has issued."""
    begun = timezone.now()
    told = auth_service().claim(text)
    if told.is_replayed:
        end(told.session)
        raise Replayed()
    if told.session is None:
        raise Ended() if told.is_ended else Unknown()
    session = taken_over(told)
    if session is None:
        raise Ended()
    with transaction.atomic():
        used = RefreshToken(digest=digest_of(text), session=session, used_at=timezone.now())
        RefreshToken.objects.bulk_create([used], ignore_conflicts=True)
        is_first = RefreshToken.objects.filter(pk=used.pk, used_at=used.used_at).exists()
        if timezone.now() - begun > ANSWERED_WITHIN:
            raise Unconfirmed()
        if is_first:
            return session, carried_on(session)
    raise_replayed(session.id)


def carried_on(session):
    session.expires_at = lifetime()
    session.save(update_fields=["expires_at"])
    return issue(session)


def raise_replayed(session_id):
    end_everywhere(session_id)
    raise Replayed()


def end_everywhere(session_id):
    """There first: where that fails, nothing is done, and it can be tried again."""
    session = by_id(session_id)
    if session and session.ended_at is None:
        if session.is_shared:
            auth_service().end(session_id)
        end(session_id)


def end(session_id):
    Session.objects.filter(pk=session_id, ended_at=None).update(ended_at=timezone.now())


def end_elsewhere(session_id):
    """The auth service has ended it. One that is not here may be on its way,
    and must not go on once it has come."""
    now = timezone.now()
    ended = Session(
        id=session_id, password_digest="", expires_at=lifetime(), ended_at=now, is_shared=True
    )
    Session.objects.bulk_create([ended], ignore_conflicts=True)
    end(session_id)


def end_others(user_id, kept):
    others = Session.objects.filter(user_id=user_id, ended_at=None)
    if kept:
        others = others.exclude(pk=kept.pk)
    others.update(ended_at=timezone.now())
