"""Made-up rows for every table, the same ones for the same random seed.

Each function yields rows in the order of its column list. Ids come from
outside, so that they can be drawn from the tables' own sequences.
"""

import datetime
import json
import random
import uuid

from contracts.models import Contract

FIRST_DAY = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
REGIONS = ["Alder Vale", "Birch County", "Eastmark", "Lowmoor", "Northfold", "Seven Wells"]
USES = ["Field", "Forest", "Meadow", "Orchard", "Pasture", "Vineyard", "Building site", "Quarry"]
FAMILY_NAMES = ["Adler", "Brandt", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Horvath"]
GIVEN_NAMES = ["Anna", "Bela", "Clara", "David", "Elena", "Felix", "Greta", "Hugo", "Ines", "Jan"]
STAGES = ["survey", "valuation", "permit", "notary", "payment", "land register"]
TAGS = [
    f"{kind}-{place}"
    for kind in ("farm", "forest", "lease", "sale", "urban", "water", "border", "heritage")
    for place in ("north", "east", "south", "west", "centre")
]

PARTY_COLUMNS = ["id", "name", "kind", "tax_number", "created_at"]
PLOT_COLUMNS = ["id", "cadastral_number", "area_m2", "region", "created_at"]
CONTRACT_COLUMNS = [
    "id", "uid", "reference", "title", "status", "seller_id", "buyer_id", "land_plot_id",
    "price", "currency", "terms", "signed_on", "version", "created_by_id", "created_at",
    "updated_at",
]  # fmt: skip
TAGGING_COLUMNS = ["contract_id", "tag_id"]
EVENT_COLUMNS = ["id", "contract_id", "kind", "reference", "at"]
DOCUMENT_COLUMNS = [
    "id", "contract_id", "reference", "title", "media_type", "size_bytes", "created_at",
]  # fmt: skip
SIGNATURE_COLUMNS = ["contract_id", "party_id", "signed_at"]
STAGE_COLUMNS = ["contract_id", "name", "due_on", "done_on"]


def random_uuid(rng):
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def time_of(position):
    """Rows are seven minutes apart: 50,000 of them span eight months."""
    return FIRST_DAY + datetime.timedelta(minutes=7 * position)


def reference_of(contract_id):
    return f"seed-{contract_id:06d}"


def parties(rng, ids):
    for position, party_id in enumerate(ids):
        family = rng.choice(FAMILY_NAMES)
        if rng.random() < 0.3:
            name, kind = f"{family} Land {party_id} Ltd", "company"
        else:
            name, kind = f"{rng.choice(GIVEN_NAMES)} {family}", "person"
        yield party_id, name, kind, f"T{party_id:08d}", time_of(position)


def plots(rng, ids):
    for position, plot_id in enumerate(ids):
        area = f"{rng.randrange(200, 900_000)}.{rng.randrange(100):02d}"
        number = f"{plot_id // 1000:03d}/{plot_id % 1000:03d}-{plot_id}"
        yield plot_id, number, area, rng.choice(REGIONS), time_of(position)


def contracts(rng, ids, party_ids, plot_ids, user_ids):
    statuses, weights = Contract.Status.values, [40, 35, 20, 5]
    drawn = rng.choices(statuses, weights, k=len(ids))
    for position, (contract_id, status) in enumerate(zip(ids, drawn, strict=True)):
        at = time_of(position)
        seller, buyer = rng.sample(party_ids, 2)
        terms = {"pay_days": rng.choice([14, 30, 60]), "deposit": rng.random() < 0.5}
        yield (
            contract_id,
            random_uuid(rng),
            reference_of(contract_id),
            f"{rng.choice(USES)} {contract_id}",
            status,
            seller,
            buyer,
            rng.choice(plot_ids),
            f"{rng.randrange(500, 2_000_000)}.{rng.choice(('00', '50', '99'))}",
            "EUR" if rng.random() < 0.9 else "CHF",
            json.dumps(terms),
            None if status == "draft" else at.date(),
            1,
            rng.choice(user_ids) if rng.random() < 0.9 else None,
            at,
            at,
        )


def taggings(rng, ids, tag_ids):
    for contract_id in ids:
        for tag_id in rng.sample(tag_ids, rng.randint(1, 3)):
            yield contract_id, tag_id


def events(rng, ids):
    for position, contract_id in enumerate(ids):
        reference = reference_of(contract_id)
        yield random_uuid(rng), contract_id, "created", reference, time_of(position)


def documents(rng, contract_ids):
    for position, contract_id in enumerate(contract_ids):
        reference = f"{reference_of(contract_id)}-document"
        size = rng.randrange(20_000, 8_000_000)
        title = f"{rng.choice(('Deed', 'Survey', 'Map', 'Appraisal'))} of contract {contract_id}"
        at = time_of(position)
        yield random_uuid(rng), contract_id, reference, title, "application/pdf", size, at


def signatures(rng, contract_ids, party_ids):
    for position, contract_id in enumerate(contract_ids):
        yield contract_id, rng.choice(party_ids), time_of(position)


def stages(rng, contract_ids):
    for position, contract_id in enumerate(contract_ids):
        due = time_of(position).date() + datetime.timedelta(days=30)
        yield contract_id, rng.choice(STAGES), due, due if rng.random() < 0.5 else None


def some_of(rng, ids, count):
    """`count` of the ids, in order, so that rows land next to each other."""
    return sorted(rng.sample(ids, min(count, len(ids))))


def generator(seed, first_contract_id):
    """The first id takes part, so that a second seeding makes other uuids."""
    return random.Random(f"{seed}/{first_contract_id}")
