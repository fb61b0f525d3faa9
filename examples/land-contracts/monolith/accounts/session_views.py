"""`/auth`: sessions with access and refresh tokens, beside `/api/auth`."""

import hmac

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from rest_framework.authentication import TokenAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import access_tokens, sessions
from accounts.access_tokens import BearerAuthentication
from accounts.backends import is_right
from accounts.models import RefreshToken, Session
from accounts.serializers import Change, Claim, Credentials, Invalid, Registration, checked
from contracts.representation import time_as_json


class Challenged(APIView):
    """Who shows nothing good is told what to show."""

    def get_authenticate_header(self, request):
        return "Bearer"


class Login(Challenged):
    def post(self, request):
        given = checked(Credentials, request)
        user = user_of(given)
        if user is None:
            make_password(given["password"])  # takes as long as for somebody
        if user is None or not (is_right(user, given["password"]) and user.is_active):
            raise AuthenticationFailed("Invalid credentials")
        session, refresh_token = sessions.begin(user)
        return pair(session, refresh_token)


class Refresh(Challenged):
    """By a refresh token, or by a token of `/api/auth/login`."""

    def post(self, request):
        legacy = TokenAuthentication().authenticate(request)
        if legacy:
            return pair(*sessions.begin(legacy[0]))
        token = access_tokens.bearer(request)
        if token is None:
            raise NotAuthenticated()
        return pair(*sessions.refresh(token))


class Me(APIView):
    authentication_classes = [BearerAuthentication, TokenAuthentication]
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response(profile(request.user))


class SignedIn(APIView):
    authentication_classes = [BearerAuthentication]
    permission_classes = [IsAuthenticated]


class Logout(SignedIn):
    def post(self, request):
        sessions.end_everywhere(request.auth.id)
        return Response(status=204)


class ChangePassword(SignedIn):
    def post(self, request):
        user, session = request.user, request.auth
        given = checked(Change, request, user=user)
        if not is_right(user, given["current_password"]):
            raise Invalid({"current_password": ["This is not the password."]})
        encoded = make_password(given["new_password"])
        own = Session.objects.filter(pk=session.pk)
        own.update(next_password_digest=sessions.digest_of(encoded))
        same = get_user_model().objects.filter(pk=user.pk, password=user.password)
        if not same.update(password=encoded):
            raise ChangedMeanwhile()
        # Over already, with the password: this only says so.
        sessions.end_others(user.pk, kept=session)
        return Response(status=204)


class Register(APIView):
    def post(self, request):
        given = checked(Registration, request)
        users = get_user_model().objects
        taken = Q(username__iexact=given["username"]) | Q(email__iexact=given["email"])
        if users.filter(taken).exists():
            raise Taken()
        try:
            return Response(profile(users.create_user(**given)), status=201)
        except IntegrityError:
            raise Taken() from None


class Trusted(APIView):
    """For the auth service, which issues tokens for the same users."""

    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        key = settings.AUTH_SERVICE_API_KEY
        shown = request.headers.get("X-API-Key", "")
        if not key or not hmac.compare_digest(shown.encode(), key.encode()):
            raise AuthenticationFailed("The key in X-API-Key is not known.")

    def get_authenticate_header(self, request):
        return "Bearer"


class SharedSession(Trusted):
    def get(self, request, pk):
        session = sessions.by_id(pk)
        if session is None:
            return Response({"state": "unknown"})
        return Response(told(session))

    def delete(self, request, pk):
        sessions.end_elsewhere(pk)
        return Response(status=204)


class ClaimToken(Trusted):
    """Uses a refresh token up for the auth service, as often as it asks: it is
    only its own again once it was answered for."""

    def post(self, request):
        digest = sessions.digest_of(checked(Claim, request)["refresh_token"])
        with transaction.atomic():
            token = RefreshToken.objects.select_for_update().filter(pk=digest).first()
            if token is None:
                return Response({"state": "unknown"})
            session = sessions.by_id(token.session_id)
            if session.ended_at:
                return Response({"state": "ended"})
            if token.used_at and not token.is_claimed:
                sessions.end(session.pk)
                return Response({"state": "replayed", "session": str(session.pk)})
            token.used_at = timezone.now()
            token.is_claimed = True
            token.save(update_fields=["used_at", "is_claimed"])
            return Response(told(session))


def told(session):
    if session.ended_at or session.expires_at <= timezone.now():
        return {"state": "ended"}
    Session.objects.filter(pk=session.pk).update(is_shared=True)
    is_current = sessions.is_current(session)
    digest = sessions.digest_of(session.user.password) if is_current else session.password_digest
    return {
        "state": "good",
        "session": str(session.pk),
        "user": session.user_id,
        "password_digest": digest,
        "expires_at": int(session.expires_at.timestamp()),
        "is_current": is_current,
    }


def pair(session, refresh_token):
    return Response(
        {
            "access_token": access_tokens.make(session, session.user),
            "refresh_token": refresh_token,
            "token_type": "bearer",
        }
    )


def user_of(given):
    """By username; or by an address that one user has, best in that spelling."""
    users = get_user_model().objects
    if "username" in given:
        return users.filter(username=given["username"]).first()
    found = list(users.filter(email__iexact=given["email"])[:3])
    exact = [user for user in found if user.email == given["email"]]
    for candidates in (exact, found):
        if len(candidates) == 1:
            return candidates[0]
    return None


def profile(user):
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        # Nobody proves an address here.
        "email_verified": False,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "is_active": user.is_active,
        "is_staff": user.is_staff,
        "is_superuser": user.is_superuser,
        "roles": access_tokens.roles_of(user),
        "date_joined": time_as_json(user.date_joined),
    }


class Taken(APIException):
    status_code = 409
    default_detail = "The username or the e-mail address is somebody's already."


class ChangedMeanwhile(APIException):
    status_code = 409
    default_detail = "The password was set by somebody else meanwhile; nothing was done."
