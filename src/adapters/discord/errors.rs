//! One table from Discord's answers to what they mean for a connection and for a send
//! (discord.com/developers/docs/topics/opcodes-and-status-codes).

use serde::Deserialize;
use switchyard_actors::model::{HoldScope, MessageId, SendOutcome};
use switchyard_actors::ports::{ConnectionError, LoginError};

use crate::config::DiscordConfig;

use super::limits;
use super::rest::{Answer, CallError};

/// The body of a refusal.
#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default)]
    code: u32,
    #[serde(default)]
    message: String,
    /// What is wrong with which field.
    #[serde(default)]
    errors: serde_json::Map<String, serde_json::Value>,
}

/// A created message, as far as it matters.
#[derive(Deserialize)]
struct Created {
    id: MessageId,
}

/// "Cloudflare is blocking your request".
const BLOCKED: u32 = 40_333;
/// "API resource is currently overloaded".
const OVERLOADED: u32 = 130_000;
/// Refusals that ask to wait, whatever their status: slow mode and write limits.
const WAITS: &[u32] = &[20_016, 20_028, 20_029];
/// Refusals for now: sending or a feature is switched off, too many edits of old messages.
const SWITCHED_OFF: &[u32] = &[30_046, 40_004, 40_006];
/// Refusals of the credential: unauthorized, invalid authentication token; a webhook that is gone or has another token.
const CREDENTIAL: &[u32] = &[10_015, 40_001, 50_014, 50_027];
/// The account has to be verified before it may do anything.
const UNVERIFIED: u32 = 40_002;
/// Refusals of the chat: unknown channel, missing access, not a channel of text, cannot write to this user, verification
/// level, missing permissions, another type of channel, archived or locked thread, a forum without a thread.
const CHAT: &[u32] =
    &[10_003, 50_001, 50_007, 50_008, 50_009, 50_013, 50_024, 50_083, 160_005, 220_001, 220_003];
/// Refusals of this message: unknown message answered, too large, somebody else's, empty, the platform's own, invalid
/// form, blocked by moderation.
const MESSAGE: &[u32] = &[10_008, 40_005, 50_005, 50_006, 50_021, 50_035, 200_000, 200_001, 240_000];
/// No such message.
const UNKNOWN_MESSAGE: u32 = 10_008;
/// "Cannot reply without permission to read message history".
const REPLY_REFUSED: u32 = 160_002;
/// "Invalid form body".
const INVALID_FORM: u32 = 50_035;

/// What an answer to a new message means.
pub(super) fn outcome(answer: &Answer, config: &DiscordConfig) -> SendOutcome {
    if answer.status.is_success() {
        let created = serde_json::from_slice::<Created>(&answer.body).ok();
        return SendOutcome::Delivered { message: created.map(|created| created.id) };
    }
    let told = serde_json::from_slice::<Problem>(&answer.body);
    let is_discords = told.is_ok();
    let problem: Problem = told.unwrap_or_default();
    let error = describe(answer, &problem);
    let status = answer.status.as_u16();
    match (status, problem.code) {
        (429, _) => retry_after(answer, config),
        (_, code) if WAITS.contains(&code) => retry_after(answer, config),
        (401, _) => SendOutcome::SessionDead { error },
        (_, code) if CREDENTIAL.contains(&code) => SendOutcome::SessionDead { error },
        (_, BLOCKED | UNVERIFIED) => SendOutcome::Quarantine { error },
        (_, OVERLOADED) | (503, _) => SendOutcome::Backoff { error },
        (_, code) if SWITCHED_OFF.contains(&code) => SendOutcome::Backoff { error },
        (500.., _) | (408, _) => SendOutcome::Unclear { error },
        (_, code) if CHAT.contains(&code) => SendOutcome::PausePair { error },
        (_, code) if MESSAGE.contains(&code) => SendOutcome::Refused { error },
        // Not in Discord's own form: something in front of the API refuses, and says nothing of the chat.
        (403 | 404, _) if !is_discords => SendOutcome::Backoff { error },
        (403 | 404, _) => SendOutcome::PausePair { error },
        // A redirect is not followed: something else than the API stands at the configured address.
        (300..=399, _) => SendOutcome::Backoff { error },
        _ => SendOutcome::Refused { error },
    }
}

/// What an answer to the edit of a message means.
pub(super) fn edited(answer: &Answer, config: &DiscordConfig, message: MessageId) -> SendOutcome {
    if answer.status.is_success() {
        return SendOutcome::Delivered { message: Some(message) };
    }
    if problem(answer).code == UNKNOWN_MESSAGE {
        return SendOutcome::Refused { error: "the copy is gone from the target".to_owned() };
    }
    outcome(answer, config)
}

/// What an answer to the deletion of a message means: one that is gone already counts as deleted.
pub(super) fn deleted(answer: &Answer, config: &DiscordConfig) -> SendOutcome {
    if answer.status.is_success() || problem(answer).code == UNKNOWN_MESSAGE {
        return SendOutcome::Delivered { message: None };
    }
    outcome(answer, config)
}

/// Whether a new message was refused for what it answers, and would be taken without.
pub(super) fn refuses_reply(answer: &Answer) -> bool {
    let problem = problem(answer);
    let field = problem.code == INVALID_FORM && problem.errors.contains_key("message_reference");
    !answer.status.is_success() && (field || problem.code == REPLY_REFUSED)
}

/// Whether a webhook's message was refused for the name of its author, and would be taken with another.
pub(super) fn refuses_name(answer: &Answer) -> bool {
    let problem = problem(answer);
    !answer.status.is_success() && problem.code == INVALID_FORM && problem.errors.contains_key("username")
}

fn problem(answer: &Answer) -> Problem {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// What it means for a send that no answer came.
pub(super) fn unanswered(error: CallError) -> SendOutcome {
    match error {
        CallError::NotSent(error) => SendOutcome::Backoff { error },
        CallError::Lost(error) => SendOutcome::Unclear { error },
    }
}

/// What a refused call means for the connection that it was to make.
pub(super) fn connection_error(answer: &Answer, config: &DiscordConfig) -> ConnectionError {
    let problem = problem(answer);
    let text = describe(answer, &problem);
    match answer.status.as_u16() {
        401 => ConnectionError::NeedsLogin(text),
        _ if CREDENTIAL.contains(&problem.code) => ConnectionError::NeedsLogin(text),
        429 => {
            let (wait, _) = limits::wait(answer, config);
            ConnectionError::Wait { wait, reason: text }
        }
        403 if problem.code != 0 && problem.code != BLOCKED => ConnectionError::Refused(text),
        _ => ConnectionError::Unreachable(text),
    }
}

/// What a refused call means for somebody who brings a credential.
pub(super) fn login_error(error: ConnectionError) -> LoginError {
    match error {
        ConnectionError::NeedsLogin(text) => LoginError::Refused(format!("Discord does not know it: {text}")),
        ConnectionError::Refused(text) => LoginError::Refused(text),
        ConnectionError::Wait { wait, reason } => LoginError::Wait { wait, reason },
        other => LoginError::Unreachable(other.to_string()),
    }
}

fn retry_after(answer: &Answer, config: &DiscordConfig) -> SendOutcome {
    let (wait, scope): (_, HoldScope) = limits::wait(answer, config);
    SendOutcome::RetryAfter { wait, scope }
}

/// Status, code and Discord's own words; never the body of a page that is not Discord's.
fn describe(answer: &Answer, problem: &Problem) -> String {
    match (problem.code, problem.message.as_str()) {
        (0, "") => answer.status.to_string(),
        (0, message) => format!("{}: {message}", answer.status),
        (code, message) => format!("{} {code}: {message}", answer.status),
    }
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
