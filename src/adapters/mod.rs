//! Adapters: thin implementations of the domain's ports over the platforms' real clients.

mod connectors;
pub mod discord;
pub mod telegram;

pub use connectors::Connectors;

/// Log directives under which the platforms' client libraries say nothing that must not be in a log: at lower levels
/// some of them print tokens, message texts or updates.
pub const QUIET_LIBRARIES: &str = "serenity=off,grammers_session=info,grammers_mtsender=info,grammers_mtproto=info,\
                                   hyper=info,hyper_util=info,reqwest=info,tungstenite=info,tokio_tungstenite=info";
