"""Who signed which contract, and when."""

from django.db import models
from django.utils import timezone


class Signature(models.Model):
    contract = models.ForeignKey("contracts.Contract", models.PROTECT)
    party = models.ForeignKey("parties.Party", models.PROTECT)
    signed_at = models.DateTimeField(default=timezone.now)
