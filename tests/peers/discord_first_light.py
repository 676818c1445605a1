#!/usr/bin/env python3
"""discord.py as a stranger to the sandbox's Discord.

Signs in as the seeded bot, follows what others write, change and delete, writes, edits, deletes and answers by bot and
by webhook, and comes back after its connection was cut. Prints a line per step and ends with a non-zero code at the
first difference.

    python discord_first_light.py --sandbox http://127.0.0.1:PORT [--expect-forwarded [--expect-followed]]
        [--pair N] [--webhook N]

With --expect-forwarded a daemon must be running: what is written in the source of the pair is awaited in its target;
with --expect-followed its edit, its answer and its delete as well. With --webhook the target is that of a seeded webhook,
to which the daemon must have been given a pair from the same source.
"""

import argparse
import asyncio
import secrets
import sys
import urllib.error

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from stranger import Difference, Sandbox, expect, report, step, within

MANY = 130  # messages that take more than a page of history
BURST = 25  # messages that are written while a connection is away


class Client(discord.Client):
    """Puts everything that it is told into queues."""

    def __init__(self):
        intents = discord.Intents.none()
        intents.guilds = intents.guild_messages = intents.message_content = True
        super().__init__(intents=intents)
        names = ["ready", "resumed", "message", "edited", "deleted", "bulk_deleted", "thread"]
        self.told = {name: asyncio.Queue() for name in names}

    async def on_ready(self):
        self.told["ready"].put_nowait(None)

    async def on_resumed(self):
        self.told["resumed"].put_nowait(None)

    async def on_message(self, message):
        self.told["message"].put_nowait(message)

    async def on_raw_message_edit(self, payload):
        self.told["edited"].put_nowait(payload)

    async def on_raw_message_delete(self, payload):
        self.told["deleted"].put_nowait(payload)

    async def on_raw_bulk_message_delete(self, payload):
        self.told["bulk_deleted"].put_nowait(payload)

    async def on_thread_create(self, thread):
        self.told["thread"].put_nowait(thread)

    async def event(self, name, matches=lambda _: True):
        async def wait():
            while True:
                event = await self.told[name].get()
                if matches(event):
                    return event

        return await within(name, wait())


async def refused(what, awaitable, kind, code):
    try:
        await within(what, awaitable)
    except discord.HTTPException as refusal:
        expect(isinstance(refusal, kind) and refusal.code == code, f"{what}: refused by {refusal!r}")
        return
    raise Difference(f"{what}: not refused")


class Stranger:
    def __init__(self, sandbox, world):
        self.sandbox, self.world = sandbox, world
        self.bots = [account for account in world["accounts"] if account["kind"] == "discord_bot"]
        self.mark = secrets.token_hex(6)
        self.client, self.running = None, None

    async def connect(self, bot):
        base = self.world["discord"]
        Route.BASE = f"{base['api_base']}/api/v10"
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(base["gateway"])
        self.account, self.client = bot, Client()
        self.running = asyncio.create_task(self.client.start(bot["token"]))
        ready = asyncio.create_task(self.client.event("ready"))
        await asyncio.wait([ready, self.running], return_when=asyncio.FIRST_COMPLETED)
        if self.running.done():
            await self.running
        await ready
        expect(str(self.client.user.id) == bot["platform_id"], f"{self.client.user} is the bot")

    async def close(self):
        if self.client is not None:
            await self.client.close()
            await asyncio.wait([self.running], timeout=5)

    async def describe(self):
        expect(len(self.client.guilds) == 1, f"{len(self.client.guilds)} guilds")
        guild = self.client.guilds[0]
        chats = [c for c in self.world["chats"] if c.get("guild") == str(guild.id)]
        seen = {str(channel.id): channel.name for channel in guild.text_channels}
        expect(seen == {c["chat"]: c["title"] for c in chats}, f"channels are {seen}")
        for chat in chats:
            allowed = guild.get_channel(int(chat["chat"])).permissions_for(guild.me)
            expect(allowed.send_messages == chat["writable"], f"{chat['title']}: {allowed}")
        application = await within("application", self.client.application_info())
        flags = application.flags
        expect(flags.gateway_message_content or flags.gateway_message_content_limited, "content may be asked for")
        step(f"connected to {guild.name} and its {len(chats)} channels")
        writable = next(chat for chat in chats if chat["writable"])
        return guild.get_channel(int(writable["chat"]))

    async def follow(self, channel):
        """Others write, change and delete; this client is told."""
        chat, text = str(channel.id), f"**bold** 😀 {self.mark}"
        posted = await self.sandbox.write("discord", chat, text, **{"from": "hasan"})
        message = await self.client.event("message", lambda m: m.content == text)
        expect(str(message.id) == posted and message.author.name == "hasan", f"the message is {message}")
        answer = await self.sandbox.write("discord", chat, f"answer {self.mark}", reply_to=posted)
        reply = await self.client.event("message", lambda m: str(m.id) == answer)
        expect(reply.type is discord.MessageType.reply, f"its type is {reply.type}")
        expect(str(reply.reference.message_id) == posted, "the reply names its message")
        await self.sandbox.edit("discord", chat, posted, f"changed {self.mark}")
        edit = await self.client.event("edited", lambda e: str(e.message_id) == posted)
        expect(edit.message.content == f"changed {self.mark}" and edit.message.edited_at, "the edit is told whole")
        link = await self.sandbox.write("discord", chat, f"https://example.org/{self.mark}")
        preview = await self.client.event("edited", lambda e: str(e.message_id) == link)
        expect(preview.message.edited_at is None and preview.message.embeds, "a preview is no edit")
        await self.sandbox.delete("discord", chat, posted)
        await self.client.event("deleted", lambda d: str(d.message_id) == posted)
        path = f"/sandbox/discord/chats/{chat}/messages/bulk-delete"
        await self.sandbox.call("POST", path, {"ids": [answer, link]})
        bulk = await self.client.event("bulk_deleted")
        expect({str(id) for id in bulk.message_ids} == {answer, link}, f"deleted {bulk.message_ids}")
        step("was told what others wrote, answered, changed and deleted")

    async def send(self, channel):
        chat, nonce = str(channel.id), secrets.token_hex(8)
        sent = await within("send", channel.send(f"**By** a stranger {self.mark}", nonce=nonce))
        again = await within("send", channel.send(f"**By** a stranger {self.mark}", nonce=nonce))
        expect(sent.id == again.id, "a repeat under its nonce is the same message")
        own = await self.client.event("message", lambda m: m.id == sent.id)
        expect(own.author == self.client.user and str(own.nonce) == nonce, f"the own message is {own}")
        reply = await within("reply", sent.reply(f"reply {self.mark}", mention_author=False))
        expect(reply.reference.resolved.id == sent.id, "the reply shows its message")
        item = await self.sandbox.message("discord", chat, reply.id)
        expect(item["reply_to"] == str(sent.id), "the reply names its message")
        await within("edit", sent.edit(content=f"edited {self.mark}"))
        item = await self.sandbox.message("discord", chat, sent.id)
        expect(item["text"] == f"edited {self.mark}" and item["edited_at"], "the edit is in the channel")
        await self.client.event("edited", lambda e: e.message_id == sent.id)
        await within("delete", reply.delete())
        expect(await self.sandbox.message("discord", chat, reply.id) is None, "the deleted message is gone")
        await self.client.event("deleted", lambda d: d.message_id == reply.id)
        thread = await within("thread", channel.create_thread(name="topic", type=discord.ChannelType.public_thread))
        inside = await within("send in a thread", thread.send(f"inside {self.mark}"))
        expect((await thread.fetch_message(inside.id)).content == f"inside {self.mark}", "it is in the thread")
        step("wrote, repeated, answered, edited and deleted by bot, and wrote in a thread")

    async def history(self, channel):
        for number in range(MANY):
            await self.sandbox.write("discord", channel.id, f"{number} {self.mark}")
        expected = [item["text"] for item in await self.sandbox.messages("discord", channel.id)]
        newest_first = [m.content async for m in channel.history(limit=None)]
        expect(newest_first == expected[::-1], "history is complete, newest first")
        oldest_first = [m async for m in channel.history(limit=None, oldest_first=True)]
        expect([m.content for m in oldest_first] == expected, "history is complete, oldest first")
        middle = oldest_first[MANY // 2]
        around = [m.content async for m in channel.history(limit=3, around=middle)]
        expect(middle.content in around and len(around) == 3, f"around it are {around}")
        expect(all(m.nonce is None for m in oldest_first), "history shows no nonces")
        step(f"read {len(expected)} messages of history in pages, in both directions")

    async def come_back(self, channel):
        """The connection is cut, and asked to go; nothing is lost and nothing comes twice."""
        for kind in ("drop_connection", "reconnect", "invalid_session_resumable"):
            while not self.client.told["message"].empty():
                self.client.told["message"].get_nowait()
            fault = {"target": self.account["id"], "kind": kind, "count": 1}
            await self.sandbox.call("POST", "/sandbox/faults", fault)
            expected = [f"{kind} {number} {self.mark}" for number in range(BURST)]
            for text in expected:
                await self.sandbox.write("discord", channel.id, text)
            told = [(await self.client.event("message")).content for _ in expected]
            expect(told == expected, f"{kind}: told {told}")
            await self.client.event("resumed")
            expect(self.client.told["ready"].empty(), f"{kind}: resumed, not begun anew")
        fault = {"target": self.account["id"], "kind": "invalid_session", "count": 1}
        await self.sandbox.call("POST", "/sandbox/faults", fault)
        await self.client.event("ready")
        step("came back after a cut, a request to reconnect and an invalid session")

    async def by_webhook(self, channel):
        path = f"/sandbox/discord/bots/{self.account['id']}/permissions"
        await self.sandbox.call("POST", path, {"manage_webhooks": True})
        made = await within("make a webhook", channel.create_webhook(name="bridge"))
        expect(made.id in [hook.id for hook in await channel.webhooks()], "the channel lists it")
        async with aiohttp.ClientSession() as session:
            hooks = [("made", discord.Webhook.partial(made.id, made.token, session=session))]
            for known in self.world["accounts"]:
                if known["kind"] == "discord_webhook":
                    hook = discord.Webhook.partial(int(known["platform_id"]), known["token"], session=session)
                    hooks.append(("seeded", hook))
            for name, hook in hooks:
                hook = await within(name, hook.fetch())
                await self.through(hook, f"{name} {self.mark}")
        await within("delete the webhook", made.delete())
        step(f"wrote, edited and deleted by {len(hooks)} webhooks")

    async def through(self, hook, text):
        chat = str(hook.channel_id)
        sent = await within("execute", hook.send(text, username="Ada", wait=True))
        expect(sent.author.display_name == "Ada" and sent.webhook_id == hook.id, f"the message is {sent}")
        if self.client.get_channel(hook.channel_id) is not None:
            told = await self.client.event("message", lambda m: m.id == sent.id)
            expect(told.webhook_id == hook.id and told.author.bot, f"told {told}")
        await within("edit", hook.edit_message(sent.id, content=f"edited {text}"))
        expect((await hook.fetch_message(sent.id)).content == f"edited {text}", "the edit is there")
        await within("delete", hook.delete_message(sent.id))
        expect(await self.sandbox.message("discord", chat, sent.id) is None, "the deleted message is gone")

    async def refusals(self, channel):
        other = channel.get_partial_message(int(await self.sandbox.write("discord", channel.id, "another's")))
        forbidden, not_found, wrong = discord.Forbidden, discord.NotFound, discord.HTTPException
        await refused("an edit of another's", other.edit(content="x"), forbidden, 50005)
        await refused("a delete of another's", other.delete(), forbidden, 50013)
        await refused("a message that is not", channel.fetch_message(5), not_found, 10008)
        await refused("an empty text", channel.send(" "), wrong, 50006)
        await refused("a long text", channel.send("x" * 2001), wrong, 50035)
        await refused("a channel that is not", self.client.fetch_channel(5), not_found, 10003)
        async with aiohttp.ClientSession() as session:
            nobody = discord.Webhook.partial(5, "token", session=session)
            await refused("a webhook that is not", nobody.send("x"), not_found, 10015)
        step("was refused what Discord refuses")

    async def see_forwarded(self, pair, followed):
        source, target = pair["source"], pair["target"]
        channel, chat = int(target["chat"]), (source["platform"], source["chat"])
        in_target = lambda event: getattr(event, "channel_id", None) == channel
        text = f"to be forwarded {self.mark}"
        posted = await self.sandbox.write(*chat, text)
        named = lambda text: lambda message: message.channel.id == channel and text in message.content
        copy = await self.client.event("message", named(text))
        self.expect_writer(copy, target)
        step(f"saw what the daemon delivered from {source['platform']}")
        if not followed:
            return
        await self.sandbox.edit(*chat, posted, f"edited {self.mark}")
        edit = await self.client.event("edited", lambda e: in_target(e) and e.message_id == copy.id)
        expect(f"edited {self.mark}" in edit.message.content, f"the edited copy is {edit.message.content!r}")
        await self.sandbox.write(*chat, f"answer {self.mark}", reply_to=posted)
        answer = await self.client.event("message", named(f"answer {self.mark}"))
        self.expect_writer(answer, target)
        if self.webhook_of(target) is None:
            expect(answer.reference and answer.reference.message_id == copy.id, "the answer points to the copy")
        else:
            expect(answer.reference is None, "Discord lets no webhook answer a message")
        await self.sandbox.delete(*chat, posted)
        await self.client.event("deleted", lambda d: in_target(d) and d.message_id == copy.id)
        step("saw its edit, its answer and its delete")

    def webhook_of(self, target):
        hooks = [hook for hook in self.world["accounts"] if hook["kind"] == "discord_webhook"]
        return next((hook for hook in hooks if hook["id"] == target["account"]), None)

    def expect_writer(self, message, target):
        """By bot under the bot's own name, by webhook under the author's."""
        hook = self.webhook_of(target)
        if hook is None:
            expect(message.webhook_id is None and message.author == self.client.user, f"written by {message.author}")
            return
        name = message.author.display_name
        expect(str(message.webhook_id) == hook["platform_id"] and message.author.bot, f"written by {message.author!r}")
        expect(name.endswith((" via Telegram", " (forwarded)")), f"the author is shown as {name!r}")


def forwarding_pair(world, number, webhook):
    """The seeded pair of that number with a Discord target, or its source and where a seeded webhook writes."""
    pair = [pair for pair in world["pairs"] if pair["target"]["platform"] == "discord"][number]
    if webhook is None:
        return pair
    hook = [account for account in world["accounts"] if account["kind"] == "discord_webhook"][webhook]
    return {"source": pair["source"], "target": {"platform": "discord", "chat": hook["chat"], "account": hook["id"]}}


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sandbox", required=True, metavar="URL", help="address of the control API")
    parser.add_argument("--pair", type=int, default=0, help="which pair with a Discord target, from 0")
    parser.add_argument("--webhook", type=int, help="in place of the pair's target this seeded webhook, from 0")
    parser.add_argument("--expect-forwarded", action="store_true", help="wait for the copy in the pair's target")
    parser.add_argument("--expect-followed", action="store_true", help="wait for its edit, answer and delete too")
    arguments = parser.parse_args()
    sandbox, stranger = Sandbox(arguments.sandbox), None
    try:
        world = await sandbox.call("GET", "/sandbox")
        before = await sandbox.violations("discord")
        stranger = Stranger(sandbox, world)
        if arguments.expect_forwarded:
            pair = forwarding_pair(world, arguments.pair, arguments.webhook)
            guild = next(c["guild"] for c in world["chats"] if c["chat"] == pair["target"]["chat"])
            readers = [bot for bot in stranger.bots if bot["id"] == pair["target"]["account"]]
            await stranger.connect((readers or stranger.bots)[0])
            expect(str(stranger.client.guilds[0].id) == guild, "the bot is in the target's guild")
            await stranger.see_forwarded(pair, arguments.expect_followed)
        else:
            await stranger.connect(stranger.bots[0])
            channel = await stranger.describe()
            await stranger.follow(channel)
            await stranger.send(channel)
            await stranger.history(channel)
            await stranger.come_back(channel)
            await stranger.by_webhook(channel)
        after = await sandbox.violations("discord")
        expect(before == after, f"broke rules: {after}")
        step("broke no rule of the protocol")
        if not arguments.expect_forwarded:
            await stranger.refusals(channel)
    except (Difference, discord.DiscordException, aiohttp.ClientError, OSError, urllib.error.HTTPError) as difference:
        return report(difference)
    finally:
        if stranger is not None:
            await stranger.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
