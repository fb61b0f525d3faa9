"""GET /api/contracts."""

from django.contrib.auth import get_user_model
from django.test import TestCase

from tests.base import Api

URL = "http://land.example:8080/api/contracts"


class ListContractsTest(Api, TestCase):
    def setUp(self):
        self.make_rows()

    def make_contracts(self, count, **fields):
        made = [self.make_contract(title=f"Field {n}", **fields) for n in range(count)]
        return [contract["id"] for contract in reversed(made)]

    def list(self, query=""):
        status, body = self.get(f"/api/contracts{query}", Host="land.example:8080")
        self.assertEqual(status, 200, body)
        return body

    def ids(self, query=""):
        return [contract["id"] for contract in self.list(query)["results"]]

    def test_nothing(self):
        expected = {"count": 0, "next": None, "previous": None, "results": []}
        self.assertEqual(self.list(), expected)
        self.assertEqual(self.list("?page=1"), expected)

    def test_contracts_are_whole(self):
        user = get_user_model().objects.create(username="clerk")
        _, first = self.post(
            "/api/contracts",
            self.new_contract(tags=["b", "a"], terms={"x": [1]}, signed_on="2026-11-20"),
            **{"X-User-Id": str(user.id)},
        )
        second = self.make_contract()
        self.assertEqual(self.list()["results"], [second, first])

    def test_pages(self):
        ids = self.make_contracts(25)
        first = self.list()
        self.assertEqual([c["id"] for c in first["results"]], ids[:20])
        self.assertEqual(first["count"], 25)
        self.assertEqual((first["next"], first["previous"]), (f"{URL}?page=2", None))
        second = self.list("?page=2")
        self.assertEqual([c["id"] for c in second["results"]], ids[20:])
        self.assertEqual((second["next"], second["previous"]), (None, URL))

    def test_links_keep_the_other_parameters(self):
        self.make_contracts(5)
        for query, next_query, previous_query in [
            ("?page_size=2", "?page_size=2&page=2", None),
            ("?page=2&page_size=2", "?page=3&page_size=2", "?page_size=2"),
            (
                "?status=draft&page=2&page_size=2",
                "?status=draft&page=3&page_size=2",
                "?status=draft&page_size=2",
            ),
            (
                "?page_size=1&page=3&x=a%20b+c&tag=",
                "?page_size=1&page=4&x=a%20b+c&tag=",
                "?page_size=1&page=2&x=a%20b+c&tag=",
            ),
            ("?page_size=2&page=", "?page_size=2&page=2", None),
            ("?page=9&page_size=2&page=2", "?page=3&page_size=2", "?page_size=2"),
        ]:
            with self.subTest(query=query):
                body = self.list(query)
                self.assertEqual(body["next"], URL + next_query)
                self.assertEqual(body["previous"], previous_query and URL + previous_query)

    def test_scheme_is_http(self):
        self.make_contracts(2)
        headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "other"}
        _, body = self.get("/api/contracts?page_size=1", **headers)
        self.assertEqual(body["next"], "http://testserver/api/contracts?page_size=1&page=2")

    def test_page_sizes(self):
        ids = self.make_contracts(21)
        for given in ["", "0", "-1", "x", "1.5", "1e1", "%2B5", "٣"]:
            with self.subTest(page_size=given):
                self.assertEqual(self.ids(f"?page_size={given}"), ids[:20])
        self.assertEqual(self.ids("?page_size=21"), ids)
        self.assertEqual(self.ids("?page_size=1"), ids[:1])

    def test_page_size_is_at_most_100(self):
        ids = self.make_contracts(101)
        for given in ["100", "101", "1000", "9" * 30, "9" * 5000]:
            with self.subTest(page_size=given[:9]):
                self.assertEqual(self.ids(f"?page_size={given}"), ids[:100])

    def test_pages_that_do_not_exist(self):
        self.make_contracts(1)
        for page in ["2", "0", "-1", "x", "last", "1.0", "%201", "1_0", "9" * 30, "9" * 5000]:
            with self.subTest(page=page[:9]):
                answer = self.get(f"/api/contracts?page={page}")
                self.assertEqual(answer, (404, {"detail": "Invalid page."}))

    def test_filters(self):
        first = self.make_contract(tags=["farm", "north"])["id"]
        second = self.make_contract(tags=["farm"], seller=self.buyer.id, buyer=self.seller.id)["id"]
        self.patch(f"/api/contracts/{second}", {"status": "active", "reference": "r"})
        anna, ltd = self.seller.id, self.buyer.id
        for query, ids in [
            ("status=draft", [first]),
            ("status=active", [second]),
            ("status=completed", []),
            ("status=cancelled", []),
            (f"seller={anna}", [first]),
            (f"buyer={anna}", [second]),
            (f"seller={ltd}&buyer={anna}", [second]),
            (f"seller={ltd}&status=draft", []),
            ("seller=99999999", []),
            ("seller=-1", []),
            (f"seller={2**63}", []),
            ("tag=farm", [second, first]),
            ("tag=north", [first]),
            ("tag=unknown", []),
            ("tag=%00", []),
            ("tag=farm&status=active", [second]),
            ("status=&seller=&buyer=&tag=&page=&page_size=", [second, first]),
        ]:
            with self.subTest(query=query):
                body = self.list(f"?{query}")
                self.assertEqual([c["id"] for c in body["results"]], ids)
                self.assertEqual(body["count"], len(ids))
        self.assertEqual(self.list("?tag=farm")["results"][1]["tags"], ["farm", "north"])

    def test_wrong_filters(self):
        integer = ["A valid integer is required."]
        for query, errors in [
            ("seller=x", {"seller": integer}),
            ("buyer=1.5", {"buyer": integer}),
            ("buyer=1.0", {"buyer": integer}),
            ("status=x", {"status": ['"x" is not a valid choice.']}),
            ("status=Draft", {"status": ['"Draft" is not a valid choice.']}),
            (
                "seller=x&buyer=y&status=z&page=99",
                {
                    "seller": integer,
                    "buyer": integer,
                    "status": ['"z" is not a valid choice.'],
                },
            ),
        ]:
            with self.subTest(query=query):
                self.assertEqual(self.get(f"/api/contracts?{query}"), (400, errors))

    def test_queries_do_not_grow_with_the_page(self):
        self.make_contracts(3, tags=["a", "b"])
        with self.assertNumQueries(3):
            self.list("?page_size=1")
        with self.assertNumQueries(3):
            self.list("?tag=a")
