//! `getUpdates` (core.telegram.org/bots/api#getupdates): an offset confirms what lies below it, one poller at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::core::{Core, State};
use super::error::ApiError;
use super::params::Params;
use super::world::Op;

const LIMIT_MAX: i64 = 100;

pub(super) async fn get_updates(core: &Core, params: &Params) -> Result<Value, ApiError> {
    let limit = params.integer("limit").unwrap_or(LIMIT_MAX).clamp(1, LIMIT_MAX);
    let limit = usize::try_from(limit).unwrap_or(1);
    let timeout = u64::try_from(params.integer("timeout").unwrap_or(0)).unwrap_or(0);
    let timeout = Duration::from_secs(timeout).min(core.config.poll_max);
    let mut updated = core.updated.subscribe();
    let mut polls = core.polls.subscribe();
    {
        let mut state = core.lock();
        if !state.world.webhook.is_empty() {
            return Err(ApiError::conflict(
                "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
            ));
        }
        // Whoever waits already is told that somebody else asks now.
        core.polls.send_modify(|count| *count = count.wrapping_add(1));
        polls.borrow_and_update();
        allow(&mut state, params)?;
        confirm(&mut state, params.integer("offset").unwrap_or(0))?;
    }
    let deadline = tokio::time::sleep(timeout);
    tokio::pin!(deadline);
    loop {
        updated.borrow_and_update();
        let waiting = list(core, limit);
        if !waiting.is_empty() || timeout.is_zero() {
            return Ok(Value::Array(waiting));
        }
        tokio::select! {
            changed = updated.changed() => if changed.is_err() { return Ok(json!([])) },
            _ = polls.changed() => return Err(ApiError::conflict(
                "terminated by other getUpdates request; make sure that only one bot instance is running",
            )),
            () = &mut deadline => return Ok(json!([])),
            () = core.stop.cancelled() => return Ok(json!([])),
        }
    }
}

fn list(core: &Core, limit: usize) -> Vec<Value> {
    let state = core.lock();
    let shown = state.world.updates.iter().take(limit).map(|(id, update)| {
        let mut shown = json!({"update_id": id});
        if let Some(object) = shown.as_object_mut() {
            object.insert(update.kind.clone(), update.body.clone());
        }
        shown
    });
    shown.collect()
}

/// Which kinds are wanted holds for updates that come from now on.
fn allow(state: &mut State, params: &Params) -> Result<(), ApiError> {
    let Some(kinds) = params.json("allowed_updates")? else { return Ok(()) };
    let kinds: BTreeSet<String> = serde_json::from_value(kinds)
        .map_err(|_| ApiError::bad_request("can't parse allowed updates: expected an Array of String"))?;
    let kinds = (!kinds.is_empty()).then_some(kinds);
    if state.world.allowed != kinds {
        state.commit(Op::Allowed(kinds)).map_err(|_| ApiError::internal())?;
    }
    Ok(())
}

fn confirm(state: &mut State, offset: i64) -> Result<(), ApiError> {
    let below = if offset < 0 {
        // So many from the end are left.
        let keep = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
        let skip = state.world.updates.len().saturating_sub(keep);
        state.world.updates.keys().nth(skip).copied().unwrap_or(0)
    } else {
        offset
    };
    if state.world.updates.keys().next().is_some_and(|first| *first < below) {
        state.commit(Op::Confirmed { below }).map_err(|_| ApiError::internal())?;
    }
    Ok(())
}
