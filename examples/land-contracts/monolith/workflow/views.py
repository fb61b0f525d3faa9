from rest_framework import generics, serializers

from land.lists import OfContract
from workflow.models import Stage


class StageSerializer(serializers.ModelSerializer):
    class Meta:
        model = Stage
        fields = ["id", "contract", "name", "due_on", "done_on"]


class StageList(OfContract, generics.ListCreateAPIView):
    queryset = Stage.objects.order_by("-id")
    serializer_class = StageSerializer
