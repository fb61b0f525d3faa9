"""Asks the auth service about sessions and tokens that it has issued.

Without AUTH_SERVICE_URL there is none, and nobody knows anything.
"""

import dataclasses
import datetime
import functools
import logging
import uuid

import requests
from django.conf import settings
from rest_framework.exceptions import APIException

# It asks its database and nobody else.
TIMEOUT_SECONDS = 2

logger = logging.getLogger(__name__)


class Away(APIException):
    status_code = 503
    default_detail = "The auth service is away. Try again."


@dataclasses.dataclass(frozen=True)
class SessionAnswer:
    """What is said of a session: that it goes on, or why not."""

    state: str = "unknown"
    session: uuid.UUID | None = None
    user: int | None = None
    password_digest: str | None = None
    expires_at: datetime.datetime | None = None
    # Whether the user has that password, as far as is known there.
    is_current: bool = False

    @property
    def is_replayed(self):
        return self.state == "replayed"

    @property
    def is_ended(self):
        return self.state == "ended"


class Nobody:
    """There is no auth service."""

    def session(self, session_id):
        return None

    def claim(self, token):
        return SessionAnswer()

    def end(self, session_id):
        pass


class AuthAdapter:
    def __init__(self, url, key):
        self.url = url.rstrip("/") + "/auth/sessions"
        self.key = key

    def session(self, session_id):
        told = self.told(self.ask("GET", f"/{session_id}"))
        return told if told.state == "good" else None

    def claim(self, token):
        """Uses a refresh token up there. May be asked again: it is good for
        us until we have answered for it."""
        return self.told(self.ask("POST", "/claim", json={"refresh_token": token}))

    def end(self, session_id):
        self.ask("DELETE", f"/{session_id}")

    def ask(self, method, path, **content):
        headers = {"X-API-Key": self.key}
        try:
            answer = requests.request(
                method, self.url + path, headers=headers, timeout=TIMEOUT_SECONDS, **content
            )
            answer.raise_for_status()
            return answer
        except requests.RequestException as error:
            logger.warning("the auth service does not answer: %s", type(error).__name__)
            raise Away() from error

    @staticmethod
    def told(answer):
        try:
            said = answer.json()
            session = said.get("session")
            told = SessionAnswer(state=said["state"], session=session and uuid.UUID(session))
            if told.state != "good":
                return told
            return dataclasses.replace(
                told,
                user=said["user"],
                password_digest=said["password_digest"],
                expires_at=datetime.datetime.fromtimestamp(said["expires_at"], datetime.UTC),
                is_current=said["is_current"],
            )
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            logger.error("the auth service's answer is not understood")
            raise Away() from error


@functools.cache
def auth_service():
    if not settings.AUTH_SERVICE_URL:
        return Nobody()
    return AuthAdapter(settings.AUTH_SERVICE_URL, settings.AUTH_SERVICE_API_KEY)
