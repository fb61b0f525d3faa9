"""The capability that moves: contracts, their tags and their events.

The three models and the table between contracts and tags are written only by
this app. They point at parties, plots and users; documents, signatures and
stages point at them.
"""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone


class Tag(models.Model):
    name = models.CharField(max_length=40, unique=True)


class Contract(models.Model):
    class Status(models.TextChoices):
        DRAFT = "draft"
        ACTIVE = "active"
        COMPLETED = "completed"
        CANCELLED = "cancelled"

    uid = models.UUIDField(default=uuid.uuid4, unique=True)
    # The client's name for the write that made the contract. Not unique: a
    # write that was done twice must be visible, not impossible.
    reference = models.CharField(max_length=64)
    title = models.CharField(max_length=200)
    status = models.CharField(max_length=16, choices=Status, default=Status.DRAFT)
    seller = models.ForeignKey("parties.Party", models.PROTECT, related_name="sales")
    buyer = models.ForeignKey("parties.Party", models.PROTECT, related_name="purchases")
    land_plot = models.ForeignKey("plots.LandPlot", models.PROTECT)
    price = models.DecimalField(max_digits=14, decimal_places=2)
    currency = models.CharField(max_length=3, default="EUR")
    terms = models.JSONField(default=dict)
    tags = models.ManyToManyField(Tag)
    signed_on = models.DateField(null=True)
    version = models.IntegerField(default=1)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        # Not db_index=True, which adds a second index for LIKE.
        indexes = [models.Index(fields=["reference"], name="contracts_contract_reference")]


class ContractEvent(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    contract = models.ForeignKey(Contract, models.PROTECT, related_name="events")
    kind = models.CharField(max_length=32)
    reference = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["reference"], name="contracts_event_reference")]
