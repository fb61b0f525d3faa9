"""`/api/contracts`."""

from django.contrib.auth import get_user_model
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from contracts.models import Contract, ContractEvent
from contracts.representation import contract_as_json, contracts_as_json, event_as_json
from contracts.serializers import NewContract, StatusChange
from contracts.writes import change_status, create_contract
from land.http import caller_id, object_of
from land.lists import integer_filters
from land.pagination import Page


class ContractList(APIView):
    def get(self, request):
        page = Page(request._request, filtered_contracts(request).order_by("-id"))
        return page.response(contracts_as_json(page.rows))

    def post(self, request):
        fields = checked(NewContract, request)
        tag_names = set(fields.pop("tags"))
        contract = create_contract(fields, tag_names, existing_user_id(caller_id(request)))
        return Response(contract_as_json(contract, tag_names), status=201)


class ContractDetail(APIView):
    def get(self, request, pk):
        found = Contract.objects.filter(pk=pk).first()
        if found is None:
            raise NotFound()
        return Response(contracts_as_json([found])[0])

    def patch(self, request, pk):
        try:
            change = checked(StatusChange, request)
        except APIException:
            # As with DRF's own views, a missing contract is said first.
            if not Contract.objects.filter(pk=pk).exists():
                raise NotFound() from None
            raise
        try:
            contract = change_status(pk, **change)
        except Contract.DoesNotExist:
            raise NotFound() from None
        return Response(contracts_as_json([contract])[0])


class ContractEvents(APIView):
    def get(self, request, pk):
        events = ContractEvent.objects.filter(contract_id=pk).order_by("at", "id")
        answer = [event_as_json(event) for event in events]
        if not answer and not Contract.objects.filter(pk=pk).exists():
            raise NotFound()
        return Response(answer)


def filtered_contracts(request):
    filters, errors = integer_filters(request, "seller", "buyer")
    status = request.GET.get("status", "")
    if status:
        filters["status"] = status
        if status not in Contract.Status.values:
            errors["status"] = [f'"{status}" is not a valid choice.']
    if errors:
        raise ValidationError(errors)
    tag = request.GET.get("tag", "")
    if "\0" in tag:
        return Contract.objects.none()  # PostgreSQL's text cannot hold it
    if tag:
        filters["tags__name"] = tag
    return Contract.objects.filter(**filters)


def checked(serializer_class, request):
    serializer = serializer_class(data=object_of(request))
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


def existing_user_id(user_id):
    """The header is not proof of a user; an unknown one is left out."""
    if user_id and get_user_model().objects.filter(pk=user_id).exists():
        return user_id
    return None
