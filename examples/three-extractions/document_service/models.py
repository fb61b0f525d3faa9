"""Files that belong to a contract; here only what is known about them."""

import uuid

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone


class Document(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # No foreign key: the contract is in another service's database.
    contract = models.BigIntegerField(db_index=True)
    reference = models.CharField(max_length=64)
    title = models.CharField(max_length=200)
    media_type = models.CharField(max_length=100, default="application/pdf")
    size_bytes = models.BigIntegerField(validators=[MinValueValidator(0)])
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "documents"
