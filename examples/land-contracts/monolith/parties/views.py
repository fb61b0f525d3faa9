from rest_framework import generics, serializers

from land.lists import PlainNotFound
from parties.models import Party


class PartySerializer(serializers.ModelSerializer):
    class Meta:
        model = Party
        fields = ["id", "name", "kind", "tax_number", "created_at"]


class PartyList(generics.ListCreateAPIView):
    queryset = Party.objects.order_by("-id")
    serializer_class = PartySerializer


class PartyDetail(PlainNotFound, generics.RetrieveAPIView):
    queryset = Party.objects.all()
    serializer_class = PartySerializer
