from rest_framework import generics, serializers

from land.lists import PlainNotFound
from plots.models import LandPlot


class LandPlotSerializer(serializers.ModelSerializer):
    class Meta:
        model = LandPlot
        fields = ["id", "cadastral_number", "area_m2", "region", "created_at"]
        extra_kwargs = {"area_m2": {"min_value": 0}}


class LandPlotList(generics.ListCreateAPIView):
    queryset = LandPlot.objects.order_by("-id")
    serializer_class = LandPlotSerializer


class LandPlotDetail(PlainNotFound, generics.RetrieveAPIView):
    queryset = LandPlot.objects.all()
    serializer_class = LandPlotSerializer
