"""What the lists that stay in the monolith have in common."""

from rest_framework.exceptions import NotFound, ValidationError

from land.fields import read_integer


def integer_filters(request, *names):
    """The filters given in the query, as numbers. An empty one is no filter;
    every wrong one is reported."""
    filters, errors = {}, {}
    for name in names:
        text = request.GET.get(name, "")
        if not text:
            continue
        try:
            filters[name] = read_integer(text)
        except ValueError:
            errors[name] = ["A valid integer is required."]
    return filters, errors


class OfContract:
    """A list view whose rows belong to a contract: `?contract=17`."""

    def filter_queryset(self, queryset):
        filters, errors = integer_filters(self.request, "contract")
        if errors:
            raise ValidationError(errors)
        return queryset.filter(contract_id=filters["contract"]) if filters else queryset


class PlainNotFound:
    """`Not found.`, not `No Party matches the given query.`"""

    def get_object(self):
        found = self.get_queryset().filter(pk=self.kwargs["pk"]).first()
        if found is None:
            raise NotFound()
        return found
