"""People and companies that sell and buy."""

from django.db import models
from django.utils import timezone


class Party(models.Model):
    class Kind(models.TextChoices):
        PERSON = "person"
        COMPANY = "company"

    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, choices=Kind)
    tax_number = models.CharField(max_length=32, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "parties"
