"""Contracts and events as the API shows them.

Plain dictionaries rather than DRF serializers: the list is the busiest
address, and serializers took most of its time.
"""

from contracts.models import Contract


def contracts_as_json(contracts):
    """Reads the tags of all the contracts with one query."""
    tags = {contract.id: [] for contract in contracts}
    if tags:
        pairs = Contract.tags.through.objects.filter(contract_id__in=tags)
        for contract_id, name in pairs.values_list("contract_id", "tag__name"):
            tags[contract_id].append(name)
    return [contract_as_json(contract, tags[contract.id]) for contract in contracts]


def contract_as_json(contract, tag_names):
    return {
        "id": contract.id,
        "uid": str(contract.uid),
        "reference": contract.reference,
        "title": contract.title,
        "status": contract.status,
        "seller": contract.seller_id,
        "buyer": contract.buyer_id,
        "land_plot": contract.land_plot_id,
        "price": str(contract.price),
        "currency": contract.currency,
        "terms": contract.terms,
        # By code point, not by the database's collation.
        "tags": sorted(tag_names),
        "signed_on": contract.signed_on.isoformat() if contract.signed_on else None,
        "version": contract.version,
        "created_by": contract.created_by_id,
        "created_at": time_as_json(contract.created_at),
        "updated_at": time_as_json(contract.updated_at),
    }


def event_as_json(event):
    return {
        "id": str(event.id),
        "kind": event.kind,
        "reference": event.reference,
        "at": time_as_json(event.at),
    }


def time_as_json(time):
    """Always six decimals, which isoformat() leaves out when they are zero."""
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")
