"""Django's own hashers, for the tests.

hashers.py make PASSWORD...     JSON: [algorithm, password, encoded] of each
hashers.py check PASSWORD HASH  JSON: whether it is right, and whether Django
                                would write it anew at a login
"""

import json
import sys

from django.conf import settings

ALGORITHMS = {
    "pbkdf2_sha256": "PBKDF2PasswordHasher",
    "pbkdf2_sha1": "PBKDF2SHA1PasswordHasher",
    "argon2": "Argon2PasswordHasher",
    "bcrypt_sha256": "BCryptSHA256PasswordHasher",
    "bcrypt": "BCryptPasswordHasher",
    "scrypt": "ScryptPasswordHasher",
}

settings.configure(
    PASSWORD_HASHERS=[
        f"django.contrib.auth.hashers.{name}" for name in ALGORITHMS.values()
    ]
)

from django.contrib.auth.hashers import check_password, make_password  # noqa: E402


def make(*passwords):
    made = [
        [algorithm, password, make_password(password, hasher=algorithm)]
        for algorithm in ALGORITHMS
        for password in passwords
    ]
    return made + [["unusable", "", make_password(None)]]


def check(password, encoded):
    anew = []
    right = check_password(password, encoded, setter=anew.append)
    return {"right": right, "anew": bool(anew)}


print(json.dumps({"make": make, "check": check}[sys.argv[1]](*sys.argv[2:])))
