# Users as years of Django leave them; prints who they are.
import json

from django.contrib.auth import hashers
from django.contrib.auth.models import User

COUNT = 40


def encoded(number, password):
    salt = f"salt{number:018d}"
    match number % 4:
        case 0:
            return hashers.PBKDF2PasswordHasher().encode(password, salt, 20_000)
        case 1:
            return hashers.PBKDF2SHA1PasswordHasher().encode(password, salt, 20_000)
        case 2:
            return hashers.ScryptPasswordHasher().encode(password, salt, n=1024)
        case 3:
            return hashers.PBKDF2PasswordHasher().encode(password, salt, 100_000)


people = []
for number in range(COUNT):
    person = {
        "username": f"person-{number}",
        # The last ten have one address in common, and log in by their names.
        "email": f"person-{number}@example.com" if number < COUNT - 10 else "Office@example.com",
        "password": f"an old one {number}",
    }
    password = encoded(number, person["password"])
    User.objects.create(**{**person, "password": password})
    people.append(person)
User.objects.create(username="gone", password=hashers.make_password(None))
print(json.dumps(people))
