from rest_framework import generics, serializers

from documents.models import Document
from land.lists import OfContract, PlainNotFound


class DocumentSerializer(serializers.ModelSerializer):
    class Meta:
        model = Document
        fields = [
            "id",
            "contract",
            "reference",
            "title",
            "media_type",
            "size_bytes",
            "created_at",
        ]


class DocumentList(OfContract, generics.ListCreateAPIView):
    queryset = Document.objects.order_by("-created_at", "-id")
    serializer_class = DocumentSerializer


class DocumentDetail(PlainNotFound, generics.RetrieveAPIView):
    queryset = Document.objects.all()
    serializer_class = DocumentSerializer
