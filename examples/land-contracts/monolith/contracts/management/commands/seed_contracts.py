"""Fills the database with made-up contracts and everything around them."""

import time

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from contracts import seeding
from contracts.models import Contract, ContractEvent, Tag
from documents.models import Document
from parties.models import Party
from plots.models import LandPlot
from signatures.models import Signature
from workflow.models import Stage

USERS = 50
TABLES = [Party, LandPlot, Contract, Tag, Contract.tags.through, ContractEvent]
TABLES += [Document, Signature, Stage]


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("--contracts", type=int, default=50_000, metavar="N")
        parser.add_argument("--random-seed", type=int, default=1, metavar="N")
        parser.add_argument(
            "--again", action="store_true", help="add to tables that already have rows"
        )

    def handle(self, *, contracts, random_seed, again, **options):
        if contracts < 1:
            raise CommandError("--contracts must be at least 1.")
        filled = [model._meta.db_table for model in TABLES if model.objects.exists()]
        if filled and not again:
            raise CommandError(f"Not empty: {', '.join(filled)}. Add to them with --again.")

        self.started = time.monotonic()
        # One transaction: a seed that stops halfway leaves nothing behind.
        with transaction.atomic():
            self.seed(contracts, random_seed)
        self.progress("committed")
        with connection.cursor() as cursor:
            # VACUUM as well, so that the first reads need not write hint bits.
            for model in TABLES:
                cursor.execute(f'VACUUM (ANALYZE) "{model._meta.db_table}"')
        self.progress("analyzed")
        self.stdout.write(f"Seeded {contracts} contracts. Sign in as demo with demo-password.")

    def seed(self, count, random_seed):
        ids = new_ids(Contract, count)
        rng = seeding.generator(random_seed, ids[0])
        user_ids = self.users()
        tag_ids = self.tags()
        party_ids = new_ids(Party, max(20, count // 10))
        self.copy(Party, seeding.PARTY_COLUMNS, seeding.parties(rng, party_ids))
        plot_ids = new_ids(LandPlot, max(20, count // 5))
        self.copy(LandPlot, seeding.PLOT_COLUMNS, seeding.plots(rng, plot_ids))

        rows = seeding.contracts(rng, ids, party_ids, plot_ids, user_ids)
        self.copy(Contract, seeding.CONTRACT_COLUMNS, rows)
        through = Contract.tags.through
        self.copy(through, seeding.TAGGING_COLUMNS, seeding.taggings(rng, ids, tag_ids))
        self.copy(ContractEvent, seeding.EVENT_COLUMNS, seeding.events(rng, ids))

        some = [seeding.some_of(rng, ids, count // 5) for _ in range(3)]
        self.copy(Document, seeding.DOCUMENT_COLUMNS, seeding.documents(rng, some[0]))
        rows = seeding.signatures(rng, some[1], party_ids)
        self.copy(Signature, seeding.SIGNATURE_COLUMNS, rows)
        self.copy(Stage, seeding.STAGE_COLUMNS, seeding.stages(rng, some[2]))

    def users(self):
        """Only `demo` can sign in: hashing a password is slow on purpose."""
        user = get_user_model()
        wanted = [user(username="demo", password=make_password("demo-password"))]
        wanted += [
            user(username=f"clerk-{number:02d}", password=make_password(None))
            for number in range(1, USERS)
        ]
        user.objects.bulk_create(wanted, ignore_conflicts=True)
        names = [each.username for each in wanted]
        ids = user.objects.filter(username__in=names).order_by("id")
        return list(ids.values_list("id", flat=True))

    def tags(self):
        Tag.objects.bulk_create([Tag(name=name) for name in seeding.TAGS], ignore_conflicts=True)
        ids = Tag.objects.filter(name__in=seeding.TAGS).order_by("id")
        return list(ids.values_list("id", flat=True))

    def copy(self, model, columns, rows):
        table, names = model._meta.db_table, ", ".join(columns)
        count = 0
        with connection.cursor() as cursor:
            with cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(row)
                    count += 1
        self.progress(f"{count:>7} rows in {table}")

    def progress(self, text):
        self.stdout.write(f"{time.monotonic() - self.started:6.2f} s  {text}")
        self.stdout.flush()


def new_ids(model, count):
    """Drawn from the table's sequence: nobody else gets them, before or after."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)",
            [f'"{model._meta.db_table}"', count],
        )
        return [number for (number,) in cursor.fetchall()]
