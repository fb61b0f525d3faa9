"""What the tests share: a client that speaks JSON, and a few rows."""

import json

from django.db import connection

from contracts.models import Contract
from parties.models import Party
from plots.models import LandPlot

TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"
UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


class Api:
    """Mixed into a test case; each call answers (status, decoded body)."""

    def call(self, method, path, body=None, raw=None, **headers):
        data = b"" if body is None and raw is None else raw
        data = json.dumps(body) if data is None else data
        response = self.client.generic(
            method, path, data, content_type="application/json", headers=headers
        )
        self.response = response
        self.assertNotIn("text/html", response.headers.get("Content-Type", ""))
        return response.status_code, json.loads(response.content) if response.content else None

    def get(self, path, **headers):
        return self.call("GET", path, **headers)

    def post(self, path, body, **headers):
        return self.call("POST", path, body, **headers)

    def patch(self, path, body):
        return self.call("PATCH", path, body)

    def make_rows(self):
        self.seller = Party.objects.create(name="Anna Adler", kind="person")
        self.buyer = Party.objects.create(name="Land Ltd", kind="company")
        self.plot = LandPlot.objects.create(cadastral_number="1/2", area_m2="9.50", region="North")

    def new_contract(self, **fields):
        """A body that is accepted; None leaves a field out."""
        body = {
            "reference": "w1-1",
            "title": "Field 12",
            "seller": self.seller.id,
            "buyer": self.buyer.id,
            "land_plot": self.plot.id,
            "price": "12500.00",
        }
        return {**body, **fields}

    def make_contract(self, **fields):
        status, contract = self.post("/api/contracts", self.new_contract(**fields))
        self.assertEqual(status, 201, contract)
        return contract


def fence(*tables, sqlstate="25006", timing="BEFORE INSERT OR UPDATE OR DELETE"):
    """Makes PostgreSQL answer writes to the tables with this SQLSTATE."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""CREATE OR REPLACE FUNCTION test_fence() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'closed by a test' USING ERRCODE = '{sqlstate}'; END$$"""
        )
        kind, when = ("CONSTRAINT ", "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW")
        if timing.startswith("BEFORE"):
            kind, when = ("", "FOR EACH STATEMENT")
        for table in tables:
            cursor.execute(
                f"CREATE {kind}TRIGGER test_fence {timing} ON {table} {when} "
                "EXECUTE FUNCTION test_fence()"
            )


def unfence(*tables):
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"DROP TRIGGER IF EXISTS test_fence ON {table}")


MOVED_TABLES = [
    model._meta.db_table
    for model in (
        Contract,
        Contract.tags.through,
        Contract.tags.rel.model,
        Contract.events.rel.related_model,
    )
]
