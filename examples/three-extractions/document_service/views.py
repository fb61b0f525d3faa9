from rest_framework import generics, serializers
from rest_framework.exceptions import ValidationError

from document_service import contracts
from document_service.models import Document
from land.fields import BIGINT_MAX, read_integer
from land.lists import PlainNotFound, integer_filters


class ContractField(serializers.Field):
    """The number of a contract that there is."""

    default_error_messages = {
        "invalid": "A valid integer is required.",
        "does_not_exist": 'Invalid pk "{value}" - object does not exist.',
    }

    def to_internal_value(self, data):
        try:
            number = read_integer(data)
        except ValueError:
            self.fail("invalid")
        if not 0 < number <= BIGINT_MAX or not contracts.exists(number):
            self.fail("does_not_exist", value=data)
        return number

    def to_representation(self, value):
        return value


class DocumentSerializer(serializers.ModelSerializer):
    contract = ContractField()

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


class DocumentList(generics.ListCreateAPIView):
    queryset = Document.objects.order_by("-created_at", "-id")
    serializer_class = DocumentSerializer

    def filter_queryset(self, queryset):
        filters, errors = integer_filters(self.request, "contract")
        if errors:
            raise ValidationError(errors)
        return queryset.filter(**filters)


class DocumentDetail(PlainNotFound, generics.RetrieveAPIView):
    queryset = Document.objects.all()
    serializer_class = DocumentSerializer
