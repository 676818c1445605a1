#!/usr/bin/env python3
"""python-telegram-bot as a stranger to the sandbox's Bot API.

Polls for updates with handlers, answers commands in HTML and MarkdownV2, edits, deletes, sends a document, is made an
admin of a channel, is blocked, and is refused where Telegram refuses. Prints a line per step and ends with a non-zero code
at the first difference.

    python bot_api.py --sandbox http://127.0.0.1:PORT
"""

import argparse
import asyncio
import io
import sys

from telegram import Bot, constants, error
from telegram.ext import Application, ChatMemberHandler, CommandHandler, MessageHandler, filters

from stranger import Difference, Sandbox, expect, report, step, within

PERSON = 2001
CHANNEL = -1001900000001


async def refused(what, awaitable, kind, words):
    try:
        await within(what, awaitable)
    except kind as refusal:
        expect(words in str(refusal), f"{what}: refused with {refusal!s}")
        return refusal
    raise Difference(f"{what}: not refused")


class Stranger:
    def __init__(self, sandbox, world):
        self.sandbox, self.world = sandbox, world
        bot = world["bot"]
        builder = Application.builder().token(bot["token"])
        base = bot["api_base"]
        builder = builder.base_url(f"{base}/bot").base_file_url(f"{base}/file/bot")
        self.app = builder.build()
        self.seen = asyncio.Queue()

    async def run(self):
        for handler in (
            CommandHandler("start", self.on_start),
            MessageHandler(filters.TEXT & ~filters.COMMAND, self.on_text),
            ChatMemberHandler(self.on_member, ChatMemberHandler.MY_CHAT_MEMBER),
        ):
            self.app.add_handler(handler)
        async with self.app:
            expect(self.app.bot.username == self.world["bot"]["username"], "another name than the sandbox tells")
            step("getMe")
            await self.app.start()
            await self.app.updater.start_polling(timeout=10, drop_pending_updates=True)
            try:
                await self.conversation()
                await self.messages()
                await self.channel()
                await self.refusals()
            finally:
                await self.app.updater.stop()
                await self.app.stop()

    async def on_start(self, update, context):
        sent = await update.effective_message.reply_html(f"<b>welcome</b> &amp; {context.args[0]}", do_quote=True)
        await self.seen.put(("start", sent))

    async def on_text(self, update, _context):
        await self.seen.put(("text", update.effective_message))

    async def on_member(self, update, _context):
        await self.seen.put(("member", update.my_chat_member))

    async def next(self, kind):
        got, value = await within(f"an update: {kind}", self.seen.get())
        expect(got == kind, f"{got} instead of {kind}")
        return value

    async def conversation(self):
        await self.sandbox.write("bot", PERSON, "/start CODE")
        sent = await self.next("start")
        expect(sent.text == "welcome & CODE", sent.text)
        expect([e.type for e in sent.entities] == [constants.MessageEntityType.BOLD], str(sent.entities))
        expect(sent.reply_to_message is not None, "the answer quotes nothing")
        await self.sandbox.write("bot", PERSON, "\U0001f600 plain")
        heard = await self.next("text")
        expect((heard.text, heard.chat.id) == ("\U0001f600 plain", PERSON), str(heard))
        step("a command and a text come by long polling, and are answered")

    async def messages(self):
        bot = self.app.bot
        sent = await bot.send_message(PERSON, r"*b* _i_ ||s|| 1\.5", parse_mode=constants.ParseMode.MARKDOWN_V2)
        expect(sent.text == "b i s 1.5", sent.text)
        kinds = [str(e.type) for e in sent.entities]
        expect(kinds == ["bold", "italic", "spoiler"], str(kinds))
        edited = await bot.edit_message_text("edited", chat_id=PERSON, message_id=sent.message_id)
        expect(edited.text == "edited" and edited.edit_date is not None, str(edited))
        same = bot.edit_message_text("edited", chat_id=PERSON, message_id=sent.message_id)
        await refused("an edit that changes nothing", same, error.BadRequest, "Message is not modified")
        expect(await bot.delete_message(PERSON, sent.message_id), "not deleted")
        expect(await self.sandbox.message("bot", PERSON, sent.message_id) is None, "it stands still")
        file = io.BytesIO(b"day,count\n1,2\n")
        sent = await bot.send_document(PERSON, file, filename="report.csv", caption="<i>c</i>", parse_mode="HTML")
        expect((sent.document.file_name, sent.document.file_size, sent.caption) == ("report.csv", 14, "c"), str(sent))
        again = await bot.send_document(PERSON, sent.document.file_id)
        expect(again.document.file_name == "report.csv", "another file under its id")
        chat = await bot.get_chat(PERSON)
        expect(chat.type == constants.ChatType.PRIVATE, str(chat))
        step("sends, edits, deletes, documents")

    async def channel(self):
        new = {"id": CHANNEL, "kind": "channel", "title": "News", "username": "news_of_x", "admins": [PERSON]}
        await self.sandbox.call("POST", "/sandbox/bot/chats", new)
        refusal = self.app.bot.send_message(CHANNEL, "too early")
        await refused("a post before the invitation", refusal, error.Forbidden, "not a member")
        await self.sandbox.call("POST", f"/sandbox/bot/chats/{CHANNEL}/role", {"role": "administrator"})
        change = await self.next("member")
        expect((change.chat.id, change.from_user.id) == (CHANNEL, PERSON), str(change))
        expect(change.new_chat_member.status == constants.ChatMemberStatus.ADMINISTRATOR, str(change))
        post = await self.app.bot.send_message("@news_of_x", "post")
        expect(post.sender_chat.id == CHANNEL, str(post))
        admins = await self.app.bot.get_chat_administrators(CHANNEL)
        expect({a.user.id for a in admins} == {PERSON, self.app.bot.id}, str(admins))
        member = await self.app.bot.get_chat_member(CHANNEL, self.app.bot.id)
        expect(member.can_post_messages, str(member))
        step("an admin of a channel posts there")

    async def refusals(self):
        bot = self.app.bot
        broken = bot.send_message(PERSON, "<b>x", parse_mode="HTML")
        await refused("broken HTML", broken, error.BadRequest, "Can't parse entities")
        await refused("a text too long", bot.send_message(PERSON, "x" * 4097), error.BadRequest, "Message is too long")
        await refused("an unknown chat", bot.send_message(424242, "x"), error.BadRequest, "Chat not found")
        await self.sandbox.call("POST", "/sandbox/bot/chats", {"id": -77, "kind": "group", "title": "G"})
        await self.sandbox.call("POST", "/sandbox/bot/chats/-77/role", {"role": "member"})
        await self.sandbox.call("POST", "/sandbox/bot/chats/-77/migrate", {"to": -1007700000001})
        moved = await refused("a group that moved", bot.send_message(-77, "x"), error.ChatMigrated, "")
        expect(moved.new_chat_id == -1007700000001, str(moved))
        await self.sandbox.call("POST", f"/sandbox/bot/chats/{PERSON}/role", {"role": "kicked"})
        await refused("a block", bot.send_message(PERSON, "x"), error.Forbidden, "bot was blocked by the user")
        await self.sandbox.write("bot", PERSON, "unblocked")
        await self.sandbox.call("POST", "/sandbox/faults", {"target": "bot", "kind": "flood_wait", "count": 1, "wait": 1})
        wait = await refused("a flood", bot.send_message(PERSON, "x"), error.RetryAfter, "")
        seconds = wait.retry_after if isinstance(wait.retry_after, int) else wait.retry_after.total_seconds()
        expect(seconds == 1, str(wait))
        stranger = Bot("1:wrong", base_url=f"{self.world['bot']['api_base']}/bot")
        await refused("a wrong token", stranger.initialize(), error.InvalidToken, "")
        step("refusals are Telegram's own")


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sandbox", required=True)
    sandbox = Sandbox(parser.parse_args().sandbox)
    try:
        await Stranger(sandbox, await sandbox.call("GET", "/sandbox")).run()
        broken = await sandbox.violations("bot")
        expect(not broken, f"violations: {broken}")
    except Exception as difference:  # a client that gives up is a difference too
        return report(difference)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
