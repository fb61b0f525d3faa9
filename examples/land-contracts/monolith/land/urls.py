"""Every address of the API, without trailing slashes."""

from django.urls import path, re_path

from accounts import session_views
from accounts.views import Login, Logout, Me
from contracts.views import ContractDetail, ContractEvents, ContractList
from documents.views import DocumentDetail, DocumentList
from land.errors import not_found
from land.health import health
from parties.views import PartyDetail, PartyList
from plots.views import LandPlotDetail, LandPlotList
from signatures.views import SignatureList
from workflow.views import StageList

urlpatterns = [
    path("api/contracts", ContractList.as_view()),
    path("api/contracts/<int:pk>", ContractDetail.as_view()),
    path("api/contracts/<int:pk>/events", ContractEvents.as_view()),
    path("api/parties", PartyList.as_view()),
    path("api/parties/<int:pk>", PartyDetail.as_view()),
    path("api/land-plots", LandPlotList.as_view()),
    path("api/land-plots/<int:pk>", LandPlotDetail.as_view()),
    path("api/documents", DocumentList.as_view()),
    path("api/documents/<uuid:pk>", DocumentDetail.as_view()),
    path("api/signatures", SignatureList.as_view()),
    path("api/stages", StageList.as_view()),
    path("api/auth/login", Login.as_view()),
    path("api/auth/me", Me.as_view()),
    path("api/auth/logout", Logout.as_view()),
    path("auth/register", session_views.Register.as_view()),
    path("auth/login", session_views.Login.as_view()),
    path("auth/refresh", session_views.Refresh.as_view()),
    path("auth/me", session_views.Me.as_view()),
    path("auth/logout", session_views.Logout.as_view()),
    path("auth/password/change", session_views.ChangePassword.as_view()),
    path("auth/sessions/claim", session_views.ClaimToken.as_view()),
    path("auth/sessions/<uuid:pk>", session_views.SharedSession.as_view()),
    path("health", health),
    # With DEBUG on, Django answers unknown addresses with a page instead.
    re_path("", not_found),
]

handler400 = "land.errors.bad_request"
handler404 = "land.errors.not_found"
handler500 = "land.errors.server_error"
