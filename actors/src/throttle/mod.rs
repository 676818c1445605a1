//! The pure limiter: budgets, lanes, fairness, holds.
//!
//! One [`Limiter`] guards one identity (a Telegram session, a bot token, a webhook). It does no input or output and
//! reads no clock: every call names the time, a [`Duration`](std::time::Duration) since an origin that the caller
//! picks and that never goes back. An actor asks with [`Limiter::reserve`], sends what [`Limiter::poll`] grants, and
//! tells how each send ended with [`Limiter::done`].
//!
//! - **Budgets** (`window`) count sends in an *ack-anchored window log*: a request in flight fills its slot without
//!   an end, and an answered one gives it back a window after the *answer*, less the shortest round trip seen. The
//!   server counted the request before it answered, so no N+1 requests can fall into one of the server's windows,
//!   sliding or fixed, however the network stalls, unless it becomes faster than it ever was in the last minutes.
//! - **Lanes** are the destinations. Order holds in each: first in, first out, one in flight. All lanes of a chat
//!   share the chat's budgets, holds and rate-limit headers (`chat`). A lane that may not go waits for its own
//!   time in a heap and blocks no other.
//! - **Fairness** (`fair`): ready chats take turns (deficit round robin, in which a heavy message is paid for after
//!   it went), classes go in strict order but with a floor for the backfill and a ceiling for the urgent, and a lone
//!   message of a lane that was idle goes to the front.
//! - **Holds** (`hold`): a wait that the platform asks for freezes its scope for longer than asked, never shorter.
//! - **Restart** (`state`, `booking`): long windows, holds and learned limits outlive the process. What may be sent
//!   between two written states is booked in advance, so that a crash forgets no send.
//!
//! What a lane leaves behind is forgotten as soon as it means nothing any more, so memory is bounded by what waits
//! and what was lately sent. How much waits is bounded by the caller: the limiter takes every reservation.
//!
//! Left for a later change, each with its place: learning the caps that Telegram does not publish after a
//! `FLOOD_WAIT` and the ramp of a young account (they lower limits in `window`), the soft flood of a slow answer
//! (in `Limiter::done`, beside the round-trip floor), breakers for invalid requests and addresses (a limiter of the
//! egress address, asked after this one), and budgets of calls that are not sends (history, dialogs, joins).

mod booking;
mod chat;
mod class;
mod fair;
mod hold;
mod ids;
mod lane;
mod limiter;
mod profiles;
mod rtt;
#[cfg(feature = "testkit")]
pub(crate) mod server;
mod state;
mod view;
mod window;

#[cfg(test)]
mod tests;

pub use class::Class;
pub use ids::{GrantId, Lane, TicketId};
pub use limiter::{Answer, Done, Limiter, Polled};
pub use profiles::{Profile, UnknownProfile};
pub use state::LimiterState;
pub use view::{BudgetState, BudgetView, HeldChat, LimiterView};
