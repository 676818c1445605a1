//! The gateway: the websocket over which bots are told what happens.

mod compress;
mod connection;
mod hub;
mod identify;
mod intents;
mod protocol;
mod sign_in;
mod troubles;

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::core::Core;
use crate::http::Cut;
use compress::ZlibStream;
use connection::Connection;
pub use hub::SessionBounds;
pub(super) use hub::{Hub, Session};
pub(super) use identify::IdentifyBudget;
pub(super) use intents::{GUILD_MEMBERS, GUILD_PRESENCES, Intents, MESSAGE_CONTENT};

/// Where the websocket is.
pub(super) const PATH: &str = "/gateway";

/// The largest frame that is read, in bytes; a payload over 4,096 bytes is refused by Discord's own rule.
const MAX_FRAME: usize = 64 * 1024;

/// The gateway's address on a server.
pub(super) fn url(address: SocketAddr) -> String {
    format!("ws://{address}{PATH}")
}

#[derive(Deserialize)]
struct ConnectQuery {
    v: Option<String>,
    encoding: Option<String>,
    compress: Option<String>,
}

/// Takes a websocket. Transport compression other than `zlib-stream` is not offered: payloads then go as text.
pub(super) fn connect(
    core: Arc<Core>,
    request: &HttpRequest,
    body: web::Payload,
) -> actix_web::Result<HttpResponse> {
    let query = web::Query::<ConnectQuery>::from_query(request.query_string())?.into_inner();
    let version = query.v.as_deref().is_none_or(|version| version == "10");
    let encoding = query.encoding.as_deref().is_none_or(|encoding| encoding == "json");
    if !version || !encoding {
        return Ok(HttpResponse::BadRequest().body("the sandbox speaks version 10 in JSON"));
    }
    let zlib = (query.compress.as_deref() == Some("zlib-stream")).then(ZlibStream::new);
    let (response, socket, stream) = actix_ws::handle(request, body)?;
    let url = url(request.app_config().local_addr());
    let cut = request.conn_data::<Cut>().cloned();
    let connection = Connection::new(core, socket, zlib, url, cut);
    actix_web::rt::spawn(connection.serve(stream.max_frame_size(MAX_FRAME)));
    Ok(response)
}
