"""Every change to contracts that a request can make.

A write is one short transaction that changes only tables of this app, so that
all of it can be refused, or moved to another service, as one.
"""

from django.db import transaction
from django.utils import timezone

from contracts.models import Contract, ContractEvent, Tag


def create_contract(fields, tag_names, created_by_id):
    """Stores a contract, its tags and the event `created`."""
    now = timezone.now()
    with transaction.atomic():
        contract = Contract.objects.create(
            **fields, created_by_id=created_by_id, created_at=now, updated_at=now
        )
        through = Contract.tags.through
        through.objects.bulk_create(
            through(contract_id=contract.id, tag_id=tag_id) for tag_id in ids_of_tags(tag_names)
        )
        ContractEvent.objects.create(
            contract_id=contract.id, kind="created", reference=contract.reference, at=now
        )
    return contract


def change_status(contract_id, status, reference):
    """Sets the status, counts the version up and stores the event
    `status:<status>`. Raises Contract.DoesNotExist."""
    with transaction.atomic():
        # The key does not change, so whoever only refers to the contract (a
        # new document) need not wait for this transaction.
        contract = Contract.objects.select_for_update(no_key=True).get(pk=contract_id)
        # Only now, with the lock held: times must grow with versions.
        now = timezone.now()
        contract.status = status
        contract.version += 1
        contract.updated_at = now
        contract.save(update_fields=["status", "version", "updated_at"])
        ContractEvent.objects.create(
            contract_id=contract.id, kind=f"status:{status}", reference=reference, at=now
        )
    return contract


def ids_of_tags(names):
    """The ids of the tags with these names; unknown ones are made.

    Safe against another transaction that makes the same tag: the insert waits
    for it and then does nothing, and the second look sees its row. Sorted, so
    that two transactions wait for each other in one direction only.
    """
    names = sorted(set(names))
    if not names:
        return []
    ids = dict(Tag.objects.filter(name__in=names).values_list("name", "id"))
    missing = [name for name in names if name not in ids]
    if missing:
        Tag.objects.bulk_create([Tag(name=name) for name in missing], ignore_conflicts=True)
        ids.update(Tag.objects.filter(name__in=missing).values_list("name", "id"))
    return [ids[name] for name in names]
