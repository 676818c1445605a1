#!/usr/bin/env python3
"""Telethon as a stranger to how accounts sign in to the sandbox's Telegram data centre, and to what bots may do.

Signs in with a password behind the code, by QR code and with a bot's token; then a bot writes, answers, edits and
deletes in a group while a user of the group watches. Prints a line per step and ends with a non-zero code at the first
difference. The sandbox needs two users (the second one has a password), a bot, and a pair whose target is the bot's.

    python telethon_accounts.py --sandbox http://127.0.0.1:PORT
"""

import argparse
import asyncio
import base64
import sys

from telethon import errors, events

from telethon_first_light import Difference, Sandbox, Stranger, expect, refused, step, within


class Accounts:
    def __init__(self, sandbox, world):
        self.sandbox, self.world = sandbox, world
        self.users = [a for a in world["accounts"] if a["kind"] == "telegram_user"]
        self.bot = next(a for a in world["accounts"] if a["kind"] == "telegram_bot")
        pair = next(p for p in world["pairs"] if p["target"]["account"] == self.bot["id"])
        self.chat = pair["target"]["chat"]

    async def client(self, user=None):
        """A connected client on a key of its own, signed in as a user by the control API or not at all."""
        telegram_pair = next(p for p in self.world["pairs"] if p["source"]["platform"] == "telegram")
        stranger = Stranger(self.sandbox, self.world, telegram_pair)
        body = {"auth_key": stranger.key.hex()}
        if user is not None:
            body["user_id"] = user["platform_id"]
        await self.sandbox.call("POST", "/sandbox/telegram/auth-keys", body)
        client = stranger.client()
        await within("connect", client.connect())
        return client

    async def run(self):
        for part in (self.password, self.qr, self.qr_with_password, self.bot_token):
            await part()

    async def password(self):
        user = next(a for a in self.users if "password" in a)
        client = await self.client()
        try:
            await within("send code", client.send_code_request(user["phone"]))
            await refused("the code alone", client.sign_in(user["phone"], user["code"]), "SessionPasswordNeeded")
            await refused("a wrong password", client.sign_in(password="not this"), "PasswordHashInvalid")
            me = await within("the password", client.sign_in(password=user["password"]))
            expect(str(me.id) == user["platform_id"], f"signed in as {me.id}")
            await within("sign out", client.log_out())
        finally:
            await client.disconnect()
        step("signed in with a password behind the code, and not with a wrong one")

    async def accept(self, qr, user):
        token = base64.urlsafe_b64encode(qr.token).decode().rstrip("=")
        body = {"token": token, "user_id": user["platform_id"]}
        await self.sandbox.call("POST", "/sandbox/telegram/login-tokens/accept", body)

    async def qr(self):
        user = next(a for a in self.users if "password" not in a)
        client = await self.client()
        try:
            qr = await within("the QR code", client.qr_login())
            waiting = asyncio.ensure_future(qr.wait(timeout=25))
            await self.accept(qr, user)
            me = await within("the scan", waiting)
            expect(str(me.id) == user["platform_id"], f"signed in as {me.id}")
        finally:
            await client.disconnect()
        step("signed in by QR code")

    async def qr_with_password(self):
        user = next(a for a in self.users if "password" in a)
        client = await self.client()
        try:
            qr = await within("the QR code", client.qr_login())
            waiting = asyncio.ensure_future(qr.wait(timeout=25))
            await self.accept(qr, user)
            await refused("the scan alone", waiting, "SessionPasswordNeeded")
            me = await within("the password", client.sign_in(password=user["password"]))
            expect(str(me.id) == user["platform_id"], f"signed in as {me.id}")
        finally:
            await client.disconnect()
        step("was asked for the password behind the QR code")

    async def bot_token(self):
        reader = self.users[0]
        members = f"/sandbox/telegram/chats/{self.chat}/members"
        await self.sandbox.call("POST", members, {"user_id": reader["platform_id"], "role": "member"})
        bot, user = await self.client(), await self.client(reader)
        try:
            await refused("a wrong token", bot.sign_in(bot_token="3000001:AAnothing"), "AccessTokenInvalid")
            me = await within("sign in", bot.sign_in(bot_token=self.bot["token"]))
            expect(me.bot and str(me.id) == self.bot["platform_id"], f"signed in as {me}")
            step("signed in with a bot's token, and not with a wrong one")
            await self.closed_methods(bot)
            await self.write(bot, user)
        finally:
            await bot.disconnect()
            await user.disconnect()

    async def closed_methods(self, bot):
        chat = await within("the bot's chat by its id alone", bot.get_entity(int(self.chat)))
        await refused("history", bot.get_messages(chat, limit=10), "BotMethodInvalid")
        await refused("dialogs", bot.get_dialogs(), "BotMethodInvalid")
        await refused("search", bot.get_messages(chat, search="text"), "BotMethodInvalid")
        step("a bot finds its chat by id and is refused history, dialogs and search")

    async def write(self, bot, user):
        await within("the user's dialogs", user.get_dialogs())
        seen, edited, deleted = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
        here = {"chats": int(self.chat)}
        user.add_event_handler(seen.put, events.NewMessage(**here))
        user.add_event_handler(edited.put, events.MessageEdited(**here))
        user.add_event_handler(deleted.put, events.MessageDeleted(**here))
        chat = int(self.chat)
        first = await within("send", bot.send_message(chat, "of a bot"))
        answer = await within("answer", bot.send_message(chat, "an answer", reply_to=first.id))
        for expected, reply_to in ((first, None), (answer, first.id)):
            event = await within("the message of the bot", seen.get())
            found = (event.id, event.message.reply_to_msg_id)
            expect(found == (expected.id, reply_to), f"a user saw {found}")
        item = await self.sandbox.message(self.chat, answer.id)
        expect(item["reply_to"] == str(first.id), f"the control API shows {item}")
        await within("edit", bot.edit_message(chat, first.id, "changed"))
        event = await within("the edit", edited.get())
        expect((event.id, event.raw_text) == (first.id, "changed"), f"a user saw {event.raw_text}")
        expect(event.message.edit_date is not None, "an edit has a date")
        item = await self.sandbox.message(self.chat, first.id)
        expect(item["edited_at"] is not None, f"the control API shows {item}")
        by_id = await within("a message by id", bot.get_messages(chat, ids=first.id))
        expect(by_id.raw_text == "changed", f"the bot read {by_id.raw_text}")
        await within("delete", bot.delete_messages(chat, [answer.id]))
        event = await within("the deletion", deleted.get())
        expect(event.deleted_ids == [answer.id], f"a user saw {event.deleted_ids} go")
        expect(await self.sandbox.message(self.chat, answer.id) is None, "a deleted message is gone")
        written = await within("a user writes", user.send_message(chat, "of a user"))
        await refused("another's message", bot.edit_message(chat, written.id, "mine"), "MessageAuthorRequired")
        await refused("another's message", bot.delete_messages(chat, [written.id]), "MessageDeleteForbidden")
        await refused("no such message", bot.send_message(chat, "?", reply_to=99_999), "REPLY_MESSAGE_ID_INVALID")
        await refused("no change", bot.edit_message(chat, first.id, "changed"), "MessageNotModified")
        step("a bot wrote, answered, edited and deleted, a user saw it, and what is another's stayed")


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sandbox", required=True, help="base of the control API")
    sandbox = Sandbox(parser.parse_args().sandbox)
    world = await sandbox.call("GET", "/sandbox")
    await Accounts(sandbox, world).run()
    violations = await sandbox.call("GET", "/sandbox/violations")
    expect(violations == {}, f"violations: {violations}")
    step("no rule was broken")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (Difference, errors.RPCError) as difference:
        print(f"DIFFERENT: {difference!r}", file=sys.stderr)
        sys.exit(1)
