//! Streams of events: server-sent events (html.spec.whatwg.org, section 9.2), resumable by `Last-Event-ID`.

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use futures_util::future::{Ready, ready};
use futures_util::stream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use switchyard_actors::model::{DomainEvent, Topic, UserId};

use super::event_topics;
use super::faults::Asking;
use crate::http::api::{Access, Answer, Describer, Endpoint, Input, Lapse, Pass, Suspension, get};
use crate::http::extract::Query;
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::Serving;
use crate::services::caller::{Caller, Role, Scope};
use crate::services::events::{EventChoice, Listener, Listening, Recheck, StreamEnd, StreamOrder, Told};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How long a client is to wait before it comes back, in milliseconds.
const COME_BACK_MS: u32 = 2_000;

const OWN: Access = Access::User(Scope::Events);
const STAFF: Access = Access::Staff(&[Role::Owner, Role::Support]);

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/api/v1/events", OWN)
            .id("stream_events")
            .tag("events")
            .summary("What happens to the caller's accounts, pairs and deliveries, as it happens")
            .describe(TEXT)
            .to(own),
        get("/api/v1/admin/events", STAFF)
            .id("stream_admin_events")
            .tag("operations")
            .summary("What happens to sessions, queues and users, as it happens")
            .describe(TEXT)
            .to(staff),
    ]
}

const TEXT: &str = "\
Server-sent events. Each has a number as its `id`; a client that comes back with `Last-Event-ID` is told everything since, \
without gap or repeat. The first is `ready`, with the number from which the stream begins, or `reset`, when what came since is \
no longer kept: take a snapshot, then go on. The last is `end`, with a reason: `slow`, `draining`, `signed_out`, `forbidden`, \
`unavailable`. Between, comments show that the stream lives. The name of an event is its topic, its data a JSON object: see the answer.";

/// Which events a user is told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OwnQuery {
    /// Only these topics, separated by commas, such as `pair.changed,delivery.dead`.
    topics: Option<String>,
}

/// Which events one of the staff is told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StaffQuery {
    /// Only these topics, separated by commas, such as `session.state,queue.state`.
    topics: Option<String>,
    /// Only what concerns this user.
    user: Option<UserId>,
}

/// The number of the last event that the client has.
struct LastEventId(Option<i64>);

impl FromRequest for LastEventId {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(value) = req.headers().get(LAST_EVENT_ID) else { return ready(Ok(Self(None))) };
        let number = value.to_str().ok().and_then(|text| text.trim().parse::<i64>().ok());
        ready(match number.filter(|number| *number >= 0) {
            Some(number) => Ok(Self(Some(number))),
            None => {
                Err(Problem::new(ProblemCode::InvalidRequest, "Last-Event-ID must be the id of an event"))
            }
        })
    }
}

impl Input for LastEventId {
    fn describe(to: &mut Describer) {
        to.header(
            "Last-Event-ID",
            false,
            &json!({
                "type": "string",
                "pattern": "^[0-9]{1,18}$",
                "description": "The number of the last event that the client has.",
            }),
        );
    }
}

async fn own(
    Serving(services): Serving,
    Asking(caller): Asking,
    Query(query): Query<OwnQuery>,
    LastEventId(after): LastEventId,
    req: HttpRequest,
) -> Result<Stream, Problem> {
    // It would end at once, and the client come back for ever.
    Suspension::refuse(&req)?;
    let user = match caller {
        Caller::User(user) => Some(user),
        Caller::Operator | Caller::Admin(..) => None,
    };
    let choice = EventChoice { user, for_users: true, topics: topics(query.topics.as_deref())? };
    let order = StreamOrder { listener: listener(caller), choice, after, recheck: recheck(OWN, &req)? };
    Ok(Stream(services.events.open(order)?))
}

async fn staff(
    Serving(services): Serving,
    Asking(caller): Asking,
    Query(query): Query<StaffQuery>,
    LastEventId(after): LastEventId,
    req: HttpRequest,
) -> Result<Stream, Problem> {
    let choice = EventChoice { user: query.user, for_users: false, topics: topics(query.topics.as_deref())? };
    let order = StreamOrder { listener: listener(caller), choice, after, recheck: recheck(STAFF, &req)? };
    Ok(Stream(services.events.open(order)?))
}

fn listener(caller: Caller) -> Listener {
    match caller {
        Caller::User(user) => Listener::User(user),
        Caller::Admin(admin, _) => Listener::Staff(admin.to_string()),
        Caller::Operator => Listener::Staff("operator".to_owned()),
    }
}

fn topics(text: Option<&str>) -> Result<Vec<Topic>, Problem> {
    let named = text.into_iter().flat_map(|text| text.split(',')).map(str::trim);
    let parsed: Result<Vec<Topic>, String> = named.map(str::parse).collect();
    parsed.map_err(|detail| {
        Problem::new(ProblemCode::InvalidRequest, "the query is not valid").at_parameter("topics", detail)
    })
}

fn recheck(access: Access, req: &HttpRequest) -> Result<Recheck, Problem> {
    let pass = Arc::new(Pass::of(access, req)?);
    Ok(Box::new(move || {
        let pass = Arc::clone(&pass);
        Box::pin(async move {
            pass.lapse().await.map(|lapse| match lapse {
                Lapse::SignedOut => StreamEnd::SignedOut,
                Lapse::Forbidden => StreamEnd::Forbidden,
                Lapse::Draining => StreamEnd::Draining,
            })
        })
    }))
}

/// A stream as an answer. It has no end of its own, so no deadline for answers counts for it.
struct Stream(Listening);

impl Answer for Stream {
    fn respond(self) -> HttpResponse {
        let told = stream::unfold(self.0, |mut listening| async move {
            let told = listening.recv().await?;
            Some((Ok::<Bytes, actix_web::Error>(Bytes::from(wire(&told))), listening))
        });
        HttpResponse::Ok()
            .content_type("text/event-stream")
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header(("X-Accel-Buffering", "no"))
            .streaming(told)
    }

    fn describe(to: &mut Describer) {
        let (text, schema) = event_topics::describe(to);
        to.answers_media(200, &text, "text/event-stream", &schema);
        to.may_fail(&[ProblemCode::TooManyRequests]);
    }
}

/// One message as it stands in the stream. JSON has no line ends of its own.
fn wire(told: &Told) -> String {
    match told {
        Told::Ready { newest } => {
            let data = json!({ "newest": newest });
            format!("retry: {COME_BACK_MS}\nevent: ready\nid: {newest}\ndata: {data}\n\n")
        }
        Told::Reset { newest } => {
            let data = json!({ "newest": newest, "hint": "take a snapshot, then go on from here" });
            format!("retry: {COME_BACK_MS}\nevent: reset\nid: {newest}\ndata: {data}\n\n")
        }
        Told::Event(event) => {
            let DomainEvent { id, topic, .. } = **event;
            let data = serde_json::to_string(event.as_ref()).unwrap_or_default();
            format!("event: {topic}\nid: {id}\ndata: {data}\n\n")
        }
        Told::Alive { last } => format!(": alive\nid: {last}\n\n"),
        Told::End { why, last } => {
            let data = json!({ "reason": why.as_str(), "last_id": last });
            format!("event: end\nid: {last}\ndata: {data}\n\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stand_in_the_stream_as_the_specification_has_them() {
        let event = DomainEvent {
            id: 7,
            at: "2026-11-22T12:00:00Z".parse().unwrap(),
            topic: Topic::PairChanged,
            user: None,
            staff_only: false,
            subject: "pairs/x".to_owned(),
            data: json!({ "text": "two\nlines" }),
        };
        let text = wire(&Told::Event(Arc::new(event)));
        assert!(text.starts_with("event: pair.changed\nid: 7\ndata: {"), "{text}");
        assert_eq!(text.lines().count(), 4, "a line end inside the data would be another field: {text}");
        assert!(text.ends_with("\n\n"));
        assert_eq!(wire(&Told::Alive { last: 9 }), ": alive\nid: 9\n\n");
        let end = wire(&Told::End { why: StreamEnd::Slow, last: 3 });
        assert_eq!(end, "event: end\nid: 3\ndata: {\"last_id\":3,\"reason\":\"slow\"}\n\n");
    }
}
