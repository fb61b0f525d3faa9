"""seed_contracts and touch_contracts."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from io import StringIO
from pathlib import Path
from urllib.parse import quote, urlencode

from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import TransactionTestCase

from contracts.models import Contract, ContractEvent, Tag
from documents.models import Document
from parties.models import Party
from tests.base import Api, fence, unfence

EVENTS = "contracts_contractevent"


def seed(**options):
    output = StringIO()
    call_command("seed_contracts", stdout=output, **options)
    return output.getvalue()


class SeedTest(Api, TransactionTestCase):
    def test_seed(self):
        output = seed(contracts=100)
        self.assertIn("Seeded 100 contracts.", output)
        self.assertEqual(Contract.objects.count(), 100)
        self.assertEqual(Contract.objects.filter(version=1).count(), 100)
        self.assertEqual(Tag.objects.count(), 40)
        self.assertEqual(Party.objects.count(), 20)
        self.assertEqual(Document.objects.count(), 20)
        self.assertEqual(get_user_model().objects.count(), 50)
        self.assertIsNotNone(authenticate(username="demo", password="demo-password"))
        for contract in Contract.objects.prefetch_related("tags", "events"):
            self.assertIn(len(contract.tags.all()), [1, 2, 3])
            (event,) = contract.events.all()
            self.assertEqual((event.kind, event.reference), ("created", contract.reference))

    def test_later_inserts_get_free_ids(self):
        seed(contracts=20)
        self.make_rows()
        made = self.make_contract(tags=["a new tag", "farm-north"])
        self.assertEqual(made["id"], Contract.objects.order_by("-id")[1].id + 1)

    def test_again(self):
        seed(contracts=20)
        with self.assertRaisesMessage(CommandError, "--again"):
            seed(contracts=20)
        seed(contracts=20, again=True)
        self.assertEqual(Contract.objects.values("reference").distinct().count(), 40)

    def test_same_seed_same_rows(self):
        columns = ["title", "price", "seller_id", "terms", "uid", "created_at", "status"]
        seen = []
        for number in (7, 7, 8):
            with connection.cursor() as cursor:
                cursor.execute(
                    "TRUNCATE contracts_contract, contracts_tag, parties_party, plots_landplot, "
                    "auth_user RESTART IDENTITY CASCADE"
                )
            seed(contracts=30, random_seed=number)
            seen.append(list(Contract.objects.order_by("id").values_list(*columns)))
        self.assertEqual(seen[0], seen[1])
        self.assertNotEqual(seen[0], seen[2])


class TouchTest(TransactionTestCase):
    def setUp(self):
        seed(contracts=30)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.record = Path(directory.name) / "record.jsonl"
        self.addCleanup(unfence, EVENTS)

    def start(self, *arguments):
        """The command as a process of its own, on the test's database."""
        database = connection.settings_dict
        query = {"host": database["HOST"], "port": database["PORT"], "user": database["USER"]}
        query |= {"password": database["PASSWORD"]}
        environment = {
            **os.environ,
            "DATABASE_URL": f"postgresql:///{quote(database['NAME'])}?{urlencode(query)}",
        }
        environment.pop("APPLICATION_NAME", None)
        process = subprocess.Popen(
            [sys.executable, "manage.py", "touch_contracts", "--record", self.record]
            + ["--rate", "100", *arguments],
            cwd=Path(__file__).parent.parent,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def lines(self):
        if not self.record.exists():
            return []
        return [json.loads(line) for line in self.record.read_text().splitlines()]

    def wait_for_outcome(self, outcome, count=1, since=0):
        deadline = time.monotonic() + 20
        while sum(line["outcome"] == outcome for line in self.lines()[since:]) < count:
            self.assertLess(time.monotonic(), deadline, f"waited for {outcome}")
            time.sleep(0.02)

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 0)
        return output

    def references(self):
        return set(ContractEvent.objects.filter(kind="touched").values_list("reference", flat=True))

    def test_what_is_recorded_is_what_is_stored(self):
        process = self.start("--prefix", "night")
        self.wait_for_outcome("acknowledged", 5)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT application_name FROM pg_stat_activity WHERE datname = %s",
                [connection.settings_dict["NAME"]],
            )
            self.assertIn(("land-contracts-cron",), cursor.fetchall())
        output = self.stop(process)
        lines = self.lines()
        self.assertEqual(
            output, f"touch_contracts: {len(lines)} acknowledged, 0 refused, 0 failed, 0 unknown\n"
        )
        expected = [f"night-{number}" for number in range(1, len(lines) + 1)]
        self.assertEqual([line["reference"] for line in lines], expected)
        self.assertEqual(self.references(), set(expected))
        self.assertEqual(set(lines[0]), {"reference", "contract", "outcome", "at", "ms"})
        for contract in Contract.objects.prefetch_related("events"):
            self.assertEqual(contract.version, len(contract.events.all()))
            touched = sum(line["contract"] == contract.id for line in lines)
            self.assertEqual(contract.version, 1 + touched)

    def test_ends_by_itself_and_counts_on(self):
        for _ in range(2):
            process = self.start("--seconds", "0.3")
            process.communicate(timeout=20)
            self.assertEqual(process.returncode, 0)
        references = [line["reference"] for line in self.lines()]
        self.assertGreater(len(references), 2)
        self.assertEqual(len(set(references)), len(references))
        self.assertEqual(self.references(), set(references))

    def test_refused_and_open_again(self):
        for timing in ["BEFORE INSERT", "AFTER INSERT"]:  # AFTER is deferred to the commit
            with self.subTest(timing=timing):
                self.record.unlink(missing_ok=True)
                process = self.start("--refused-pause", "0.02", "--prefix", timing)
                self.wait_for_outcome("acknowledged")
                fence(EVENTS, timing=timing)
                self.wait_for_outcome("refused", 3)
                unfence(EVENTS)
                before = len(self.lines())
                self.wait_for_outcome("acknowledged", since=before)
                self.stop(process)
                self.check_outcomes({"acknowledged", "refused"})

    def test_other_errors(self):
        process = self.start()
        fence(EVENTS, sqlstate="23514", timing="AFTER INSERT")
        self.wait_for_outcome("failed")
        unfence(EVENTS)
        self.wait_for_outcome("acknowledged")
        self.stop(process)
        self.check_outcomes({"acknowledged", "failed"})

    def test_connection_lost_at_the_commit(self):
        with connection.cursor() as cursor:
            cursor.execute(
                """CREATE OR REPLACE FUNCTION test_fence() RETURNS trigger LANGUAGE plpgsql AS
                $$BEGIN
                    IF NEW.reference = 'cron-3' THEN
                        PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(10);
                    END IF;
                    RETURN NULL;
                END$$"""
            )
            cursor.execute(
                f"""CREATE CONSTRAINT TRIGGER test_fence AFTER INSERT ON {EVENTS}
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION test_fence()"""
            )
        process = self.start()
        self.wait_for_outcome("acknowledged", 5)
        self.stop(process)
        self.check_outcomes({"acknowledged", "unknown"})
        self.assertEqual([line["outcome"] for line in self.lines()].index("unknown"), 2)

    def test_connection_lost_between_writes(self):
        process = self.start()
        self.wait_for_outcome("acknowledged")
        for _ in range(3):
            before = len(self.lines())
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'land-contracts-cron' AND datname = %s",
                    [connection.settings_dict["NAME"]],
                )
            self.wait_for_outcome("acknowledged", since=before + 1)
        self.stop(process)

    def test_no_contracts(self):
        ContractEvent.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE contracts_contract CASCADE")
        process = self.start()
        self.wait_for_outcome("failed")
        self.assertIn("0 acknowledged", self.stop(process))

    def check_outcomes(self, expected):
        """Acknowledged means stored; refused and failed mean not stored."""
        lines = self.lines()
        self.assertEqual({line["outcome"] for line in lines}, expected)
        stored = self.references()
        for line in lines:
            if line["outcome"] == "unknown":
                continue
            acknowledged = line["outcome"] == "acknowledged"
            self.assertEqual(line["reference"] in stored, acknowledged, line)
