"""Checks what clients send. What they get is in representation.py."""

from rest_framework import serializers

from contracts.models import Contract
from land.fields import Day, ExistingId, JSONObject
from parties.models import Party
from plots.models import LandPlot


class NewContract(serializers.Serializer):
    reference = serializers.CharField(max_length=64)
    title = serializers.CharField(max_length=200)
    seller = ExistingId(Party.objects.all(), source="seller_id")
    buyer = ExistingId(Party.objects.all(), source="buyer_id")
    land_plot = ExistingId(LandPlot.objects.all(), source="land_plot_id")
    price = serializers.DecimalField(max_digits=14, decimal_places=2, min_value=0)
    currency = serializers.CharField(min_length=3, max_length=3, default="EUR")
    terms = JSONObject(default=dict)
    tags = serializers.ListField(
        child=serializers.CharField(max_length=40), max_length=10, default=list
    )
    signed_on = Day(allow_null=True, default=None)

    def validate_price(self, price):
        return price + 0  # "-0" is 0.00 once it is stored; say so at once


class StatusChange(serializers.Serializer):
    status = serializers.ChoiceField(choices=Contract.Status.choices)
    reference = serializers.CharField(max_length=64)
