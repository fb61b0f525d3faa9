from rest_framework import generics, serializers

from land.lists import OfContract
from signatures.models import Signature


class SignatureSerializer(serializers.ModelSerializer):
    class Meta:
        model = Signature
        fields = ["id", "contract", "party", "signed_at"]


class SignatureList(OfContract, generics.ListCreateAPIView):
    queryset = Signature.objects.order_by("-id")
    serializer_class = SignatureSerializer
