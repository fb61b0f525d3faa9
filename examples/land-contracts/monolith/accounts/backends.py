"""How passwords are checked."""

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import check_password, make_password


class WithoutRehash(ModelBackend):
    """Django's own backend, but a login writes no row of `auth_user`.

    Django writes a password anew at a login when its hasher has changed. Where
    `auth_user` is written by somebody else, that would be refused, and whoever
    has an older hash could not log in any more.
    """

    def authenticate(self, request, username=None, password=None, **kwargs):
        if username is None or password is None:
            return None
        user = get_user_model().objects.filter(username=username).first()
        if user is None:
            make_password(password)  # takes as long as for somebody
            return None
        if is_right(user, password) and self.user_can_authenticate(user):
            return user
        return None


def is_right(user, password):
    """Without Django's setter, which would write the password anew."""
    return check_password(password, user.password)
