"""What the database sees of a write: one transaction, locks, the fence."""

import threading
from concurrent.futures import ThreadPoolExecutor

from django.db import connection
from django.test import TestCase, TransactionTestCase
from django.test.utils import CaptureQueriesContext

from contracts.models import Contract, ContractEvent, Tag
from contracts.writes import change_status, create_contract
from tests.base import MOVED_TABLES, Api, fence, unfence


class FenceTest(Api, TestCase):
    """PostgreSQL answers SQLSTATE 25006 where Banyan has closed the writes."""

    def setUp(self):
        self.make_rows()
        self.contract = self.make_contract()
        self.path = f"/api/contracts/{self.contract['id']}"

    def test_each_fenced_table_refuses_the_write(self):
        for table in MOVED_TABLES:
            with self.subTest(table=table):
                fence(table)
                answer = self.post("/api/contracts", self.new_contract(tags=[f"new {table}"]))
                unfence(table)
                closed = {"detail": "Writes are closed for a moment. Try again."}
                self.assertEqual(answer, (503, closed))
                self.assertEqual(self.response.headers["Retry-After"], "1")
        self.assertEqual(Contract.objects.count(), 1)
        self.assertEqual(ContractEvent.objects.count(), 1)
        self.assertFalse(Tag.objects.exists())

    def test_patch_is_refused_and_reads_go_on(self):
        fence(*MOVED_TABLES)
        status, _ = self.patch(self.path, {"status": "active", "reference": "r"})
        self.assertEqual(status, 503)
        self.assertEqual(self.get(self.path), (200, self.contract))
        self.assertEqual(self.get("/api/contracts")[0], 200)
        self.assertEqual(self.post("/api/parties", {"name": "B", "kind": "person"})[0], 201)

    def test_other_errors_are_500(self):
        fence("contracts_contractevent", sqlstate="23514")
        with self.assertLogs("land.errors", "ERROR"):
            answer = self.patch(self.path, {"status": "active", "reference": "r"})
        self.assertEqual(answer, (500, {"detail": "Internal server error."}))


class RefusedCommitTest(Api, TransactionTestCase):
    def test_commit_that_is_refused(self):
        self.make_rows()
        fence("contracts_contractevent", timing="AFTER INSERT")
        self.addCleanup(unfence, "contracts_contractevent")
        self.assertEqual(self.post("/api/contracts", self.new_contract())[0], 503)
        self.assertFalse(Contract.objects.exists())


class TransactionTest(Api, TransactionTestCase):
    def setUp(self):
        self.make_rows()

    def fields(self):
        return {
            "reference": "r",
            "title": "t",
            "seller_id": self.seller.id,
            "buyer_id": self.buyer.id,
            "land_plot_id": self.plot.id,
            "price": 1,
        }

    def test_reads_are_outside_of_the_transaction(self):
        with CaptureQueriesContext(connection) as queries:
            contract = self.make_contract(tags=["new"])
        statements = [query["sql"] for query in queries]
        inside = statements[statements.index("BEGIN") + 1 : statements.index("COMMIT")]
        for statement in inside:
            self.assertRegex(statement, r'^(INSERT INTO|SELECT .* FROM) "contracts_')
        with CaptureQueriesContext(connection) as queries:
            self.get(f"/api/contracts/{contract['id']}")
            self.get("/api/contracts")
        self.assertNotIn("BEGIN", [query["sql"] for query in queries])

    def test_same_new_tags_at_the_same_time(self):
        workers = 8
        start = threading.Barrier(workers)

        def work(number):
            try:
                start.wait(10)
                names = [f"tag {(number + step) % 10}" for step in range(10)]
                return create_contract(self.fields(), names, None).id
            finally:
                connection.close()

        with ThreadPoolExecutor(workers) as pool:
            ids = list(pool.map(work, range(workers)))
        self.assertEqual(len(set(ids)), workers)
        self.assertEqual(Tag.objects.count(), 10)
        self.assertEqual(Contract.tags.through.objects.count(), workers * 10)

    def test_changes_at_the_same_time_are_all_counted(self):
        contract_id = create_contract(self.fields(), [], None).id

        def work(number):
            try:
                return change_status(contract_id, "active", f"r{number}").version
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            versions = sorted(pool.map(work, range(24)))
        self.assertEqual(versions, list(range(2, 26)))
        self.assertEqual(Contract.objects.get().version, 25)
        # Times grow with versions, so the events are in the order of writing.
        self.assertEqual(ContractEvent.objects.count(), 25)

    def test_lost_connection_is_replaced(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (backend,) = cursor.fetchone()

        def kill():
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(kill).result()
        with self.assertLogs("land.errors", "ERROR"):
            self.assertEqual(self.get("/api/contracts")[0], 500)
        self.assertEqual(self.get("/health")[0], 503)
        self.assertEqual(self.get("/health"), (200, {"status": "ok"}))
        self.assertEqual(self.get("/api/contracts")[0], 200)
