"""A mail server that keeps what it gets in a file, one JSON object a line.

Arguments: port, file, mode (plain, starttls or tls), certificate, key. What an
address begins with says what becomes of it: `unknown` never exists, `late` does
the second time, `busy` is told to come again twice.
"""

import asyncio
import collections
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Handler:
    def __init__(self, path):
        self.path = path
        self.seen = collections.Counter()

    async def handle_RCPT(self, server, session, envelope, address, options):
        self.seen[address] += 1
        if address.startswith("unknown") or (address.startswith("late") and self.seen[address] == 1):
            return f"550 5.1.1 <{address}> is unknown here"
        if address.startswith("busy") and self.seen[address] < 3:
            return "451 4.3.0 come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        entry = {
            "to": envelope.rcpt_tos,
            "from": envelope.mail_from,
            "encrypted": server.transport.get_extra_info("ssl_object") is not None,
            "user": session.auth_data.login.decode() if session.auth_data else None,
            "headers": [[name, str(value)] for name, value in message.items()],
            "parts": {
                part.get_content_type(): part.get_content()
                for part in message.walk()
                if not part.is_multipart()
            },
        }
        with open(self.path, "a") as file:
            file.write(json.dumps(entry) + "\n")
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and data == LoginPassword(b"shop@example.com", b"s3cret-smtp")
    return AuthResult(success=good, handled=False, auth_data=data if good else None)


async def serve(port, path, mode, certificate=None, key=None):
    handler = Handler(path)
    context = None
    options = {"enable_SMTPUTF8": True}
    if mode != "plain":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        options |= {"authenticator": authenticate, "auth_required": True}
    if mode == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if mode == "tls":
        options |= {"auth_require_tls": False}
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, **options),
        "127.0.0.1",
        int(port),
        ssl=context if mode == "tls" else None,
    )
    async with server:
        await server.serve_forever()


asyncio.run(serve(*sys.argv[1:]))
