//! Accounts and pairs that answer as told, for the tests of the HTTP surface: what is asked for last is remembered.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use switchyard::services::accounts::{
    AccountChange, AccountView, Accounts, ChatQuery, ConnectedAccount, ReconnectView, RemovedAccount,
};
use switchyard::services::caller::Caller;
use switchyard::services::fault::Fault;
use switchyard::services::keys::{
    KeyListing, KeyName, Keys, MasterKeyItem, RetiredKey, RotateOrder, RotationView,
};
use switchyard::services::membership::{MembershipView, Memberships, PlanList};
use switchyard::services::page::{Listed, Page};
use switchyard::services::pairs::{PairFilter, PairOrder, PairPatch, PairView, Pairs};
use switchyard::services::sealed::{SealedSession, SealingKey};
use switchyard::services::secrets::{SecretItem, SecretListing, SecretName, SecretOrder, Secrets};
use switchyard::services::sign_ins::{SignInAnswer, SignInId, SignInMethod, SignInView};
use switchyard_actors::model::{AccountId, ChatId, PairId, PlanName, UserId};
use switchyard_actors::ports::{KnownChat, NewCredential, Proxy};
use uuid::Uuid;

/// Knows one account and one pair by whatever id it is asked for.
pub(crate) struct FakeDesk;

const ID: &str = "0193a0b0-0000-7000-8000-000000000009";

fn account(id: &str) -> AccountView {
    serde_json::from_value(json!({
        "id": id, "user": ID, "kind": "discord_bot", "platform": "discord", "platform_id": "42", "name": "bot",
        "state": "active", "health": { "status": "connected", "text": "connected" }, "pairs": 0,
    }))
    .unwrap()
}

fn pair(id: &str, paused: &Value) -> PairView {
    let end = |platform: &str| json!({ "account": ID, "platform": platform, "chat": "7" });
    serde_json::from_value(json!({
        "id": id, "user": ID, "source": end("telegram"), "target": end("discord"), "paused": paused, "text": "forwards",
        "name": null, "state": "forwarding", "version": 3, "created_at": "2026-11-22T12:00:00Z",
    }))
    .unwrap()
}

fn sign_in(id: &str) -> SignInView {
    serde_json::from_value(json!({
        "id": id, "state": "code", "sent_to": "the Telegram app", "expires_at": "2026-11-22T12:10:00Z",
    }))
    .unwrap()
}

#[async_trait]
impl Accounts for FakeDesk {
    async fn list(
        &self,
        _caller: Caller,
        page: Page<AccountId>,
    ) -> Result<Listed<AccountView, AccountId>, Fault> {
        let items = if page.cursor.is_some() { Vec::new() } else { vec![account(ID)] };
        Ok(Listed { items, next_cursor: None })
    }

    async fn get(&self, _caller: Caller, id: AccountId) -> Result<AccountView, Fault> {
        Ok(account(&id.to_string()))
    }

    async fn connect(
        &self,
        _caller: Caller,
        _user: Option<UserId>,
        credential: NewCredential,
        _proxy: Option<Proxy>,
    ) -> Result<ConnectedAccount, Fault> {
        let (NewCredential::TelegramBot { token } | NewCredential::DiscordBot { token }) = credential else {
            return Err(Fault::Refused("credential is refused: tokens only".to_owned()));
        };
        match token.expose_secret() {
            "bad" => Err(Fault::Refused("credential is refused: 401".to_owned())),
            "taken" => Err(Fault::Conflict("another user connected this platform account".to_owned())),
            "away" => Err(Fault::Unreachable("platform is unreachable: refused".to_owned())),
            token => Ok(ConnectedAccount { account: account(ID), renewed: token == "again" }),
        }
    }

    async fn remove(&self, _caller: Caller, id: AccountId, force: bool) -> Result<RemovedAccount, Fault> {
        Ok(RemovedAccount { id, logged_out: !force, pairs_removed: 1 })
    }

    async fn begin_sign_in(
        &self,
        _caller: Caller,
        _user: Option<UserId>,
        method: SignInMethod,
        _proxy: Option<Proxy>,
    ) -> Result<SignInView, Fault> {
        match method {
            SignInMethod::Phone(number) if number == "+00" => Err(Fault::ServerLoginOff),
            SignInMethod::Phone(_) | SignInMethod::Qr => Ok(sign_in(ID)),
        }
    }

    async fn sealing_key(&self, _caller: Caller, user: Option<UserId>) -> Result<SealingKey, Fault> {
        let user = user.map_or_else(|| json!(ID), |user| json!(user));
        let key = json!({ "key_id": "k", "public_key": "AA==", "suite": "s", "info": "i", "user": user });
        Ok(serde_json::from_value(key).unwrap())
    }

    async fn connect_sealed(
        &self,
        _caller: Caller,
        _user: Option<UserId>,
        sealed: SealedSession,
        _proxy: Option<Proxy>,
    ) -> Result<ConnectedAccount, Fault> {
        if sealed.key_id == "k" {
            return Ok(ConnectedAccount { account: account(ID), renewed: false });
        }
        let detail = "it is sealed to another key".to_owned();
        Err(Fault::Invalid { pointer: "/sealed_session/key_id", detail })
    }

    async fn change(
        &self,
        _caller: Caller,
        id: AccountId,
        expected: Option<i64>,
        change: AccountChange,
    ) -> Result<AccountView, Fault> {
        if expected.is_some_and(|expected| expected != 3) {
            return Err(Fault::Stale);
        }
        let name = change.name.flatten().unwrap_or_else(|| "bot".to_owned());
        Ok(AccountView { name, version: 4, ..account(&id.to_string()) })
    }

    async fn reconnect(&self, _caller: Caller, id: AccountId) -> Result<ReconnectView, Fault> {
        if id.to_string() == ID {
            let at = "2026-11-22T12:10:00Z".parse().unwrap();
            return Ok(ReconnectView { id, at });
        }
        Err(Fault::NeedsLogin("account needs login: the platform ended its session".to_owned()))
    }

    async fn chats(
        &self,
        _caller: Caller,
        _id: AccountId,
        query: ChatQuery,
    ) -> Result<Listed<KnownChat, ChatId>, Fault> {
        let chat = json!({
            "chat": "7", "title": query.text.unwrap_or_default(), "kind": "group", "can_read": true, "can_write": false,
        });
        Ok(Listed { items: vec![serde_json::from_value(chat).unwrap()], next_cursor: None })
    }

    async fn sign_in(&self, _caller: Caller, id: SignInId) -> Result<SignInView, Fault> {
        Ok(sign_in(&id.to_string()))
    }

    async fn answer_sign_in(
        &self,
        _caller: Caller,
        id: SignInId,
        answer: SignInAnswer,
    ) -> Result<SignInView, Fault> {
        match answer {
            SignInAnswer::Code(code) if code.expose() == "11111" => Ok(sign_in(&id.to_string())),
            SignInAnswer::Code(code) if code.expose() == "00000" => Err(Fault::CodeExpired),
            SignInAnswer::Code(_) => Err(Fault::WrongCode),
            SignInAnswer::Password(_) => Err(Fault::OutOfStep("this sign-in waits for the code".to_owned())),
        }
    }
}

#[async_trait]
impl Pairs for FakeDesk {
    async fn list(
        &self,
        _caller: Caller,
        _filter: PairFilter,
        _page: Page<PairId>,
    ) -> Result<Listed<PairView, PairId>, Fault> {
        Ok(Listed { items: vec![pair(ID, &json!([]))], next_cursor: None })
    }

    async fn get(&self, _caller: Caller, id: PairId) -> Result<PairView, Fault> {
        Ok(pair(&id.to_string(), &json!([])))
    }

    async fn add(&self, _caller: Caller, order: PairOrder) -> Result<PairView, Fault> {
        if order.source.chat == order.target.chat {
            let detail = "source and target are the same place".to_owned();
            return Err(Fault::Invalid { pointer: "/target/chat", detail });
        }
        Ok(pair(ID, &json!([])))
    }

    async fn change(
        &self,
        _caller: Caller,
        id: PairId,
        version: Option<i64>,
        _patch: PairPatch,
    ) -> Result<PairView, Fault> {
        if version.is_some_and(|version| version != 3) {
            return Err(Fault::Stale);
        }
        Ok(pair(&id.to_string(), &json!([])))
    }

    async fn remove(&self, _caller: Caller, _id: PairId) -> Result<(), Fault> {
        Ok(())
    }

    async fn pause(&self, _caller: Caller, id: PairId) -> Result<PairView, Fault> {
        Ok(pair(&id.to_string(), &json!(["admin"])))
    }

    async fn resume(&self, _caller: Caller, id: PairId) -> Result<PairView, Fault> {
        Ok(pair(&id.to_string(), &json!([])))
    }
}

fn membership(user: UserId) -> MembershipView {
    let used = json!({ "used": 1, "limit": null });
    let money = json!({ "amount": "0.00", "currency": "USD" });
    serde_json::from_value(json!({
        "user": user, "state": "active", "state_reason": null, "suspended_at": null, "version": 1,
        "plan": {
            "name": "free", "title": "Free", "monthly": money, "yearly": money, "state": "default", "given": null,
            "paid_through": null,
        },
        "usage": {
            "accounts": used, "pairs": used, "messages_today": used, "resets_at": "2026-11-23T00:00:00Z",
        },
    }))
    .unwrap()
}

#[async_trait]
impl Memberships for FakeDesk {
    fn plans(&self) -> PlanList {
        PlanList { items: Vec::new(), default: "free".parse().unwrap() }
    }

    async fn membership(&self, _caller: Caller, user: UserId) -> Result<MembershipView, Fault> {
        Ok(membership(user))
    }

    async fn set_plan(
        &self,
        user: UserId,
        _plan: PlanName,
        _until: Option<DateTime<Utc>>,
    ) -> Result<MembershipView, Fault> {
        Ok(membership(user))
    }

    async fn suspend(&self, user: UserId, _reason: Option<String>) -> Result<MembershipView, Fault> {
        Ok(membership(user))
    }

    async fn restore(&self, user: UserId) -> Result<MembershipView, Fault> {
        Ok(membership(user))
    }
}
#[async_trait]
impl Keys for FakeDesk {
    async fn list(&self) -> Result<KeyListing, Fault> {
        Err(not_there())
    }

    async fn add(&self) -> Result<MasterKeyItem, Fault> {
        Err(not_there())
    }

    async fn rotate(&self, _: RotateOrder) -> Result<RotationView, Fault> {
        Err(not_there())
    }

    async fn rotation(&self, _: Uuid) -> Result<RotationView, Fault> {
        Err(not_there())
    }

    async fn retire(&self, _: KeyName) -> Result<RetiredKey, Fault> {
        Err(not_there())
    }
}

#[async_trait]
impl Secrets for FakeDesk {
    async fn list(&self) -> Result<SecretListing, Fault> {
        Err(not_there())
    }

    async fn set(&self, _: SecretName, _: SecretOrder) -> Result<SecretItem, Fault> {
        Err(not_there())
    }

    async fn remove(&self, _: SecretName) -> Result<SecretItem, Fault> {
        Err(not_there())
    }
}

fn not_there() -> Fault {
    Fault::Unavailable("there is no store here".to_owned())
}
