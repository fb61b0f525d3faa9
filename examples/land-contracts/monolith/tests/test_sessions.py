"""`/auth`, without another issuer of sessions beside it."""

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.test import TestCase, override_settings

from accounts.models import RefreshToken, Session
from tests.base import Api, fence, unfence

PASSWORD = "battery staple 7"
KEY = "a-key"


class Sessions(Api, TestCase):
    def setUp(self):
        encoded = PBKDF2PasswordHasher().encode(PASSWORD, "salt", 1000)
        self.user = get_user_model().objects.create(
            username="anna", email="Anna@example.com", password=encoded
        )

    def login(self, **by):
        return self.post("/auth/login", {**(by or {"email": self.user.email}), "password": PASSWORD})

    def by(self, token, method="GET", path="/auth/me", body=None, scheme="Bearer"):
        return self.call(method, path, body, Authorization=f"{scheme} {token}")

    def refresh(self, token):
        return self.by(token, "POST", "/auth/refresh")

    def test_a_login_by_address_or_name_writes_no_user(self):
        before = get_user_model().objects.values().get()
        # As while somebody else owns the table.
        fence("auth_user")
        for by in [{"email": "anna@EXAMPLE.com"}, {"username": "anna"}]:
            status, pair = self.login(**by)
            self.assertEqual((status, pair["token_type"]), (200, "bearer"))
            status, me = self.by(pair["access_token"])
            self.assertEqual((status, me["username"]), (200, "anna"))
            # The old address takes it as well.
            self.assertEqual(self.by(pair["access_token"], path="/api/auth/me")[0], 200)
        status, _ = self.post("/api/auth/login", {"username": "anna", "password": PASSWORD})
        self.assertEqual(status, 200)
        unfence("auth_user")
        self.assertEqual(get_user_model().objects.values().get(), before)

    def test_who_is_nobody_is_told_what_a_wrong_password_is_told(self):
        answers = [
            self.post("/auth/login", {"email": email, "password": "x"})
            for email in (self.user.email, "nobody@example.com")
        ]
        self.assertEqual(answers, [(401, {"detail": "Invalid credentials"})] * 2)
        get_user_model().objects.create(username="b", email="anna@example.com")
        get_user_model().objects.create(username="c", email="ANNA@example.com")
        self.assertEqual(self.login(email="annA@example.com")[0], 401)
        self.assertEqual(self.login()[0], 200)

    def test_a_refresh_token_is_good_once(self):
        _, first = self.login()
        status, second = self.refresh(first["refresh_token"])
        self.assertEqual(status, 200)
        self.assertEqual(self.refresh(first["refresh_token"])[0], 401)
        self.assertEqual(self.refresh(second["refresh_token"])[0], 401)
        self.assertEqual(self.by(second["access_token"])[0], 401)
        self.assertEqual(self.refresh("made up")[0], 401)

    def test_a_new_password_ends_the_other_sessions(self):
        (_, own), (_, other) = self.login(), self.login()
        body = {"current_password": PASSWORD, "new_password": "correct horse 8"}
        wrong = {**body, "current_password": "x"}
        path = "/auth/password/change"
        self.assertEqual(self.by(own["access_token"], "POST", path, wrong)[0], 422)
        self.assertEqual(self.by(own["access_token"], "POST", path, body)[0], 204)
        self.assertEqual(self.by(own["access_token"])[0], 200)
        self.assertEqual(self.by(other["access_token"])[0], 401)
        self.assertEqual(self.refresh(other["refresh_token"])[0], 401)
        self.assertEqual(self.login()[0], 401)

    def test_logout(self):
        _, pair = self.login()
        self.assertEqual(self.by(pair["access_token"], "POST", "/auth/logout")[0], 204)
        self.assertEqual(self.by(pair["access_token"])[0], 401)
        self.assertEqual(self.refresh(pair["refresh_token"])[0], 401)

    def test_registration(self):
        body = {"username": "ben", "email": "ben@example.com", "password": PASSWORD}
        status, ben = self.post("/auth/register", body)
        self.assertEqual((status, ben["username"], ben["first_name"]), (201, "ben", ""))
        taken = [{"username": "BEN"}, {"email": "ANNA@example.com"}]
        for change in taken:
            other = {**body, "username": "carl", "email": "carl@example.com", **change}
            self.assertEqual(self.post("/auth/register", other)[0], 409)
        status, wrong = self.post("/auth/register", {**body, "password": "12345678"})
        self.assertEqual((status, list(wrong)), (422, ["password"]))
        fence("auth_user")
        self.assertEqual(self.post("/auth/register", {**body, "username": "d", "email": "d@d.de"})[0], 503)

    def test_an_old_token_is_good_for_a_session(self):
        _, old = self.post("/api/auth/login", {"username": "anna", "password": PASSWORD})
        self.assertEqual(self.by(old["token"], scheme="Token")[0], 200)
        status, pair = self.by(old["token"], "POST", "/auth/refresh", scheme="Token")
        self.assertEqual(status, 200)
        self.assertEqual(self.by(pair["access_token"])[0], 200)

    @override_settings(AUTH_SERVICE_API_KEY=KEY)
    def test_the_auth_service_asks(self):
        _, pair = self.login()
        session = Session.objects.get()
        path, body = "/auth/sessions/claim", {"refresh_token": pair["refresh_token"]}
        self.assertEqual(self.post(path, body)[0], 401)
        for _ in range(2):
            status, told = self.post(path, body, **{"X-API-Key": KEY})
            self.assertEqual((status, told["state"], told["user"]), (200, "good", self.user.id))
        # It may be about to answer for it.
        self.assertEqual(self.refresh(pair["refresh_token"])[0], 503)
        RefreshToken.objects.update(used_at=session.created_at.replace(year=2020))
        self.assertEqual(self.refresh(pair["refresh_token"])[0], 200)
        _, told = self.post(path, body, **{"X-API-Key": KEY})
        self.assertEqual(told, {"state": "replayed", "session": str(session.id)})
        path = f"/auth/sessions/{session.id}"
        self.assertEqual(self.get(path, **{"X-API-Key": KEY}), (200, {"state": "ended"}))
