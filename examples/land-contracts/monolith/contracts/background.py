"""One background write, and what became of it.

Stands for the cron jobs and task queues that write next to the web workers.
"""

import enum
import random

import psycopg
from django.db import Error, connection, transaction
from django.db.models import Max
from django.utils import timezone

from contracts.models import Contract, ContractEvent
from land.errors import READ_ONLY_SQLSTATE, sqlstate_of


class Outcome(enum.StrEnum):
    ACKNOWLEDGED = "acknowledged"  # the server confirmed the commit
    REFUSED = "refused"  # writes are closed (SQLSTATE 25006); nothing was stored
    FAILED = "failed"  # any other failure that is sure to have stored nothing
    UNKNOWN = "unknown"  # the connection broke while the commit was under way


def touch_random_contract(reference):
    """Counts the version of some contract up and stores an event with it.

    Returns the contract's id (None when none was reached), the outcome and
    the error's text. Raises no database error.
    """
    contract_id, committing = None, False
    try:
        connection.close_if_unusable_or_obsolete()
        contract_id = random_contract_id()
        if contract_id is None:
            return None, Outcome.FAILED, "there are no contracts"
        with transaction.atomic():
            contract = Contract.objects.select_for_update(no_key=True).get(pk=contract_id)
            now = timezone.now()
            contract.version += 1
            contract.updated_at = now
            contract.save(update_fields=["version", "updated_at"])
            ContractEvent.objects.create(
                contract_id=contract_id, kind="touched", reference=reference, at=now
            )
            committing = True
    except (Error, Contract.DoesNotExist) as error:
        if not server_refused(error):
            connection.close()
        return contract_id, outcome_of(error, committing), " ".join(str(error).split())
    return contract_id, Outcome.ACKNOWLEDGED, None


def outcome_of(error, committing):
    if sqlstate_of(error) == READ_ONLY_SQLSTATE:
        return Outcome.REFUSED
    if committing and not server_refused(error):
        return Outcome.UNKNOWN
    # The commit was not sent yet, or it was answered with an error: either way
    # the transaction rolled back.
    return Outcome.FAILED


def server_refused(error):
    """Whether the server answered with a plain error, which rolls back and
    keeps the connection. After FATAL or PANIC, or with no answer at all, the
    connection is gone and a commit may or may not have happened."""
    cause = error.__cause__
    return isinstance(cause, psycopg.Error) and cause.diag.severity_nonlocalized == "ERROR"


def random_contract_id():
    """An existing id: the nearest at or below a random number."""
    highest = Contract.objects.aggregate(highest=Max("id"))["highest"]
    if highest is None:
        return None
    drawn = random.randint(1, highest)
    ids = Contract.objects.order_by("-id").values_list("id", flat=True)
    return ids.filter(id__lte=drawn).first() or highest
