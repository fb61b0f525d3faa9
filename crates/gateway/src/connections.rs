//! The clients' connections of one worker.

use crate::{deadline::Timer, guard::Guarded, hygiene::Peer, serve::serve, worker::Worker};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::Waker,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
    task::spawn_local,
};

/// The most connections of one worker, 12 KiB each when idle. Past it, clients
/// wait in the listening socket's queue.
const CONNECTIONS_MAX: usize = 10_000;

/// What is read at once of a request, and so kept per slow connection.
const READ_BUFFER_BYTES: usize = 64 << 10;

/// Wait after accepting failed, most often for want of file descriptors, which
/// only ending connections give back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Which connections there are, and whether they are to end.
#[derive(Default)]
pub(crate) struct Connections {
    next: Cell<u64>,
    wakers: RefCell<HashMap<u64, Waker>>,
    closing: Cell<bool>,
    emptied: Notify,
}

impl Connections {
    pub(crate) fn are_closing(&self) -> bool {
        self.closing.get()
    }

    /// Lets each end after the request that it serves.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        for waker in self.wakers.borrow().values() {
            waker.wake_by_ref();
        }
    }

    /// Waits until there is none.
    pub(crate) async fn emptied(&self) {
        while !self.wakers.borrow().is_empty() {
            self.emptied.notified().await;
        }
    }

    fn enter(&self, waker: Waker) -> u64 {
        let id = self.next.get();
        self.next.set(id + 1);
        self.wakers.borrow_mut().insert(id, waker);
        id
    }

    fn leave(&self, id: u64) {
        let mut wakers = self.wakers.borrow_mut();
        wakers.remove(&id);
        if wakers.is_empty() {
            self.emptied.notify_one();
        }
    }
}

/// A connection's entry; dropped with its task, also by a panic.
struct Entry {
    worker: Rc<Worker>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.worker.connections.leave(self.id);
    }
}

/// Accepts clients until it is dropped.
pub(crate) async fn accept(worker: Rc<Worker>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // It is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, address)) => {
                let worker = Rc::clone(&worker);
                spawn_local(async move {
                    converse(worker, stream, address).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one client. A panic in a request ends its task, and no more.
async fn converse(worker: Rc<Worker>, stream: TcpStream, address: SocketAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "client gone at once");
        return;
    }
    let peer = Rc::new(Peer::new(address.ip()));
    let service = service_fn(|request| {
        let (worker, peer) = (Rc::clone(&worker), Rc::clone(&peer));
        // Boxed: an idle connection does not keep the room that a request needs.
        Box::pin(async move { Ok::<_, Infallible>(serve(worker, peer, request).await) })
    });
    let client = &worker.shared.settings.client;
    let io = Guarded::new(TokioIo::new(stream), &worker.shared.guard);
    let connection = http1::Builder::new()
        .timer(Timer)
        .header_read_timeout(client.idle)
        .max_header_size(client.head_bytes)
        .max_headers(client.headers)
        .max_buf_size(READ_BUFFER_BYTES.max(client.head_bytes))
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut entry = None;
    let mut is_closing = false;
    let end = poll_fn(|cx| {
        if entry.is_none() {
            // A task's waker stays the same, so one look is enough.
            let id = worker.connections.enter(cx.waker().clone());
            entry = Some(Entry {
                worker: Rc::clone(&worker),
                id,
            });
        }
        if !is_closing && worker.connections.are_closing() {
            is_closing = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    });
    if let Err(error) = end.await {
        tracing::debug!(%error, "client connection ended");
    }
}
