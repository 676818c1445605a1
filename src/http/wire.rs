//! Errors below the router: what the protocol layer answers when there is no request yet gets a problem document too.
//!
//! The layer answers a head that is malformed, too long or too slow with a bare status line, `content-length: 0`, and
//! closes the connection. Such a write is exactly one response head without a body; every error of ours has a body.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::middleware::{DEFAULTS, TRANSPORT};
use super::problem::{PROBLEM_JSON, Problem, ProblemCode, REQUEST_ID};
use super::state::HttpState;

/// How much of a refused request is read and thrown away, and for how long, so that its answer arrives: a close with
/// bytes unread resets the connection.
const LINGER_BYTES: usize = 1 << 20;
const LINGER_TIME: Duration = Duration::from_secs(1);

const NO_BODY: &str = "content-length: 0\r\n";

/// A connection that gives bare errors a body.
pub(crate) struct WireStream<S> {
    inner: S,
    state: Arc<HttpState>,
    farewell: Option<Farewell>,
}

/// The answer that is the connection's last.
struct Farewell {
    answer: Vec<u8>,
    written: usize,
    closed: bool,
    linger: usize,
    deadline: Pin<Box<Sleep>>,
}

impl Farewell {
    fn new(answer: Vec<u8>) -> Self {
        let deadline = Box::pin(sleep(LINGER_TIME));
        Self { answer, written: 0, closed: false, linger: LINGER_BYTES, deadline }
    }

    /// Writes the answer, closes our side, and reads until the caller has closed its own.
    fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        inner: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(rest) = self.answer.get(self.written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut *inner).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        if !self.closed {
            ready!(Pin::new(&mut *inner).poll_shutdown(cx))?;
            self.closed = true;
        }
        let mut waste = [0_u8; 4096];
        while self.linger > 0 {
            let mut buf = ReadBuf::new(&mut waste);
            match Pin::new(&mut *inner).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    self.linger = self.linger.saturating_sub(buf.filled().len());
                }
                Poll::Ready(_) => self.linger = 0,
                Poll::Pending => {
                    ready!(self.deadline.as_mut().poll(cx));
                    self.linger = 0;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S> WireStream<S> {
    pub(crate) const fn new(inner: S, state: Arc<HttpState>) -> Self {
        Self { inner, state, farewell: None }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WireStream<S> {
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.farewell {
            Some(farewell) => farewell.poll(&mut self.inner, cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WireStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WireStream<S> {
    /// A bare error is taken over whole and done with before this answers: the layer above drops the connection then.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.farewell.is_none() {
            let Some((status, head)) = bare_error(buf) else {
                return Pin::new(&mut self.inner).poll_write(cx, buf);
            };
            let answer = with_body(status, head, &self.state.request_id(), self.state.tls().is_some());
            self.farewell = Some(Farewell::new(answer));
        }
        ready!(self.poll_farewell(cx))?;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_farewell(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_farewell(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The status and head of a write that is one error response without a body.
fn bare_error(write: &[u8]) -> Option<(StatusCode, &str)> {
    let text = std::str::from_utf8(write).ok()?;
    let head = text.strip_suffix("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    let status = StatusCode::from_bytes(status.as_bytes()).ok()?;
    let error = status.is_client_error() || status.is_server_error();
    (error && !head.contains("\r\n\r\n") && text.contains(NO_BODY) && !text.contains("content-type:"))
        .then_some((status, text))
}

fn with_body(status: StatusCode, head: &str, request_id: &str, tls: bool) -> Vec<u8> {
    let code = match status {
        StatusCode::BAD_REQUEST => ProblemCode::MalformedRequest,
        other => ProblemCode::of_status(other),
    };
    let body = Problem::plain(code).with_request_id(request_id).body();
    let mut headers = format!(
        "content-length: {}\r\ncontent-type: {PROBLEM_JSON}\r\n{REQUEST_ID}: {request_id}\r\n",
        body.len()
    );
    for (name, value) in DEFAULTS.iter().chain(tls.then_some(&TRANSPORT)) {
        headers.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut response = head.replacen(NO_BODY, &headers, 1).into_bytes();
    response.extend_from_slice(&body);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_error_is_one() {
        let bare = "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        assert_eq!(bare_error(bare.as_bytes()).map(|(status, _)| status.as_u16()), Some(408));
        for other in [
            "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 12\r\ncontent-type: text/plain\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
            "{\"text\": \"HTTP/1.1 400\"}",
        ] {
            assert!(bare_error(other.as_bytes()).is_none(), "{other}");
        }
    }

    #[test]
    fn a_body_is_added_and_counted() {
        let bare = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let of = |tls| String::from_utf8(with_body(StatusCode::BAD_REQUEST, bare, "r-1", tls)).unwrap();
        assert!(of(true).contains("strict-transport-security: max-age=31536000\r\n"));
        let response = of(false);
        assert!(
            !response.contains("strict-transport-security"),
            "nothing is promised for a plain connection"
        );
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        assert!(head.contains("connection: close") && head.contains("x-request-id: r-1"), "{head}");
        assert!(body.contains("\"code\":\"malformed_request\""), "{body}");
    }
}
