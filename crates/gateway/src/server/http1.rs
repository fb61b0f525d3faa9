//! Clients that speak HTTP/1, and whatever they upgrade to.
//!
//! A connection is one task: it waits for a head, answers, and writes the answer, one
//! request after the other. While it waits it has no buffers. A client that goes is
//! seen at once, and its request given up, unless the rest of its body is still to come:
//! then who reads that sees it.

mod answering;
mod head;

use crate::{
    base::{
        as_written::AsWritten, headers::CORRELATION_ID, malformed::Malformed, peer::Peer,
        refusal::Refusal,
    },
    body::Incoming,
    request::{client_body::ClientBody, client_connection::ClientConnection, record, serve::serve},
    state::{connections::Connections, worker::Current},
    transport::{
        http1::{
            connection::{AwaitedHead, ClientWire, Closing, NoHead},
            head::RequestHead,
        },
        socket::Wire,
    },
    upstream::response_body::ResponseBody,
};
use answering::Answering;
use head::{Framing, Terms};
use http::{Method, Response, StatusCode, Version, header};
use std::{cell::RefCell, future::poll_fn, io, pin::pin, rc::Rc, task::Poll};

/// Speaks HTTP/1 with a client, and whatever it upgrades to.
pub(crate) async fn converse(
    connections: &Connections,
    current: &Current,
    peer: Rc<Peer>,
    wire: Wire,
) {
    // A connection keeps the bounds that it began with.
    let connection = ClientWire::new(wire, &current.get().config.http1_policy);
    let client = Client {
        connections,
        current,
        peer,
        wire: Rc::new(RefCell::new(connection)),
        lasting: ClientConnection::default(),
    };
    loop {
        let head = match client.next().await {
            Ok(head) => head,
            Err(NoHead::Malformed(why)) => {
                let refusing = Box::pin(client.refuse(why));
                if let Err(error) = refusing.await {
                    tracing::debug!(client = ?client.peer.address, %error, "refusal not written");
                }
                break;
            }
            Err(NoHead::Closed | NoHead::Late) => break,
        };
        // Boxed: an idle connection does not keep the room that a request needs.
        // Made in the box, not copied there: each KiB would be one that misses
        // the cache. For the same reason what is seldom has a box of its own
        // further down, and what is moved on is passed by reference.
        let place = Box::new_uninit();
        let exchange = Box::into_pin(Box::write(place, client.exchange(head)));
        match exchange.await {
            Ok(Next::Request) => {}
            Ok(Next::Tunnel) => {
                if let Some(tunnel) = client.lasting.tunnel.take() {
                    // Nothing else has it: the request has ended.
                    if let Some(wire) = Rc::into_inner(client.wire) {
                        let wire = wire.into_inner().take_wire();
                        Box::pin(tunnel.run(current, wire)).await;
                    }
                }
                return;
            }
            Ok(Next::Nothing) => break,
            Ok(Next::Reader) => return,
            Err(error) => {
                tracing::debug!(client = ?client.peer.address, %error, "client connection ended");
                // What is half written must not look whole.
                return;
            }
        }
    }
    let mut closing = Closing::default();
    poll_fn(|cx| client.wire.borrow_mut().poll_close(&mut closing, cx)).await;
}

/// A client's connection, from its first request to its last.
struct Client<'a> {
    connections: &'a Connections,
    current: &'a Current,
    peer: Rc<Peer>,
    wire: Rc<RefCell<ClientWire>>,
    lasting: ClientConnection,
}

/// What comes after an answer.
enum Next {
    Request,
    Nothing,
    /// Another protocol.
    Tunnel,
    /// Somebody still reads the request's body, and has the connection for that.
    Reader,
}

impl Client<'_> {
    /// Waits for a request, as long as connections go on.
    async fn next(&self) -> Result<RequestHead, NoHead> {
        let mut awaited = AwaitedHead::default();
        poll_fn(|cx| {
            let head = self.wire.borrow_mut().poll_head(&mut awaited, cx);
            match head {
                Poll::Pending if self.connections.are_closing() => Poll::Ready(Err(NoHead::Closed)),
                other => other,
            }
        })
        .await
    }

    /// Answers a request.
    async fn exchange(&self, head: RequestHead) -> io::Result<Next> {
        let RequestHead {
            mut parts,
            takes_trailers,
            persists,
            ..
        } = head;
        let terms = Terms {
            is_head: parts.method == Method::HEAD,
            version: parts.version,
            takes_trailers,
            persists,
        };
        let interim = self.lasting.begin(terms.version == Version::HTTP_11);
        let worker = self.current.get();
        let body = Incoming::http1(&self.wire);
        let response = {
            let serving = serve(&worker, &self.peer, Some(&self.lasting), &mut parts, body);
            let mut serving = pin!(serving);
            let served = poll_fn(|cx| {
                let response = serving.as_mut().poll(cx);
                let mut wire = self.wire.borrow_mut();
                if let Some(said) = interim.take() {
                    wire.say_interim(said);
                }
                match response {
                    Poll::Ready(response) => Poll::Ready(Some(response)),
                    Poll::Pending => match wire.poll_interim(cx) {
                        Poll::Ready(Err(_)) => Poll::Ready(None),
                        _ => wire.poll_gone(cx).map(|()| None),
                    },
                }
            });
            served.await.ok_or(io::ErrorKind::ConnectionAborted)?
        };
        drop(worker);
        self.answer(response, terms).await
    }

    /// Answers a message that is no request, the last one of its connection.
    async fn refuse(&self, why: Malformed) -> io::Result<Next> {
        let reason = why.reason();
        tracing::debug!(client = ?self.peer.address, reason, "malformed request refused");
        let worker = self.current.get();
        let refusal = Refusal::Malformed(why);
        let mut response = refusal.response().map(ResponseBody::own);
        let correlation = worker.correlation_id();
        record::unread(&worker, &self.peer, &correlation, refusal);
        response.headers_mut().insert(CORRELATION_ID, correlation);
        let response = response.map(ClientBody::alone);
        let terms = Terms {
            is_head: false,
            version: Version::HTTP_11,
            takes_trailers: false,
            persists: false,
        };
        self.answer(response, terms).await
    }

    /// Writes an answer.
    async fn answer(
        &self,
        mut response: Response<ClientBody>,
        mut terms: Terms,
    ) -> io::Result<Next> {
        let is_switch = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if !is_switch {
            let said = response.headers_mut().remove(header::CONNECTION);
            let is_last = said.is_some_and(|said| said.as_bytes().eq_ignore_ascii_case(b"close"));
            terms.persists &= !is_last && self.connections.are_open();
            terms.persists &= self.may_go_on();
        }
        let framing = head::framing(&response, terms);
        terms.persists &= framing != Framing::Close;
        let written = response.extensions_mut().remove::<AsWritten>();
        let head = head::write(&response, written.as_ref(), framing, terms);
        drop(written);
        let before = self.wire.borrow_mut().begin_answer();
        let mut answering = Answering::new([before, head], response.into_body(), framing, terms);
        poll_fn(|cx| match answering.poll(&self.wire, cx) {
            Poll::Pending => {
                let gone = self.wire.borrow_mut().poll_gone(cx);
                gone.map(|()| Err(io::ErrorKind::ConnectionAborted.into()))
            }
            written @ Poll::Ready(_) => written,
        })
        .await
        .inspect_err(|_| {
            if framing == Framing::Close {
                // Its end would look like that of a whole answer.
                self.wire.borrow().reset();
            }
        })?;
        drop(answering);
        if self.has_reader() {
            return Ok(Next::Reader);
        }
        Ok(if is_switch {
            Next::Tunnel
        } else if terms.persists && self.wire.borrow_mut().skip_body() {
            Next::Request
        } else {
            Next::Nothing
        })
    }

    /// Whether somebody still reads the body of the request.
    fn has_reader(&self) -> bool {
        Rc::strong_count(&self.wire) > 1
    }

    /// Whether another request may follow, as far as the body of this one goes: where it
    /// is not here and nobody wants it, or its client waits to be asked, nobody knows
    /// where it ends. Nor does it where somebody still reads it, as an upstream that answered
    /// early, or who sees a write through: the client is told that it is the last one
    /// (RFC 9112, 9.6), rather than find its connection closed when it has sent the next.
    fn may_go_on(&self) -> bool {
        let mut wire = self.wire.borrow_mut();
        wire.coming().0.has_ended()
            || (!self.has_reader() && !wire.is_unasked() && wire.skip_body())
    }
}
