"""Signing in with Django's users and DRF's tokens."""

from rest_framework.authentication import TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.authtoken.serializers import AuthTokenSerializer
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access_tokens import BearerAuthentication
from land.http import object_of


class Login(APIView):
    def post(self, request):
        serializer = AuthTokenSerializer(
            data=object_of(request), context={"request": request._request}
        )
        serializer.is_valid(raise_exception=True)
        token, _ = Token.objects.get_or_create(user=serializer.validated_data["user"])
        return Response({"token": token.key})


class SignedIn(APIView):
    authentication_classes = [TokenAuthentication]
    permission_classes = [IsAuthenticated]


class Me(SignedIn):
    # A session of `/auth` will do as well.
    authentication_classes = [TokenAuthentication, BearerAuthentication]

    def get(self, request):
        user = request.user
        return Response({"id": user.id, "username": user.username, "email": user.email})


class Logout(SignedIn):
    def post(self, request):
        request.auth.delete()
        return Response(status=204)
