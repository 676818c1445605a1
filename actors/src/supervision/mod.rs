//! Supervision on actix: hosted children that restart in place, under supervisors that decide by rules.
//!
//! A [`Child`] never implements `actix::Actor`. The runtime hosts it: it owns the mailbox, the address and the arguments,
//! catches every panic, loads the state anew and goes on with the queue as it was. What is promised stands in
//! `SEMANTICS.md`, a sentence each with its test.

mod backoff;
mod branch;
mod cell;
mod changes;
mod child;
mod command;
mod contained;
mod context;
pub mod core;
mod directory;
mod event;
mod execute;
mod failure;
mod health;
mod host;
mod log_book;
mod message;
mod node;
mod page;
mod panics;
mod path;
mod recipient;
mod reference;
mod reload;
mod runner;
mod runtime;
mod scan;
mod shards;
mod spec;
mod state;
mod tally;
mod task;
mod tree;
mod watchdog;
mod window;
mod world;

pub use backoff::{Backoff, jitter_key};
pub use branch::Branch;
pub use cell::AddError;
pub use changes::ChangeFeed;
pub use child::{Child, Handle, LoadEnv, LoadError, Loaded, Message, Receive};
pub use context::{Cx, Heartbeat};
pub use core::{AutoShutdown, OnExceed, Storm, Strategy};
pub use event::{Happening, NoSink, ParkCause, SupervisionEvent, SupervisionSink, Unparker};
pub use failure::{ExitReason, Failure, Phase};
pub use health::{Concern, Health, Strain, Verdict};
pub use host::Ending;
pub use message::{AskError, Responder};
pub use node::LastFailure;
pub use page::{MailboxLoad, Page, PageQuery};
pub use panics::install_panic_hook;
pub use path::{ChildPath, Segment};
pub use recipient::Recipient;
pub use reference::{Ask, ChildRef, TellError};
pub use reload::{BranchLimits, Change, ReloadError, ReloadFault};
pub use runtime::{DrainReport, Runtime, RuntimeConfig, RuntimeError};
pub use spec::{BranchSpec, ChildSpec, Order, Policy, Probe, RestartType, SpecError, StopLimit};
pub use state::{NodeState, Refusal, UnknownState};
pub use tally::{KindHistory, KindTotals};
pub use task::Token;
pub use tree::{NodeView, OrderError, Tree};
pub use window::{Intensity, SlidingWindow};
pub use world::WallClock;
