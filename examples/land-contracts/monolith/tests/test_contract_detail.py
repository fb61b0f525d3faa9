"""Reading and changing one contract, its events, and what is refused."""

from unittest.mock import ANY

from django.test import TestCase

from tests.base import TIME, UUID, Api

NOT_FOUND = (404, {"detail": "Not found."})
NULL = ["This field may not be null."]
BLANK = ["This field may not be blank."]


class ContractDetailTest(Api, TestCase):
    def setUp(self):
        self.make_rows()
        self.contract = self.make_contract(tags=["north", "farm"])
        self.path = f"/api/contracts/{self.contract['id']}"

    def test_read(self):
        self.assertEqual(self.get(self.path), (200, self.contract))

    def test_unknown_ids(self):
        for id in ["99999999", "0", "x", "-1", "1.5", str(2**63), "9" * 5000, ""]:
            with self.subTest(id=id[:9]):
                self.assertEqual(self.get(f"/api/contracts/{id}"), NOT_FOUND)
                self.assertEqual(self.get(f"/api/contracts/{id}/events"), NOT_FOUND)
                change = {"status": "active", "reference": "r"}
                self.assertEqual(self.patch(f"/api/contracts/{id}", change), NOT_FOUND)

    def test_unknown_id_comes_before_the_body(self):
        self.assertEqual(self.patch("/api/contracts/99999999", {}), NOT_FOUND)
        self.assertEqual(self.call("PATCH", "/api/contracts/99999999", raw=b"{"), NOT_FOUND)

    def test_patch(self):
        changed = self.contract
        for version, to in enumerate(["active", "completed", "cancelled", "draft", "draft"], 2):
            change = {"status": to, "reference": f"p-{version}", "title": "ignored"}
            status, answer = self.patch(self.path, change)
            self.assertEqual(status, 200)
            expected = {"status": to, "version": version, "updated_at": ANY}
            self.assertEqual(answer, self.contract | expected)
            self.assertGreater(answer["updated_at"], changed["updated_at"])
            self.assertRegex(answer["updated_at"], TIME)
            self.assertEqual(self.get(self.path), (200, answer))
            changed = answer

    def test_events(self):
        at = [self.contract["updated_at"]]
        for status in ["active", "completed"]:
            _, answer = self.patch(self.path, {"status": status, "reference": f"p-{status}"})
            at.append(answer["updated_at"])
        self.make_contract(reference="other")
        status, events = self.get(f"{self.path}/events")
        self.assertEqual(status, 200)
        kinds = ["created", "status:active", "status:completed"]
        references = ["w1-1", "p-active", "p-completed"]
        self.assertEqual(
            events,
            [
                {"id": ANY, "kind": kind, "reference": reference, "at": time}
                for kind, reference, time in zip(kinds, references, at, strict=True)
            ],
        )
        self.assertRegex(events[0]["id"], UUID)
        self.assertRegex(events[0]["at"], TIME)

    def test_wrong_patches(self):
        required = ["This field is required."]
        for body, errors in [
            ({}, {"status": required, "reference": required}),
            ({"status": "active"}, {"reference": required}),
            ({"reference": "r"}, {"status": required}),
            ({"status": None, "reference": None}, {"status": NULL, "reference": NULL}),
            (
                {"status": "", "reference": ""},
                {"status": ['"" is not a valid choice.'], "reference": BLANK},
            ),
            ({"status": "x", "reference": "r"}, {"status": ['"x" is not a valid choice.']}),
            ({"status": "ACTIVE", "reference": "r"}, {"status": ANY}),
            ({"status": 5, "reference": "r"}, {"status": ['"5" is not a valid choice.']}),
            (
                {"status": "active", "reference": "x" * 65},
                {"reference": ["Ensure this field has no more than 64 characters."]},
            ),
            ({"status": "active", "reference": True}, {"reference": ["Not a valid string."]}),
        ]:
            with self.subTest(body=body):
                self.assertEqual(self.patch(self.path, body), (400, errors))
        self.assertEqual(self.get(self.path), (200, self.contract))

    def test_other_methods(self):
        for path, methods in [
            ("/api/contracts", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]),
            (self.path, ["PUT", "POST", "DELETE", "OPTIONS"]),
            ("/api/contracts/99999999", ["DELETE"]),
            (f"{self.path}/events", ["POST", "PUT", "PATCH", "DELETE"]),
        ]:
            for method in methods:
                with self.subTest(path=path, method=method):
                    detail = f'Method "{method}" not allowed.'
                    self.assertEqual(self.call(method, path), (405, {"detail": detail}))

    def test_unknown_addresses(self):
        for path in [f"{self.path}/", "/api/contracts/", "/", "/api", f"{self.path}/tags"]:
            with self.subTest(path=path):
                self.assertEqual(self.get(path), NOT_FOUND)
        self.assertEqual(self.call("DELETE", "/api/contracts/x"), NOT_FOUND)
