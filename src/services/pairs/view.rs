//! A pair as it is shown, with why it does not forward just now, if it does not.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::SecondsFormat;
use serde_json::Value;
use switchyard_actors::model::{Account, AccountId, Place};
use switchyard_actors::supervision::NodeView;

use super::super::accounts::{self, AccountStatus};
use super::super::desk::Desk;
use super::super::fault::Fault;
use super::{EndView, PairState, PairView, time};
use crate::store::PairRecord;

/// How long one session may take to say how it is; it waits for nothing while it does.
const SAY: Duration = Duration::from_secs(1);

/// What stands in a pair's way: a word for programs, a sentence for people.
pub(super) type Obstacle = (PairState, String);

/// Accounts and their sessions at this moment.
pub(super) struct Scene {
    accounts: HashMap<AccountId, (Account, Option<NodeView>)>,
}

impl Desk {
    /// Looks at the accounts of these pairs, each session asked itself: what the tree shows may be a moment old.
    pub(super) async fn scene(&self, records: &[PairRecord]) -> Result<Scene, Fault> {
        use switchyard_actors::ports::Directory as _;
        let ends = records.iter().flat_map(|record| [record.pair.source_account, record.pair.target_account]);
        let ids: BTreeSet<AccountId> = ends.collect();
        let looks = ids.into_iter().map(|id| async move {
            let account = self.store.account(id).await?;
            Ok::<_, Fault>((id, (account, self.operator.session_view(id, SAY).await)))
        });
        let accounts = futures_util::future::try_join_all(looks).await?.into_iter().collect();
        Ok(Scene { accounts })
    }

    pub(super) async fn show(&self, record: &PairRecord) -> Result<PairView, Fault> {
        let scene = self.scene(std::slice::from_ref(record)).await?;
        Ok(self.view(record, &scene))
    }

    pub(super) fn view(&self, record: &PairRecord, scene: &Scene) -> PairView {
        let obstacle = scene.obstacle(record).or_else(|| {
            let allowance = self.operator.allowance(record.pair.user);
            let limit = allowance.limit.filter(|limit| allowance.delivered >= *limit)?;
            let resets = allowance.resets_at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let text = format!(
                "waits: the plan's {limit} messages of today are delivered; it goes on at {resets}, or with another plan"
            );
            Some((PairState::Waiting, text))
        });
        view(record, obstacle)
    }
}

impl Scene {
    /// Why a pair that is not paused does not forward at the moment, as far as its accounts' sessions tell.
    fn obstacle(&self, record: &PairRecord) -> Option<Obstacle> {
        let pair = &record.pair;
        let down = |id: AccountId| {
            let (account, session) = self.accounts.get(&id)?;
            let health = accounts::health(account.state, session.as_ref());
            (health.status != AccountStatus::Connected)
                .then(|| format!("{} is {}", account.name, health.text))
        };
        let waits = |text: String| Some((PairState::Waiting, text));
        if let Some(why) = down(pair.source_account) {
            return waits(format!("waits for its source: {why}"));
        }
        let session = self.accounts.get(&pair.source_account).and_then(|(_, session)| session.as_ref());
        if let Some(why) = session.and_then(|node| unreadable(node, pair.source)) {
            return waits(format!("cannot read its source: {why}"));
        }
        let why = down(pair.target_account)?;
        waits(format!("waits for its target: {why}"))
    }
}

/// What a session says of a source that it cannot read.
fn unreadable(session: &NodeView, source: Place) -> Option<String> {
    let troubles = session.observable.get("unreadable_sources")?.as_array()?;
    let place = serde_json::to_value(source).ok()?;
    let whole = serde_json::to_value(Place { thread: None, ..source }).ok()?;
    let own = |trouble: &&Value| trouble.get("source").is_some_and(|at| *at == place || *at == whole);
    Some(troubles.iter().find(own)?.get("error")?.as_str()?.to_owned())
}

pub(super) fn view(record: &PairRecord, obstacle: Option<Obstacle>) -> PairView {
    let pair = &record.pair;
    let end = |account, place: Place| EndView {
        account,
        platform: place.platform,
        chat: place.chat,
        thread: place.thread,
    };
    let (state, text) = if pair.paused.is_empty() {
        obstacle.unwrap_or_else(|| (PairState::Forwarding, "forwards".to_owned()))
    } else {
        let causes: Vec<&str> = pair.paused.iter().map(|cause| cause.as_str()).collect();
        let text = format!("paused by: {}; what is written meanwhile waits", causes.join(", "));
        (PairState::Paused, text)
    };
    PairView {
        id: pair.id,
        user: pair.user,
        name: record.name.clone(),
        source: end(pair.source_account, pair.source),
        target: end(pair.target_account, pair.target),
        paused: pair.paused.clone(),
        state,
        text,
        version: record.version,
        created_at: time(record.created_at),
    }
}
