//! Faults and the clock.

use std::time::Duration;

use actix_web::HttpResponse;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::problem::Problem;
use super::{ControlState, body};
use crate::clock::{SandboxClock, TooFar};
use crate::faults::{FaultKind, FaultSpan, FaultSpec, FaultTarget};
use crate::journal::{Journal, JournalError};

/// The wait of a fault that names none, in seconds.
const DEFAULT_WAIT: f64 = 5.0;
/// The longest wait or span of a fault, in seconds: a day.
const MAX_SECONDS: f64 = 86_400.0;
const MAX_COUNT: u64 = 1_000_000;
/// Faults in force at a time.
const MAX_FAULTS: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultBody {
    target: String,
    kind: FaultKind,
    count: Option<u64>,
    seconds: Option<f64>,
    wait: Option<f64>,
}

#[derive(Serialize)]
struct FaultView {
    target: String,
    kind: FaultKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    wait: f64,
}

#[derive(Serialize)]
struct FaultList {
    items: Vec<FaultView>,
}

pub(super) fn add_fault(state: &ControlState, body: &[u8]) -> Result<HttpResponse, Problem> {
    let FaultBody { target, kind, count, seconds, wait } = body::json(body)?;
    let target = fault_target(state, &target)?;
    let span = match (count, seconds) {
        (Some(count), None) if (1..=MAX_COUNT).contains(&count) => FaultSpan::Count(count),
        (Some(_), None) => return Err(Problem::invalid(format!("count: must be from 1 to {MAX_COUNT}"))),
        (None, Some(seconds)) => FaultSpan::For(duration("seconds", seconds, MAX_SECONDS)?),
        _ => return Err(Problem::invalid("a fault has either a count or seconds")),
    };
    let wait = duration("wait", wait.unwrap_or(DEFAULT_WAIT), MAX_SECONDS)?;
    if state.shared.faults.list().len() >= MAX_FAULTS {
        return Err(Problem::invalid(format!("there are {MAX_FAULTS} faults in force already")));
    }
    state.shared.faults.add(FaultSpec { target, kind, span, wait });
    Ok(list_faults(state))
}

fn fault_target(state: &ControlState, name: &str) -> Result<FaultTarget, Problem> {
    if let Some(platform) = super::platform_named(name) {
        return Ok(FaultTarget::Platform(platform));
    }
    if let Some((platform, chat)) = name.split_once(':')
        && let (Some(platform), Ok(chat)) = (super::platform_named(platform), chat.parse())
    {
        return Ok(FaultTarget::Chat(platform, chat));
    }
    let account = Uuid::parse_str(name).ok().filter(|account| state.seed.has_account(*account));
    account.map(FaultTarget::Account).ok_or_else(|| {
        Problem::invalid(format!("target: {name} is neither a platform, a seeded account nor platform:chat"))
    })
}

pub(super) fn list_faults(state: &ControlState) -> HttpResponse {
    let items = state.shared.faults.list().into_iter().map(view).collect();
    HttpResponse::Ok().json(FaultList { items })
}

fn view(spec: FaultSpec) -> FaultView {
    let (count, seconds) = match spec.span {
        FaultSpan::Count(count) => (Some(count), None),
        FaultSpan::For(span) => (None, Some(span.as_secs_f64())),
    };
    let target = match spec.target {
        FaultTarget::Platform(platform) => platform.to_string(),
        FaultTarget::Account(account) => account.to_string(),
        FaultTarget::Chat(platform, chat) => format!("{platform}:{chat}"),
    };
    FaultView { target, kind: spec.kind, count, seconds, wait: spec.wait.as_secs_f64() }
}

pub(super) fn clear_faults(state: &ControlState) -> HttpResponse {
    state.shared.faults.clear();
    HttpResponse::NoContent().finish()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockBody {
    advance_seconds: f64,
}

#[derive(Serialize)]
struct ClockView {
    now: DateTime<Utc>,
    offset_seconds: f64,
}

/// What the clock's journal holds.
#[derive(Serialize, Deserialize)]
enum ClockOp {
    Advanced { ms: u64 },
}

pub(super) fn advance_clock(state: &ControlState, body: &[u8]) -> Result<HttpResponse, Problem> {
    let ClockBody { advance_seconds } = body::json(body)?;
    let by = duration("advance_seconds", advance_seconds, crate::clock::MAX_OFFSET.as_secs_f64())?;
    let too_far = |error: TooFar| Problem::invalid(error.to_string());
    // Written before anybody can see the new time. The control API has one thread, so nothing comes in between.
    state.shared.clock.check(by).map_err(too_far)?;
    let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    state.journal.append(&ClockOp::Advanced { ms }).map_err(|error| Problem::journal(&error))?;
    let now = state.shared.clock.advance(by).map_err(too_far)?;
    let offset = state.shared.clock.offset().to_std().unwrap_or_default();
    Ok(HttpResponse::Ok().json(ClockView { now, offset_seconds: offset.as_secs_f64() }))
}

/// Moves a new clock to where the journal says that it stood.
pub(crate) fn restore_clock(clock: &SandboxClock, journal: &Journal) -> Result<(), JournalError> {
    journal.replay(|ClockOp::Advanced { ms }| {
        if let Err(error) = clock.advance(Duration::from_millis(ms)) {
            tracing::error!(%error, "the clock's journal goes too far");
        }
    })
}

/// A number of seconds, fractions allowed, from zero to a bound.
fn duration(field: &str, seconds: f64, max: f64) -> Result<Duration, Problem> {
    if !(0.0..=max).contains(&seconds) {
        return Err(Problem::invalid(format!("{field}: must be from 0 to {max} seconds")));
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| Problem::invalid(format!("{field}: {error}")))
}
