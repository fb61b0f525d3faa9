"""The same shop in Django, in one file; `migrate` makes its tables."""

import json
import os
import sys

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="of a test",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ["PGDATABASE_NAME"],
            "USER": os.environ["DATABASE_USER"],
            "PASSWORD": os.environ["DATABASE_PASSWORD"],
            "HOST": "127.0.0.1",
            "PORT": os.environ["DATABASE_PORT"],
            "OPTIONS": {"application_name": "shop-web"},
        }
    },
)
django.setup()

from django.db import connection, models, transaction  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402


class Customer(models.Model):
    name = models.TextField()

    class Meta:
        app_label, db_table = "shop", "customers"


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.PROTECT)
    status = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label, db_table = "shop", "orders"


class Item(models.Model):
    order = models.ForeignKey(Order, models.CASCADE)
    sku = models.TextField()
    quantity = models.IntegerField()

    class Meta:
        app_label, db_table = "shop", "order_items"


def shown(order):
    return {"id": order.id, "customer_id": order.customer_id, "status": order.status}


def orders(request):
    if request.method != "POST":
        return JsonResponse([shown(one) for one in Order.objects.order_by("-id")[:50]], safe=False)
    asked = json.loads(request.body)
    with transaction.atomic():
        order = Order.objects.create(customer_id=asked["customer_id"], status="new")
        for item in asked.get("items", []):
            Item.objects.create(order=order, sku=item["sku"], quantity=item["quantity"])
    return JsonResponse(shown(order), status=201)


def order(request, number):
    found = Order.objects.filter(id=number).first()
    if found is None:
        return JsonResponse({"error": "no such order"}, status=404)
    if request.method == "PATCH":
        found.status = json.loads(request.body)["status"]
        found.save()
    items = list(found.item_set.order_by("id").values())
    return JsonResponse({**shown(found), "items": items})


def customers(request):
    return JsonResponse(list(Customer.objects.order_by("id").values()), safe=False)


def health(request):
    return JsonResponse({"ok": True})


urlpatterns = [
    path("health", health),
    path("api/orders", orders),
    path("api/orders/<int:number>", order),
    path("api/customers", customers),
]

if sys.argv[1] == "migrate":
    with connection.schema_editor() as editor:
        for model in (Customer, Order, Item):
            editor.create_model(model)
    for number in range(10):
        Customer.objects.create(name=f"customer {number}")
else:
    from wsgiref.simple_server import make_server

    from django.core.wsgi import get_wsgi_application

    make_server("127.0.0.1", int(os.environ["PORT"]), get_wsgi_application()).serve_forever()
