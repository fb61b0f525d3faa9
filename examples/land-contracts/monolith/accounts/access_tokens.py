"""Access tokens: JWTs by the secret that the services share (HS256)."""

import time
import uuid

import jwt
from django.conf import settings
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from accounts import sessions

ALGORITHM = "HS256"
LEEWAY_SECONDS = 30


def make(session, user):
    now = int(time.time())
    claims = {
        "sub": str(user.id),
        "sid": str(session.id),
        "roles": roles_of(user),
        "iat": now,
        "nbf": now,
        "exp": now + settings.ACCESS_TOKEN_LIFETIME,
        "jti": str(uuid.uuid4()),
    }
    if settings.JWT_ISSUER:
        claims["iss"] = settings.JWT_ISSUER
    if settings.JWT_AUDIENCE:
        claims["aud"] = settings.JWT_AUDIENCE
    return jwt.encode(claims, settings.JWT_SECRET_KEY, algorithm=ALGORITHM)


def session_id_in(token):
    """The session that a good token is for."""
    try:
        claims = jwt.decode(
            token,
            settings.JWT_SECRET_KEY,
            algorithms=[ALGORITHM],
            issuer=settings.JWT_ISSUER,
            audience=settings.JWT_AUDIENCE,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "sub", "sid"]},
        )
        return uuid.UUID(claims["sid"])
    except (jwt.InvalidTokenError, ValueError, AttributeError, TypeError):
        raise AuthenticationFailed("The token is not valid.") from None


def roles_of(user):
    return [name for name in ("staff", "superuser") if getattr(user, f"is_{name}")]


def bearer(request):
    """What stands in `Authorization: Bearer`, or None."""
    parts = get_authorization_header(request).split()
    if len(parts) != 2 or parts[0].lower() != b"bearer":
        return None
    return parts[1].decode("latin-1")


class BearerAuthentication(BaseAuthentication):
    """`request.auth` is the session."""

    def authenticate(self, request):
        token = bearer(request)
        if token is None:
            return None
        session = sessions.find(session_id_in(token))
        if session is None:
            raise AuthenticationFailed("The session has ended. Log in again.")
        return session.user, session

    def authenticate_header(self, request):
        return "Bearer"
