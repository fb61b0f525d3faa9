"""The stages a contract goes through, from survey to land register."""

from django.db import models


class Stage(models.Model):
    contract = models.ForeignKey("contracts.Contract", models.PROTECT)
    name = models.CharField(max_length=80)
    due_on = models.DateField(null=True, blank=True)
    done_on = models.DateField(null=True, blank=True)
