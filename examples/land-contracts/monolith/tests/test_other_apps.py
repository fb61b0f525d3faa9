"""What stays in the monolith."""

from unittest.mock import ANY

from django.contrib.auth import get_user_model
from django.test import TestCase

from documents.models import Document
from tests.base import TIME, UUID, Api

REQUIRED = ["This field is required."]
NOT_FOUND = (404, {"detail": "Not found."})


class PartiesAndPlotsTest(Api, TestCase):
    def test_parties(self):
        body = {"name": "Anna", "kind": "person", "tax_number": "T1"}
        status, party = self.post("/api/parties", body)
        self.assertEqual(status, 201)
        self.assertEqual(party, {**body, "id": ANY, "created_at": ANY})
        self.assertRegex(party["created_at"], TIME)
        self.assertEqual(self.get(f"/api/parties/{party['id']}"), (200, party))
        _, second = self.post("/api/parties", {"name": "B", "kind": "company"})
        listed = {"count": 2, "next": None, "previous": None, "results": [second, party]}
        self.assertEqual(self.get("/api/parties"), (200, listed))

    def test_wrong_parties(self):
        answer = self.post("/api/parties", {})
        self.assertEqual(answer, (400, {"name": REQUIRED, "kind": REQUIRED}))
        answer = self.post("/api/parties", {"name": "A", "kind": "dog"})
        self.assertEqual(answer, (400, {"kind": ['"dog" is not a valid choice.']}))
        for id in ["99", "x"]:
            self.assertEqual(self.get(f"/api/parties/{id}"), NOT_FOUND)

    def test_land_plots(self):
        body = {"cadastral_number": "7/1", "area_m2": "1200.5", "region": "North"}
        status, plot = self.post("/api/land-plots", body)
        self.assertEqual(status, 201)
        self.assertEqual(plot, {**body, "id": ANY, "area_m2": "1200.50", "created_at": ANY})
        self.assertEqual(self.get(f"/api/land-plots/{plot['id']}"), (200, plot))
        self.assertEqual(self.get("/api/land-plots")[1]["results"], [plot])
        self.assertEqual(self.get("/api/land-plots/99999999"), NOT_FOUND)
        self.assertEqual(self.post("/api/land-plots", body)[0], 400)

    def test_pages(self):
        for number in range(3):
            self.post("/api/parties", {"name": f"P{number}", "kind": "person"})
        _, body = self.get("/api/parties?page_size=1&page=2")
        self.assertEqual(body["next"], "http://testserver/api/parties?page_size=1&page=3")
        self.assertEqual(body["previous"], "http://testserver/api/parties?page_size=1")
        answer = self.get("/api/parties?page=9")
        self.assertEqual(answer, (404, {"detail": "Invalid page."}))


class OfContractTest(Api, TestCase):
    """Documents, signatures and stages."""

    def setUp(self):
        self.make_rows()
        self.contract = self.make_contract()["id"]
        self.other = self.make_contract()["id"]
        self.bodies = {
            "/api/documents": {
                "reference": "d-1",
                "title": "Deed",
                "media_type": "application/pdf",
                "size_bytes": 5_000_000_000,
            },
            "/api/signatures": {
                "party": self.seller.id,
                "signed_at": "2026-11-20T19:02:39.000000Z",
            },
            "/api/stages": {"name": "notary", "due_on": "2026-12-01", "done_on": None},
        }

    def test_make_and_list(self):
        for path, body in self.bodies.items():
            with self.subTest(path=path):
                status, made = self.post(path, {**body, "contract": self.contract})
                self.assertEqual(status, 201)
                self.assertEqual(made, made | body | {"contract": self.contract})
                _, other = self.post(path, {**body, "contract": self.other})
                self.assertEqual(self.get(path)[1]["results"], [other, made])
                filtered = self.get(f"{path}?contract={self.contract}")[1]
                self.assertEqual((filtered["count"], filtered["results"]), (1, [made]))
                self.assertEqual(self.get(f"{path}?contract=99999999")[1]["count"], 0)
                self.assertEqual(self.get(f"{path}?contract=")[1]["count"], 2)
                self.assertEqual(
                    self.get(f"{path}?contract=x"),
                    (400, {"contract": ["A valid integer is required."]}),
                )

    def test_missing_contract(self):
        for path, body in self.bodies.items():
            with self.subTest(path=path):
                answer = self.post(path, {**body, "contract": 99})
                errors = {"contract": ['Invalid pk "99" - object does not exist.']}
                self.assertEqual(answer, (400, errors))
                self.assertEqual(self.post(path, body), (400, {"contract": REQUIRED}))

    def test_read_document(self):
        body = {**self.bodies["/api/documents"], "contract": self.contract}
        _, document = self.post("/api/documents", body)
        self.assertRegex(document["id"], UUID)
        self.assertRegex(document["created_at"], TIME)
        self.assertEqual(self.get(f"/api/documents/{document['id']}"), (200, document))
        self.assertEqual(Document.objects.count(), 1)
        for id in ["00000000-0000-4000-8000-000000000000", "7", "x"]:
            self.assertEqual(self.get(f"/api/documents/{id}"), NOT_FOUND)

    def test_other_methods(self):
        for path in self.bodies:
            detail = 'Method "DELETE" not allowed.'
            self.assertEqual(self.call("DELETE", path), (405, {"detail": detail}))


class AccountsTest(Api, TestCase):
    def setUp(self):
        user = get_user_model()
        self.user = user.objects.create_user("demo", "demo@example.org", "secret-word")

    def login(self, password="secret-word"):
        return self.post("/api/auth/login", {"username": "demo", "password": password})

    def test_login_me_logout(self):
        status, body = self.login()
        self.assertEqual((status, list(body)), (200, ["token"]))
        headers = {"Authorization": f"Token {body['token']}"}
        me = {"id": self.user.id, "username": "demo", "email": "demo@example.org"}
        self.assertEqual(self.get("/api/auth/me", **headers), (200, me))
        self.assertEqual(self.call("POST", "/api/auth/logout", **headers), (204, None))
        answer = self.get("/api/auth/me", **headers)
        self.assertEqual(answer, (401, {"detail": "Invalid token."}))

    def test_wrong_logins(self):
        errors = {"non_field_errors": ["Unable to log in with provided credentials."]}
        self.assertEqual(self.login("wrong"), (400, errors))
        errors = {"username": REQUIRED, "password": REQUIRED}
        self.assertEqual(self.post("/api/auth/login", {}), (400, errors))

    def test_without_token(self):
        missing = {"detail": "Authentication credentials were not provided."}
        self.assertEqual(self.get("/api/auth/me"), (401, missing))
        self.assertEqual(self.response.headers["WWW-Authenticate"], "Token")
        self.assertEqual(self.call("POST", "/api/auth/logout"), (401, missing))


class HealthTest(Api, TestCase):
    def test_health(self):
        self.assertEqual(self.get("/health"), (200, {"status": "ok"}))
