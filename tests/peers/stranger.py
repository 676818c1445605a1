"""What every stranger needs: the sandbox's control API, deadlines, and a way to say what differs."""

import asyncio
import json
import sys
import urllib.error
import urllib.request

DEADLINE = 60.0  # seconds for anything that must happen
POLL = 0.2  # seconds between two looks at something that only HTTP can tell


class Difference(Exception):
    """The sandbox did something else than the platform would."""


def step(text):
    print(f"ok: {text}", flush=True)


def expect(condition, what):
    if not condition:
        raise Difference(what)


async def within(what, awaitable):
    try:
        return await asyncio.wait_for(awaitable, DEADLINE)
    except asyncio.TimeoutError:
        raise Difference(f"{what}: nothing within {DEADLINE:.0f} s") from None


class Sandbox:
    """The control API."""

    def __init__(self, base):
        self.base = base.rstrip("/")

    async def call(self, method, path, body=None):
        return await asyncio.to_thread(self._call, method, path, body)

    def _call(self, method, path, body):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            text = response.read()
        return json.loads(text) if text else None

    async def write(self, platform, chat, text, **extra):
        path = f"/sandbox/{platform}/chats/{chat}/messages"
        return (await self.call("POST", path, {"text": text, **extra}))["id"]

    async def edit(self, platform, chat, message, text):
        await self.call("PATCH", f"/sandbox/{platform}/chats/{chat}/messages/{message}", {"text": text})

    async def delete(self, platform, chat, message):
        await self.call("DELETE", f"/sandbox/{platform}/chats/{chat}/messages/{message}")

    async def messages(self, platform, chat):
        items, after = [], ""
        while True:
            path = f"/sandbox/{platform}/chats/{chat}/messages?limit=1000&after={after}"
            page = (await self.call("GET", path))["items"]
            items += page
            if len(page) < 1000:
                return items
            after = page[-1]["id"]

    async def message(self, platform, chat, message_id):
        found = [item for item in await self.messages(platform, chat) if item["id"] == str(message_id)]
        return found[0] if found else None

    async def violations(self, platform):
        counts = await self.call("GET", "/sandbox/violations")
        return {rule: count for rule, count in counts.items() if rule.startswith(f"{platform}.")}


def report(difference):
    print(f"DIFFERENCE: {difference!r}", file=sys.stderr, flush=True)
    if isinstance(difference, urllib.error.HTTPError):
        print(difference.read().decode(errors="replace"), file=sys.stderr, flush=True)
    return 1
