//! A connection before HTTP: plain, or TLS after a handshake that is bounded in time and number.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::problem::{PROBLEM_JSON, Problem, ProblemCode, REQUEST_ID};
use super::state::HttpState;
use crate::config::TlsConfig;

/// The first byte of a TLS connection: a handshake record (RFC 8446, section 5.1). No method of HTTP begins with it.
const HANDSHAKE: u8 = 22;

/// Opens connections of one worker.
#[derive(Clone)]
pub(super) struct Door {
    tls: Option<TlsAcceptor>,
    handshakes: Arc<Semaphore>,
    limit: Duration,
}

impl Door {
    pub(super) fn new(state: &HttpState, config: &TlsConfig) -> Self {
        Self {
            tls: state.tls().map(|tls| TlsAcceptor::from(tls.config())),
            handshakes: Arc::new(Semaphore::new(config.handshakes_max.get())),
            limit: config.handshake_timeout,
        }
    }

    /// Makes a connection ready for HTTP.
    ///
    /// # Errors
    /// What the connection says; a handshake that fails, takes too long or is none.
    pub(super) async fn open(
        &self,
        stream: TcpStream,
        peer: Option<SocketAddr>,
        state: &HttpState,
    ) -> io::Result<Transport> {
        let Some(acceptor) = &self.tls else { return Ok(Transport::Plain(stream)) };
        let opening = async {
            let mut first = [0_u8; 1];
            stream.peek(&mut first).await?;
            if first == [HANDSHAKE] {
                // One more than may be under way waits here, within the same limit.
                let _place = self.handshakes.acquire().await.map_err(io::Error::other)?;
                let stream = acceptor.accept(stream).await?;
                return Ok(Transport::Tls(Box::new(stream)));
            }
            if from_this_machine(peer) {
                return Ok(Transport::Plain(stream));
            }
            refuse(stream, &state.request_id()).await
        };
        timeout(self.limit, opening).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// What never leaves this machine may be plain: the command line, a container's health check.
fn from_this_machine(peer: Option<SocketAddr>) -> bool {
    peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
}

/// Tells a caller in the language that it speaks that this port speaks another.
async fn refuse(mut stream: TcpStream, request_id: &str) -> io::Result<Transport> {
    stream.write_all(&plain_answer(request_id)).await?;
    stream.shutdown().await?;
    Err(io::Error::new(io::ErrorKind::InvalidData, "plain HTTP on the TLS port"))
}

fn plain_answer(request_id: &str) -> Vec<u8> {
    let detail = "this port speaks TLS: use https://";
    let body = Problem::new(ProblemCode::MalformedRequest, detail).with_request_id(request_id).body();
    let mut answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\ncontent-type: {PROBLEM_JSON}\r\n{REQUEST_ID}: {request_id}\r\n\
         connection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    answer
}

/// A connection that is ready for HTTP.
pub(super) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_speak_plainly() {
        let peer = |text: &str| Some(text.parse().unwrap());
        for local in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(from_this_machine(peer(local)), "{local}");
        }
        for other in ["192.168.0.2:1", "8.8.8.8:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1"] {
            assert!(!from_this_machine(peer(other)), "{other}");
        }
        assert!(!from_this_machine(None));
    }

    #[test]
    fn the_others_are_told_what_this_port_speaks() {
        let answer = String::from_utf8(plain_answer("r-1")).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 ") && head.contains("x-request-id: r-1"), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        assert!(body.contains("this port speaks TLS"), "{body}");
    }
}
