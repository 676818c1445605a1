#!/usr/bin/env python3
"""Telethon writes the session of a user of the sandbox, for others to import.

Signs the first seeded user in by code, with a key that was registered by the control API, and prints the session as
`StringSession.save()` writes it. With `--gone SESSION` it says instead whether that session is over.

    python telethon_session.py --sandbox http://127.0.0.1:PORT [--gone SESSION]
"""

import argparse
import asyncio
import json
import secrets
import sys
import urllib.request

from telethon import TelegramClient
from telethon.crypto import AuthKey
from telethon.network import ConnectionTcpFull
from telethon.sessions import StringSession

DEADLINE = 60.0  # seconds for anything that must happen


def call(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=DEADLINE) as response:
        return json.loads(response.read())


def client(telegram, session):
    return TelegramClient(
        session,
        telegram["api_id"],
        telegram["api_hash"],
        connection=ConnectionTcpFull,
        flood_sleep_threshold=0,
        request_retries=1,
        connection_retries=2,
        receive_updates=False,
    )


async def fresh(base, world):
    telegram = world["telegram"]
    host, port = telegram["address"].rsplit(":", 1)
    key = secrets.token_bytes(256)
    call(f"{base}/sandbox/telegram/auth-keys", {"auth_key": key.hex()})
    session = StringSession()
    session.set_dc(telegram["dc_id"], host, int(port))
    session.auth_key = AuthKey(key)
    user = next(account for account in world["accounts"] if account["kind"] == "telegram_user")
    stranger = client(telegram, session)
    await stranger.connect()
    try:
        await stranger.send_code_request(user["phone"])
        me = await stranger.sign_in(user["phone"], user["code"])
        if str(me.id) != user["platform_id"]:
            raise SystemExit(f"signed in as {me.id}")
        print(session.save())
    finally:
        await stranger.disconnect()


async def gone(world, text):
    stranger = client(world["telegram"], StringSession(text))
    await stranger.connect()
    try:
        print("over" if await stranger.get_me() is None else "alive")
    finally:
        await stranger.disconnect()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sandbox", required=True)
    parser.add_argument("--gone")
    arguments = parser.parse_args()
    base = arguments.sandbox.rstrip("/")
    world = call(f"{base}/sandbox")
    work = gone(world, arguments.gone) if arguments.gone else fresh(base, world)
    asyncio.run(asyncio.wait_for(work, DEADLINE))


if __name__ == "__main__":
    sys.exit(main())
