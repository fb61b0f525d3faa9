"""Pieces of land."""

from django.db import models
from django.utils import timezone


class LandPlot(models.Model):
    cadastral_number = models.CharField(max_length=40, unique=True)
    area_m2 = models.DecimalField(max_digits=14, decimal_places=2)
    region = models.CharField(max_length=80)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
