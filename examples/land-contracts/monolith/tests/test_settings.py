"""The environment, and what the migrations make of the models."""

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.test import SimpleTestCase, TestCase

from land.database_url import parse_database_url
from land.pagination import replace_page


class DatabaseUrlTest(SimpleTestCase):
    def test_whole_url(self):
        url = "postgres://us%40er:p%2Fw@db.example:6432/la%20nd?sslmode=require"
        parsed = parse_database_url(url)
        self.assertEqual(parsed.pop("ENGINE"), "django.db.backends.postgresql")
        expected = {"NAME": "la nd", "USER": "us@er", "PASSWORD": "p/w", "HOST": "db.example"}
        expected |= {"PORT": "6432", "OPTIONS": {"sslmode": "require"}}
        self.assertEqual(parsed, expected)

    def test_socket_directory(self):
        parsed = parse_database_url("postgresql:///land?host=/run/postgresql&user=me")
        self.assertEqual((parsed["HOST"], parsed["USER"]), ("/run/postgresql", "me"))
        self.assertEqual((parsed["PORT"], parsed["OPTIONS"]), ("", {}))

    def test_wrong_urls_are_not_repeated(self):
        for url in [
            "mysql://u:secret@h/land",
            "postgresql://u:secret@h",
            "postgres://u:secret@h:x/",
        ]:
            with self.subTest(url=url), self.assertRaises(ImproperlyConfigured) as caught:
                parse_database_url(url)
            self.assertNotIn("secret", str(caught.exception))


class EnvironmentTest(SimpleTestCase):
    def check(self, **environment):
        kept = {name: os.environ[name] for name in ("PATH", "DATABASE_URL")}
        environment = {k: v for k, v in {**kept, **environment}.items() if v is not None}
        return subprocess.run(
            [sys.executable, "manage.py", "check"],
            cwd=Path(__file__).parent.parent,
            env=environment,
            capture_output=True,
            text=True,
        )

    def test_secret_key(self):
        self.assertIn("Set DJANGO_SECRET_KEY", self.check().stderr)
        self.assertEqual(self.check(DJANGO_SECRET_KEY="x").returncode, 0)
        self.assertEqual(self.check(DEBUG="1").returncode, 0)

    def test_database_url(self):
        self.assertIn("Set DATABASE_URL", self.check(DEBUG="1", DATABASE_URL=None).stderr)


class LinkTest(SimpleTestCase):
    def test_replace_page(self):
        for query, number, expected in [
            ("", 2, "page=2"),
            ("", 1, ""),
            ("page=2", 1, ""),
            ("a=1&page=2&b=%2F", 3, "a=1&page=3&b=%2F"),
            ("pages=1&xpage=2&page", 3, "pages=1&xpage=2&page=3"),
        ]:
            self.assertEqual(replace_page(query, number), expected)


class MigrationsTest(TestCase):
    def test_no_migration_is_missing(self):
        call_command("makemigrations", check=True, dry_run=True, stdout=StringIO())

    def test_reference_has_one_plain_index(self):
        for table in ["contracts_contract", "contracts_contractevent"]:
            with connection.cursor() as cursor:
                constraints = connection.introspection.get_constraints(cursor, table)
            found = [c for c in constraints.values() if c["columns"] == ["reference"]]
            self.assertEqual([c["unique"] for c in found], [False])

    def test_foreign_keys_are_deferred(self):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*), bool_and(condeferrable AND condeferred) FROM pg_constraint "
                "WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
            )
            count, deferred = cursor.fetchone()
        self.assertGreater(count, 10)
        self.assertTrue(deferred)
