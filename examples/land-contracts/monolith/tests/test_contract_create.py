"""POST /api/contracts."""

import re
from unittest.mock import ANY

from django.contrib.auth import get_user_model
from django.test import TestCase

from contracts.models import Contract, ContractEvent, Tag
from tests.base import TIME, UUID, Api

REQUIRED = ["This field is required."]
NULL = ["This field may not be null."]
BLANK = ["This field may not be blank."]
NO_STRING = ["Not a valid string."]
NO_INTEGER = ["A valid integer is required."]
NO_NUMBER = ["A valid number is required."]
NO_DATE = ["Date has wrong format. Use one of these formats instead: YYYY-MM-DD."]
NO_NULL_CHARACTERS = ["Null characters are not allowed."]


def too_long(count):
    return [f"Ensure this field has no more than {count} characters."]


def no_list(kind):
    return [f'Expected a list of items but got type "{kind}".']


def missing(value):
    return [f'Invalid pk "{value}" - object does not exist.']


WRONG_FIELDS = [
    ("reference", None, NULL),
    ("reference", "", BLANK),
    ("reference", "  ", BLANK),
    ("reference", True, NO_STRING),
    ("reference", [], NO_STRING),
    ("reference", {}, NO_STRING),
    ("reference", "x" * 65, too_long(64)),
    ("reference", "a\0b", NO_NULL_CHARACTERS),
    ("reference", "a\ud800", ["Surrogate characters are not allowed: U+D800."]),
    ("title", None, NULL),
    ("title", "", BLANK),
    ("title", False, NO_STRING),
    ("title", "x" * 201, too_long(200)),
    ("seller", None, NULL),
    ("seller", "", NO_INTEGER),
    ("seller", "x", NO_INTEGER),
    ("seller", True, NO_INTEGER),
    ("seller", 1.5, NO_INTEGER),
    ("seller", 1.0, NO_INTEGER),
    ("seller", " 1", NO_INTEGER),
    ("seller", [], NO_INTEGER),
    ("seller", 0, missing(0)),
    ("seller", -1, missing(-1)),
    ("seller", 2**63, missing(2**63)),
    ("seller", 99_999_999, missing("99999999")),
    ("seller", "99999999", missing("99999999")),
    ("buyer", None, NULL),
    ("buyer", "x", NO_INTEGER),
    ("buyer", 99_999_999, missing("99999999")),
    ("land_plot", None, NULL),
    ("land_plot", "x", NO_INTEGER),
    ("land_plot", 99_999_999, missing("99999999")),
    ("price", None, NULL),
    ("price", "", NO_NUMBER),
    ("price", "x", NO_NUMBER),
    ("price", True, NO_NUMBER),
    ("price", [], NO_NUMBER),
    ("price", {}, NO_NUMBER),
    ("price", "NaN", NO_NUMBER),
    ("price", "Infinity", NO_NUMBER),
    ("price", "123456789012345", ["Ensure that there are no more than 14 digits in total."]),
    ("price", "1234567890123.45", ["Ensure that there are no more than 14 digits in total."]),
    ("price", "1.234", ["Ensure that there are no more than 2 decimal places."]),
    ("price", 1.234, ["Ensure that there are no more than 2 decimal places."]),
    (
        "price",
        "1234567890123",
        ["Ensure that there are no more than 12 digits before the decimal point."],
    ),
    ("price", "-0.01", ["Ensure this value is greater than or equal to 0."]),
    ("price", -1, ["Ensure this value is greater than or equal to 0."]),
    ("currency", None, NULL),
    ("currency", "", BLANK),
    ("currency", True, NO_STRING),
    ("currency", "EU", ["Ensure this field has at least 3 characters."]),
    ("currency", "EURO", too_long(3)),
    ("terms", None, NULL),
    ("terms", [], ["Value must be a JSON object."]),
    ("terms", "x", ["Value must be a JSON object."]),
    ("terms", 1, ["Value must be a JSON object."]),
    ("terms", {"a": ["b\0"]}, NO_NULL_CHARACTERS),
    ("terms", {"a\0": 1}, NO_NULL_CHARACTERS),
    ("terms", {"a": "\ud800"}, ["Value must be valid JSON."]),
    ("tags", None, NULL),
    ("tags", "farm", no_list("str")),
    ("tags", 1, no_list("int")),
    ("tags", 1.5, no_list("float")),
    ("tags", True, no_list("bool")),
    ("tags", {}, no_list("dict")),
    ("tags", ["x"] * 11, ["Ensure this field has no more than 10 elements."]),
    ("tags", ["a", ""], {"1": BLANK}),
    ("tags", [None], {"0": NULL}),
    ("tags", [True, "a", []], {"0": NO_STRING, "2": NO_STRING}),
    ("tags", ["x" * 41], {"0": too_long(40)}),
    ("signed_on", "", NO_DATE),
    ("signed_on", "x", NO_DATE),
    ("signed_on", 20261120, NO_DATE),
    ("signed_on", "20261120", NO_DATE),
    ("signed_on", "2026-1-5", NO_DATE),
    ("signed_on", "2026-02-30", NO_DATE),
    ("signed_on", "2026-11-20T00:00:00Z", NO_DATE),
]


class CreateContractTest(Api, TestCase):
    def setUp(self):
        self.make_rows()

    def test_smallest_body(self):
        status, contract = self.post("/api/contracts", self.new_contract())
        self.assertEqual(status, 201)
        self.assertEqual(
            contract,
            {
                "id": Contract.objects.get().id,
                "uid": str(Contract.objects.get().uid),
                "reference": "w1-1",
                "title": "Field 12",
                "status": "draft",
                "seller": self.seller.id,
                "buyer": self.buyer.id,
                "land_plot": self.plot.id,
                "price": "12500.00",
                "currency": "EUR",
                "terms": {},
                "tags": [],
                "signed_on": None,
                "version": 1,
                "created_by": None,
                "created_at": ANY,
                "updated_at": contract["created_at"],
            },
        )
        self.assertRegex(contract["created_at"], TIME)
        self.assertRegex(contract["uid"], UUID)
        self.assertEqual(self.get(f"/api/contracts/{contract['id']}"), (200, contract))

    def test_every_field(self):
        user = get_user_model().objects.create(username="clerk")
        body = self.new_contract(
            seller=str(self.seller.id),
            price=7,
            currency="CHF",
            terms={"pay_days": 30, "parts": [1.5, None, "ä😀"]},
            tags=["north", "Zoo", "farm", "ähre", "farm"],
            signed_on="2026-11-20",
            title="  Field 13 ",
            status="active",
            version=9,
            id=5,
            unknown="ignored",
        )
        status, contract = self.post("/api/contracts", body, **{"X-User-Id": str(user.id)})
        self.assertEqual(status, 201)
        expected = {
            "price": "7.00",
            "currency": "CHF",
            "terms": {"pay_days": 30, "parts": [1.5, None, "ä😀"]},
            "tags": ["Zoo", "farm", "north", "ähre"],
            "signed_on": "2026-11-20",
            "title": "Field 13",
            "status": "draft",
            "version": 1,
            "created_by": user.id,
        }
        self.assertEqual(contract, contract | expected)
        self.assertEqual(self.get(f"/api/contracts/{contract['id']}"), (200, contract))

    def test_prices(self):
        for sent, stored in [
            (0, "0.00"),
            ("-0", "0.00"),
            (12.5, "12.50"),
            (" 3.1 ", "3.10"),
            ("1e3", "1000.00"),
            ("999999999999.99", "999999999999.99"),
        ]:
            with self.subTest(price=sent):
                contract = self.make_contract(price=sent)
                self.assertEqual(contract["price"], stored)
                self.assertEqual(self.get(f"/api/contracts/{contract['id']}"), (200, contract))

    def test_numbers_are_taken_as_text(self):
        contract = self.make_contract(title=5, reference=1.5)
        self.assertEqual((contract["title"], contract["reference"]), ("5", "1.5"))

    def test_writes_one_event_with_the_reference(self):
        contract = self.make_contract(reference="w9-7")
        status, events = self.get(f"/api/contracts/{contract['id']}/events")
        self.assertEqual(status, 200)
        at = contract["created_at"]
        expected = {"id": ANY, "kind": "created", "reference": "w9-7", "at": at}
        self.assertEqual(events, [expected])
        self.assertRegex(events[0]["id"], UUID)

    def test_same_reference_twice_is_stored_twice(self):
        self.make_contract(reference="same")
        self.make_contract(reference="same")
        self.assertEqual(Contract.objects.filter(reference="same").count(), 2)
        self.assertEqual(ContractEvent.objects.filter(reference="same").count(), 2)

    def test_tags_are_made_once(self):
        self.make_contract(tags=["farm", "north"])
        self.make_contract(tags=["north", "south"])
        names = Tag.objects.order_by("name").values_list("name", flat=True)
        self.assertEqual(list(names), ["farm", "north", "south"])

    def test_ten_tags_of_forty_characters(self):
        names = [f"{number:040d}" for number in range(10)]
        self.assertEqual(self.make_contract(tags=names)["tags"], names)

    def test_callers_who_are_no_users(self):
        for value in ["99999999", "0", "-1", "x", "", "1.5", "9" * 30, "2147483648"]:
            with self.subTest(value=value):
                headers = {"X-User-Id": value}
                status, contract = self.post("/api/contracts", self.new_contract(), **headers)
                self.assertEqual((status, contract["created_by"]), (201, None))

    def test_wrong_fields(self):
        for field, value, messages in WRONG_FIELDS:
            with self.subTest(field=field, value=value):
                answer = self.post("/api/contracts", self.new_contract(**{field: value}))
                self.assertEqual(answer, (400, {field: messages}))
        self.assertFalse(Contract.objects.exists())
        self.assertFalse(Tag.objects.exists())

    def test_every_wrong_field_is_reported(self):
        body = self.new_contract(title="", seller=99, price="x", tags=5)
        self.assertEqual(
            self.post("/api/contracts", body),
            (
                400,
                {"title": BLANK, "seller": missing(99), "price": NO_NUMBER, "tags": no_list("int")},
            ),
        )

    def test_missing_fields(self):
        fields = ["reference", "title", "seller", "buyer", "land_plot", "price"]
        expected = {field: REQUIRED for field in fields}
        self.assertEqual(self.post("/api/contracts", {}), (400, expected))
        self.assertEqual(self.call("POST", "/api/contracts"), (400, expected))

    def test_terms_that_are_too_deep(self):
        terms = {}
        for _ in range(99):
            terms = {"a": terms}
        self.assertEqual(self.make_contract(terms=terms)["terms"], terms)
        answer = self.post("/api/contracts", self.new_contract(terms={"a": terms}))
        self.assertEqual(answer, (400, {"terms": ["Value must be valid JSON."]}))

    def test_terms_with_a_number_beyond_floats(self):
        raw = b'{"terms": {"a": 1e999}}'
        status, errors = self.call("POST", "/api/contracts", raw=raw)
        self.assertEqual((status, errors["terms"]), (400, ["Value must be valid JSON."]))


class BodyTest(Api, TestCase):
    """Bodies that are wrong as a whole; the same for create and patch."""

    def setUp(self):
        self.make_rows()
        self.contract = self.make_contract()
        self.calls = [
            ("POST", "/api/contracts"),
            ("PATCH", f"/api/contracts/{self.contract['id']}"),
        ]

    def test_no_json(self):
        bodies = [b"{", b"x", b'{"a": NaN}', b"\xff", b"{'a': 1}", b" ", b"[" * 100_000]
        for method, path in self.calls:
            for raw in bodies:
                with self.subTest(method=method, raw=raw[:20]):
                    answer = self.call(method, path, raw=raw)
                    self.assertEqual(answer, (400, {"detail": "JSON parse error."}))

    def test_no_object(self):
        expected = {"non_field_errors": ["Invalid data. Expected an object."]}
        for method, path in self.calls:
            for raw in [b"[]", b"null", b"1", b'"x"', b"true", b"[{}]"]:
                with self.subTest(method=method, raw=raw):
                    self.assertEqual(self.call(method, path, raw=raw), (400, expected))

    def test_other_media_types(self):
        for method, path in self.calls:
            response = self.client.generic(method, path, "a=1", content_type="text/plain")
            self.assertEqual(response.status_code, 415)
            detail = 'Unsupported media type "text/plain" in request.'
            self.assertEqual(response.json(), {"detail": detail})

    def test_accept_is_ignored(self):
        status, _ = self.get("/api/contracts", Accept="text/html")
        self.assertEqual(status, 200)
        self.assertEqual(self.response.headers["Content-Type"], "application/json")
        pattern = re.compile(rb'^\{"count":')
        self.assertRegex(self.response.content, pattern)

    def test_body_that_is_too_large(self):
        raw = b'{"title": "' + b"x" * 3_000_000 + b'"}'
        for method, path in self.calls:
            answer = self.call(method, path, raw=raw)
            self.assertEqual(answer, (413, {"detail": "Request body too large."}))
