"""What the contract is tried with: callers of every kind, and for each operation a request that should succeed."""

import base64
import hashlib
import hmac
import itertools
import pathlib
import re
import struct
import time
from datetime import UTC, datetime, timedelta

import requests

PASSWORD = "correct horse battery staple"
TIMEOUT = 60
FAR_AWAY = (datetime.now(UTC) + timedelta(days=300)).strftime("%Y-%m-%dT%H:%M:%SZ")
ACCOUNTS = "/api/v1/accounts"
PAIRS = "/api/v1/pairs"
LOGINS = "/api/v1/accounts/telegram/logins"
ADMIN = "/api/v1/admin"


def one_time_code(secret):
    """RFC 6238 with SHA-1, six digits, steps of 30 seconds."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


class Unprepared(Exception):
    """What a request needs could not be made."""


class Caller:
    """Who asks: the headers that say so, and what is known of them."""

    def __init__(self, kind, headers, email=None, tokens=None):
        self.kind, self.headers, self.email, self.tokens = kind, headers, email, tokens


class World:
    """The daemon and the sandbox behind it, as the operator prepares them."""

    def __init__(self, arguments):
        self.api = arguments.api.rstrip("/")
        self.mail = pathlib.Path(arguments.mail)
        self.operator = {"Authorization": f"Bearer {arguments.operator_token}"}
        self.numbers = itertools.count()
        self.seed = requests.get(arguments.sandbox + "/sandbox", timeout=TIMEOUT).json()
        self.hooks = [account for account in self.seed["accounts"] if account["kind"] == "discord_webhook"]
        self.settle()

    def call(self, method, path, headers=None, **kwargs):
        return requests.request(method, self.api + path, headers=headers, timeout=TIMEOUT, **kwargs)

    def must(self, method, path, headers=None, **kwargs):
        answer = self.call(method, path, headers, **kwargs)
        if not answer.ok:
            raise Unprepared(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    @staticmethod
    def until(ready):
        for _ in range(600):
            found = ready()
            if found:
                return found
            time.sleep(0.1)
        raise Unprepared("what was waited for did not come")

    def seeded(self, kind, index=0):
        return [account for account in self.seed["accounts"] if account["kind"] == kind][index]

    def settle(self):
        """One user has accounts and a pair: the last bot and, as long as there are any, new webhooks."""
        self.settled = self.email()
        self.register(self.settled)
        mine = self.login(self.settled).headers
        bot = self.seeded("discord_bot", -1)
        self.must("DELETE", f"{ACCOUNTS}/{bot['id']}?force=true", self.operator)
        body = {"kind": "discord_bot", "token": bot["token"]}
        self.bot = self.must("POST", ACCOUNTS, mine, json=body)["account"]["id"]
        chats = [chat for chat in self.seed["chats"] if chat["platform"] == "discord" and chat["readable"]]
        self.until(lambda: self.must("GET", f"{ACCOUNTS}/{self.bot}", mine)["health"]["status"] == "connected")
        known = {item["chat"] for item in self.must("GET", f"{ACCOUNTS}/{self.bot}/chats", mine)["items"]}
        self.chat = next(chat["chat"] for chat in chats if chat["chat"] in known and chat["writable"])

    def hook(self):
        """A webhook that nobody has."""
        hook = self.hooks.pop()
        self.must("DELETE", f"{ACCOUNTS}/{hook['id']}?force=true", self.operator)
        return {"kind": "discord_webhook", "url": hook["url"]}, hook["chat"]

    def connected_hook(self, caller):
        body, chat = self.hook()
        return self.must("POST", ACCOUNTS, caller.headers, json=body)["account"]["id"], chat

    def pair(self, caller, hook=None):
        """The body of a pair between things of the caller."""
        if caller.kind == "user":
            hook, chat = hook or self.connected_hook(caller)
            source = {"account": self.bot, "chat": self.chat}
            return {"source": source, "target": {"account": hook, "chat": chat}, "name": "made for a try"}
        pair = self.must("GET", PAIRS, self.operator)["items"][0]
        hook = self.hooks[0]
        end = {name: pair["source"][name] for name in ("account", "chat")}
        return {"source": end, "target": {"account": hook["id"], "chat": hook["chat"]}}

    def email(self):
        return f"contract-{next(self.numbers)}@example.org"

    def register(self, email):
        self.must("POST", "/api/v1/auth/register", json={"email": email, "password": PASSWORD})

    def login(self, email):
        tokens = self.must("POST", "/api/v1/auth/login", json={"email": email, "password": PASSWORD})
        return Caller("user", {"Authorization": f"Bearer {tokens['access_token']}"}, email, tokens)

    def user(self):
        """A user who just registered and signed in."""
        email = self.email()
        self.register(email)
        return self.login(email)

    def user_id(self):
        """The id of a new user."""
        return self.must("GET", "/api/v1/me", self.user().headers)["id"]

    def settled_user(self):
        return self.login(self.settled)

    def new_admin(self, role="owner"):
        order = {"email": f"staff-{next(self.numbers)}@example.org", "password": PASSWORD, "role": role}
        return self.must("POST", f"{ADMIN}/admins", self.operator, json=order)

    def admin(self):
        """A new owner who just signed in."""
        email = self.new_admin()["email"]
        tokens = self.must("POST", f"{ADMIN}/auth/login", json={"email": email, "password": PASSWORD})
        return Caller("admin", {"Authorization": f"Bearer {tokens['access_token']}"}, email, tokens)

    def letter(self, email, words):
        """The text of the last letter to an address that has these words in it."""

        def found():
            for file in sorted(self.mail.glob("*.eml"), reverse=True):
                text = file.read_text().replace("=\n", "").replace("=3D", "=")
                if f"To: {email}" in text and words in text:
                    return text
            return None

        return self.until(found)

    def open_allow_list(self):
        """What was set of it is taken back."""
        now = self.must("GET", f"{ADMIN}/allowlist", self.operator)["revision"]
        body = {"revision": now, "networks": []}
        self.must("PUT", f"{ADMIN}/allowlist", self.operator, json=body)


class Requests:
    """Requests that should succeed, by operation id: each answers what is in the path, and the body.

    An operation that has no method here is called with the document's own example, and with ids of what is there.
    """

    def __init__(self, world):
        self.world = world

    def of(self, name, path, example, caller):
        """Path parameters and body for one call, or none for a caller who cannot succeed."""
        make = getattr(self, name, None)
        if make:
            return make(caller)
        ids = self.path(path, caller)
        return None if ids is None and "{" in path else (ids, example)

    def path(self, path, caller):
        """Ids that are there."""
        world = self.world
        if "{" not in path:
            return None
        head = path.split("/{", 1)[0]
        make = {
            ACCOUNTS: lambda: world.bot if caller.kind == "user" else world.seeded("telegram_user")["id"],
            PAIRS: lambda: self.made_pair(caller),
            f"{ADMIN}/users": world.user_id,
            f"{ADMIN}/admins": lambda: world.new_admin("support")["id"],
            f"{ADMIN}/sessions": lambda: world.seeded("discord_bot")["id"],
            f"{ADMIN}/queues": lambda: world.seeded("discord_bot")["id"],
            f"{ADMIN}/jobs": self.job,
            f"{ADMIN}/announcements": self.announcement,
            f"{ADMIN}/keys": lambda: world.must("POST", f"{ADMIN}/keys", world.operator)["id"],
            f"{ADMIN}/keys/rotations": self.rotation,
        }.get(head)
        return {"id": make()} if make else None

    def made_pair(self, caller):
        world = self.world
        if caller.kind != "user":
            return world.must("GET", PAIRS, world.operator)["items"][0]["id"]
        mine = world.must("GET", PAIRS, caller.headers)["items"]
        return mine[0]["id"] if mine else world.must("POST", PAIRS, caller.headers, json=world.pair(caller))["id"]

    def job(self):
        order = {"state": "failing"}
        return self.world.must("POST", f"{ADMIN}/queues/restart", self.world.operator, json=order)["id"]

    def announcement(self):
        order = {"kind": "system", "text": "made for a try", "send_at": FAR_AWAY}
        made = self.world.must("POST", f"{ADMIN}/announcements", self.world.operator, json=order)
        return made["announcement"]["id"]

    def rotation(self):
        world = self.world
        last = world.must("GET", f"{ADMIN}/keys", world.operator).get("rotation")
        return (last or world.must("POST", f"{ADMIN}/keys/rotate", world.operator, json={}))["id"]

    # Accounts, sign-ins, pairs.

    def connect_account(self, caller):
        return (None, self.world.hook()[0]) if caller.kind == "user" else None

    def remove_account(self, caller):
        world = self.world
        if caller.kind == "user":
            return {"id": world.connected_hook(caller)[0]}, None
        return {"id": world.hooks.pop()["id"]}, None

    def begun(self, caller, **order):
        if caller.kind == "operator":
            order["user"] = self.world.seed["user"]["id"]
        return self.world.must("POST", LOGINS, caller.headers, json=order)["id"]

    def get_telegram_login(self, caller):
        return ({"id": self.begun(caller, method="qr")}, None) if caller.kind in ("user", "operator") else None

    def answer_telegram_login(self, caller):
        if caller.kind not in ("user", "operator"):
            return None
        person = self.world.seeded("telegram_user", -1)
        login = self.begun(caller, method="phone", phone=person["phone"])
        stands = f"{LOGINS}/{login}"
        self.world.until(lambda: self.world.must("GET", stands, caller.headers)["state"] == "code")
        return {"id": login}, {"code": person["code"]}

    def add_pair(self, caller):
        return (None, self.world.pair(caller)) if caller.kind in ("user", "operator") else None

    # The staff.

    def set_allowlist(self, caller):
        now = self.world.must("GET", f"{ADMIN}/allowlist", self.world.operator)["revision"]
        return None, {"revision": now, "networks": [{"network": "127.0.0.0/8", "note": "made for a try"}]}

    def resume_announcement(self, caller):
        made = self.announcement()
        self.world.must("POST", f"{ADMIN}/announcements/{made}/cancel", self.world.operator)
        return {"id": made}, None

    def login_admin(self, caller):
        return None, {"email": self.world.admin().email, "password": PASSWORD}

    def refresh_admin(self, caller):
        return None, {"refresh_token": self.world.admin().tokens["refresh_token"]}

    logout_admin = refresh_admin

    def confirm_admin_totp(self, caller):
        if caller.kind != "admin":
            return None
        offer = self.world.must("POST", f"{ADMIN}/auth/totp/enroll", caller.headers)
        return None, {"code": one_time_code(offer["secret"])}

    def set_secret(self, caller):
        return {"name": "paypal-client-secret"}, {"value": "made for a try"}

    def remove_secret(self, caller):
        path, body = self.set_secret(caller)
        self.world.must("PUT", f"{ADMIN}/secrets/{path['name']}", self.world.operator, json=body)
        return path, None

    # Users.

    def register(self, caller):
        return None, {"email": self.world.email(), "password": PASSWORD}

    def login(self, caller):
        return None, {"email": self.world.user().email, "password": PASSWORD}

    def refresh(self, caller):
        return None, {"refresh_token": self.world.user().tokens["refresh_token"]}

    logout = refresh

    def reset_password(self, caller):
        email = self.world.user().email
        self.world.must("POST", "/api/v1/auth/password/forgot", json={"email": email})
        text = self.world.letter(email, "with this code")
        token = re.search(r"with this code:\s+(\S+)", text).group(1)
        return None, {"token": token, "password": PASSWORD + " anew"}

    def confirm_totp(self, caller):
        if caller.kind != "user":
            return None
        begun = self.world.must("POST", "/api/v1/me/totp", caller.headers)
        return None, {"code": one_time_code(begun["secret"])}

    def end_totp(self, caller):
        confirmed = self.confirm_totp(caller)
        if confirmed is None:
            return None
        codes = self.world.must("POST", "/api/v1/me/totp/confirm", caller.headers, json=confirmed[1])
        return None, {"password": PASSWORD, "code": codes["recovery_codes"][0]}

    def revoke_api_key(self, caller):
        if caller.kind != "user":
            return None
        order = {"name": "made for a try", "scopes": ["pairs:read"]}
        made = self.world.must("POST", "/api/v1/me/api-keys", caller.headers, json=order)
        return {"id": made["key"]["id"]}, None

    def end_my_session(self, caller):
        return ({"id": self.world.login(caller.email).tokens["session"]}, None) if caller.kind == "user" else None
