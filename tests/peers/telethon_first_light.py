#!/usr/bin/env python3
"""Telethon as a stranger to the sandbox's Telegram data centre.

Signs in with a key that was registered by the control API, and does what a forwarder's user does: lists dialogs,
reads history, sends, edits, deletes, and follows what others write. Prints a line per step and ends with a non-zero
code at the first difference.

    python telethon_first_light.py --sandbox http://127.0.0.1:PORT [--expect-forwarded]
"""

import argparse
import asyncio
import json
import secrets
import sys
import urllib.error
import urllib.request
import uuid

from telethon import TelegramClient, errors, events, functions, types
from telethon.crypto import AuthKey
from telethon.network import (
    ConnectionTcpAbridged,
    ConnectionTcpFull,
    ConnectionTcpIntermediate,
)
from telethon.sessions import StringSession

DEADLINE = 60.0  # seconds for anything that must happen
MANY = 230  # messages that take more than two pages of history
POLL = 0.2  # seconds between two looks at something that only HTTP can tell


class Difference(Exception):
    """The sandbox did something else than Telegram would."""


def step(text):
    print(f"ok: {text}", flush=True)


def expect(condition, what):
    if not condition:
        raise Difference(what)


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

    async def messages(self, platform, chat):
        items, after = [], ""
        while True:
            path = f"/sandbox/{platform}/chats/{chat}/messages?limit=1000&after={after}"
            page = (await self.call("GET", path))["items"]
            items += page
            if len(page) < 1000:
                return items
            after = page[-1]["id"]

    async def message(self, chat, message_id):
        found = [item for item in await self.messages("telegram", chat) if item["id"] == str(message_id)]
        return found[0] if found else None


async def within(what, awaitable):
    try:
        return await asyncio.wait_for(awaitable, DEADLINE)
    except asyncio.TimeoutError:
        raise Difference(f"{what}: nothing within {DEADLINE:.0f} s") from None


async def refused(what, awaitable, error):
    try:
        await within(what, awaitable)
    except errors.RPCError as refusal:
        expect(refusal.message == error or error in type(refusal).__name__, f"{what}: refused by {refusal!r}")
        return
    raise Difference(f"{what}: not refused")


class Stranger:
    def __init__(self, sandbox, world, pair):
        self.sandbox, self.world, self.pair = sandbox, world, pair
        self.chat = pair["source"]["chat"]
        self.account = next(a for a in world["accounts"] if a["id"] == pair["source"]["account"])
        self.key = secrets.token_bytes(256)
        self.mark = uuid.uuid4().hex[:12]
        self.new, self.edited, self.deleted = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()

    def client(self, connection=ConnectionTcpFull):
        telegram = self.world["telegram"]
        host, port = telegram["address"].rsplit(":", 1)
        session = StringSession()
        session.set_dc(telegram["dc_id"], host, int(port))
        session.auth_key = AuthKey(self.key)
        return TelegramClient(
            session,
            telegram["api_id"],
            telegram["api_hash"],
            connection=connection,
            flood_sleep_threshold=0,
            request_retries=1,
            raise_last_call_error=True,
            connection_retries=2,
            sequential_updates=True,
        )

    async def run(self, expect_forwarded):
        await self.sandbox.call("POST", "/sandbox/telegram/auth-keys", {"auth_key": self.key.hex()})
        step("registered an authorization key")
        client = self.client()
        await within("connect", client.connect())
        try:
            await self.sign_in(client)
            entity = await self.dialogs(client)
            self.listen(client)
            await self.follow(client, entity)
            sent = await self.send(client, entity)
            if expect_forwarded:
                await self.forwarded()
            await self.change(client, entity, sent)
            await self.history(client, entity)
            await self.differences(client, entity)
            await self.details(client, entity)
            await self.private(client)
            await self.refusals(client, entity)
            await self.transports(client, entity)
            await self.log_out(client)
        finally:
            await client.disconnect()

    async def sign_in(self, client):
        expect(not await client.is_user_authorized(), "a new key is not signed in")
        phone, code = self.account["phone"], self.account["code"]
        await within("send code", client.send_code_request(phone))
        await refused("a wrong code", client.sign_in(phone, "00000"), "PhoneCodeInvalid")
        me = await within("sign in", client.sign_in(phone, code))
        expect(str(me.id) == self.account["platform_id"], f"signed in as {me.id}")
        me = await within("get me", client.get_me())
        expect(me.phone == phone.lstrip("+") and me.is_self, "the own telephone number is shown")
        step(f"signed in as {me.id} with the code")

    async def dialogs(self, client):
        dialogs = await within("dialogs", client.get_dialogs())
        ids = {str(dialog.id) for dialog in dialogs}
        expect(self.chat in ids, f"the source chat {self.chat} is among the dialogs")
        expect("777000" in ids, "Telegram itself wrote the code")
        step(f"listed {len(dialogs)} dialogs")
        return await within("entity", client.get_input_entity(int(self.chat)))

    def listen(self, client):
        chat = int(self.chat)
        client.add_event_handler(self.new.put, events.NewMessage(chats=chat))
        client.add_event_handler(self.edited.put, events.MessageEdited(chats=chat))
        client.add_event_handler(self.deleted.put, events.MessageDeleted(chats=chat))

    async def event(self, queue, what, matches):
        async def wait():
            while True:
                event = await queue.get()
                if matches(event):
                    return event

        return await within(what, wait())

    async def follow(self, client, entity):
        """Others write, change and delete; this session is told."""
        path = f"/sandbox/telegram/chats/{self.chat}/messages"
        text = f"bold 😀 link {self.mark}"
        entities = [
            {"type": "bold", "offset": 0, "length": 4},
            {"type": "text_link", "offset": 8, "length": 4, "url": "https://example.com/"},
        ]
        posted = (await self.sandbox.call("POST", path, {"text": text, "entities": entities}))["id"]
        event = await self.event(self.new, "a new message", lambda event: event.raw_text == text)
        expect(str(event.id) == posted, f"the message has the id {posted}")
        kinds = [type(entity) for entity in event.message.entities]
        expect(kinds == [types.MessageEntityBold, types.MessageEntityTextUrl], f"entities are {kinds}")
        expect(event.message.entities[1].url == "https://example.com/", "the link has its address")
        sender = await within("sender", event.get_sender())
        expect(sender is not None and sender.first_name, "the writer is described")
        step("received a message that somebody else wrote")
        await self.sandbox.call("PATCH", f"{path}/{posted}", {"text": f"changed {self.mark}"})
        await self.event(self.edited, "an edit", lambda event: event.raw_text == f"changed {self.mark}")
        await self.sandbox.call("DELETE", f"{path}/{posted}")
        await self.event(self.deleted, "a delete", lambda event: int(posted) in event.deleted_ids)
        step("received its edit and its delete")

    async def send(self, client, entity):
        text = f"**From** a `stranger` {self.mark}"
        sent = await within("send", client.send_message(entity, text))
        item = await self.sandbox.message(self.chat, sent.id)
        expect(item is not None, "the sent message is in the chat")
        expect(item["text"] == f"From a stranger {self.mark}", f"its text is {item['text']!r}")
        kinds = [entity["type"] for entity in item["entities"]]
        expect(kinds == ["bold", "code"], f"its entities are {kinds}")
        reply = await within("reply", client.send_message(entity, f"reply {self.mark}", reply_to=sent.id))
        item = await self.sandbox.message(self.chat, reply.id)
        expect(item["reply_to"] == str(sent.id), "the reply names the message")
        step(f"sent message {sent.id} and a reply to it")
        return sent

    async def forwarded(self):
        target = self.pair["target"]

        async def wait():
            while True:
                items = await self.sandbox.messages(target["platform"], target["chat"])
                found = [item for item in items if "stranger" in item["text"] and self.mark in item["text"]]
                if found:
                    return found
                await asyncio.sleep(POLL)

        found = await within("the copy in the target", wait())
        expect(len(found) == 1, f"the copy is there once, not {len(found)} times")
        expect("**From**" in found[0]["text"], f"the copy is formatted: {found[0]['text']!r}")
        step(f"the message was forwarded to {target['platform']}")

    async def change(self, client, entity, sent):
        await within("edit", client.edit_message(entity, sent.id, f"edited {self.mark}"))
        item = await self.sandbox.message(self.chat, sent.id)
        expect(item["text"] == f"edited {self.mark}" and item["edited_at"], "the edit is in the chat")
        await within("delete", client.delete_messages(entity, [sent.id]))
        expect(await self.sandbox.message(self.chat, sent.id) is None, "the deleted message is gone")
        step("edited and deleted it")

    async def history(self, client, entity):
        expected = [item["text"] for item in await self.sandbox.messages("telegram", self.chat)]
        newest_first = [m.raw_text async for m in client.iter_messages(entity) if not m.action]
        oldest_first = [m.raw_text async for m in client.iter_messages(entity, reverse=True) if not m.action]
        expect(newest_first == expected[::-1], "history is complete, newest first")
        expect(oldest_first == expected, "history is complete, oldest first")
        some = await within("messages by id", client.get_messages(entity, ids=[1, 10**6]))
        expect(isinstance(some[0].action, types.MessageActionChannelCreate), "message 1 opens the channel")
        expect(some[1] is None, "a message that does not exist is none")
        await within("read", client.send_read_acknowledge(entity))
        dialog = next(d for d in await client.get_dialogs() if str(d.id) == self.chat)
        expect(dialog.unread_count == 0, f"{dialog.unread_count} messages are unread")
        step(f"read {len(expected)} messages of history")

    async def differences(self, client, entity):
        state = await within("state", client(functions.updates.GetStateRequest()))
        common = await client(functions.updates.GetDifferenceRequest(pts=1, date=state.date, qts=state.qts))
        expect(isinstance(common, types.updates.Difference), f"the difference is {type(common).__name__}")
        expect(common.state.pts == state.pts, "the difference leads to the current state")
        pts, pages, mine = 1, 0, False
        while True:
            page = await client(
                functions.updates.GetChannelDifferenceRequest(
                    channel=entity, filter=types.ChannelMessagesFilterEmpty(), pts=pts, limit=10
                )
            )
            if isinstance(page, types.updates.ChannelDifferenceEmpty):
                break
            expect(isinstance(page, types.updates.ChannelDifference), f"a page is {type(page).__name__}")
            expect(page.pts > pts, "every page leads on")
            mine = mine or any(isinstance(update, types.UpdateMessageID) for update in page.other_updates)
            pts, pages = page.pts, pages + 1
            if page.final:
                break
        expect(mine, "own sends are named by their random id")
        step(f"fetched the differences, the channel's in {pages} pages")

    async def details(self, client, entity):
        full = await within("full channel", client(functions.channels.GetFullChannelRequest(entity)))
        expect(full.full_chat.participants_count >= 2 and full.chats[0].megagroup, "the channel is described")
        own = await within("full user", client(functions.users.GetFullUserRequest("me")))
        expect(str(own.full_user.id) == self.account["platform_id"], "the own user is described")
        peers = await client(functions.messages.GetPeerDialogsRequest([types.InputDialogPeer(entity)]))
        expect(peers.dialogs[0].pts == full.full_chat.pts, "dialog and channel agree on the pts")
        config = await client(functions.help.GetConfigRequest())
        own_port = int(self.world["telegram"]["address"].rsplit(":", 1)[1])
        expect({option.port for option in config.dc_options} == {own_port}, "every data centre is this one")
        expect({option.id for option in config.dc_options} == {1, 2, 3, 4, 5}, "there are five data centres")
        await client(functions.help.GetNearestDcRequest())
        await client(functions.help.GetAppConfigRequest(hash=0))
        expect(await client(functions.account.UpdateStatusRequest(offline=False)), "presence is taken")
        expect(await client(functions.messages.SetTypingRequest(entity, types.SendMessageTypingAction())), "typing")
        step("channel, user, dialog and configuration are described")

    async def private(self, client):
        person = await within("resolve", client.get_entity("sandbox_ada"))
        sent = await within("private send", client.send_message(person, f"private {self.mark}"))
        found = [m.raw_text async for m in client.iter_messages(person, limit=1)]
        expect(found == [f"private {self.mark}"], "the private message is in the history")
        await within("private edit", client.edit_message(person, sent.id, f"private, edited {self.mark}"))
        inbox = await self.sandbox.messages("telegram", person.id)
        expect(inbox[-1]["text"] == f"private, edited {self.mark}", "the other side has the edit")
        await within("private delete", client.delete_messages(person, [sent.id]))
        step("wrote, edited and deleted a private message")
        path = f"/sandbox/telegram/chats/{self.account['platform_id']}/messages"
        expected = [f"{number} {self.mark}" for number in range(MANY)]
        for text in expected:
            await self.sandbox.call("POST", path, {"from": "Bruno", "text": text})
        other = await within("resolve", client.get_entity("sandbox_bruno"))
        newest = [m.raw_text async for m in client.iter_messages(other, limit=MANY)]
        expect(newest == expected[::-1], "private history comes in pages, newest first")
        first = [m.id async for m in client.iter_messages(other, limit=MANY)][-1]
        oldest = [m.raw_text async for m in client.iter_messages(other, reverse=True, min_id=first - 1)]
        expect(oldest == expected, "private history comes in pages, oldest first")
        step(f"read {MANY} private messages in pages, in both directions")

    async def refusals(self, client, entity):
        send = functions.messages.SendMessageRequest(entity, f"once {self.mark}", random_id=secrets.randbits(62) + 1)
        await within("send", client(send))
        await refused("a repeated random id", client(send), "RandomIdDuplicate")
        await refused("an empty text", client(functions.messages.SendMessageRequest(entity, " ")), "MessageEmpty")
        await refused("a long text", client(functions.messages.SendMessageRequest(entity, "a" * 4097)), "MessageTooLong")
        outside = [types.MessageEntityBold(offset=1, length=9)]
        wrong = functions.messages.SendMessageRequest(entity, "ab", entities=outside)
        await refused("an entity outside", client(wrong), "EntityBoundsInvalid")
        forged = types.InputPeerChannel(entity.channel_id, 1)
        await refused("a forged hash", client(functions.messages.SendMessageRequest(forged, "ab")), "ChannelInvalid")
        await refused("an unserved method", client(functions.account.GetAuthorizationsRequest()), "InputMethodInvalid")
        step("was refused what Telegram refuses")

    async def transports(self, client, entity):
        await client.disconnect()
        for connection in (ConnectionTcpAbridged, ConnectionTcpIntermediate, ConnectionTcpFull):
            other = self.client(connection)
            await within("connect", other.connect())
            expect(await other.is_user_authorized(), f"{connection.__name__}: the key is still signed in")
            texts = [m.raw_text async for m in other.iter_messages(entity, limit=1)]
            expect(texts == [f"once {self.mark}"], f"{connection.__name__}: the last message is {texts}")
            await other.disconnect()
        await within("connect", client.connect())
        step("came back by the transports abridged, intermediate and full")

    async def log_out(self, client):
        await within("log out", client.log_out())
        other = self.client()
        await within("connect", other.connect())
        expect(not await other.is_user_authorized(), "after logging out the key is not signed in")
        await other.disconnect()
        step("logged out")


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sandbox", required=True, metavar="URL", help="address of the control API")
    parser.add_argument("--pair", type=int, default=0, help="which seeded pair's source to write in, from 0")
    parser.add_argument("--expect-forwarded", action="store_true", help="wait for the copy in the pair's target")
    arguments = parser.parse_args()
    sandbox = Sandbox(arguments.sandbox)
    try:
        world = await sandbox.call("GET", "/sandbox")
        pairs = [pair for pair in world["pairs"] if pair["source"]["platform"] == "telegram"]
        expect(arguments.pair < len(pairs), f"there are only {len(pairs)} pairs with a Telegram source")
        before = await sandbox.call("GET", "/sandbox/violations")
        await Stranger(sandbox, world, pairs[arguments.pair]).run(arguments.expect_forwarded)
        after = await sandbox.call("GET", "/sandbox/violations")
        expect(telegram(before) == telegram(after), f"broke rules: {telegram(after)}")
        step("broke no rule of the protocol")
    except (Difference, errors.RPCError, OSError, urllib.error.HTTPError) as difference:
        print(f"DIFFERENCE: {difference!r}", file=sys.stderr, flush=True)
        return 1
    return 0


def telegram(violations):
    return {rule: count for rule, count in violations.items() if rule.startswith("telegram.")}


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
