"""What is asked of the contracts service."""

import urllib.error
import urllib.request

from django.conf import settings
from rest_framework.exceptions import APIException

# A client waits for the answer.
TIMEOUT_SECONDS = 5


class ContractsUnavailable(APIException):
    status_code = 503
    default_detail = "The contracts service does not answer."


def exists(contract_id):
    """Whether there is a contract of this number."""
    url = f"{settings.CONTRACTS_URL}/api/contracts/{contract_id}"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return False
        raise ContractsUnavailable() from error
    except OSError as error:
        raise ContractsUnavailable() from error
