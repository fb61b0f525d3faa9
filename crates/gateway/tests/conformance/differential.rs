//! The same rows to nginx and haproxy: what both refuse, the gateway refuses,
//! or the document says why not.

use crate::{
    client::{Pieces, exchange},
    frames::{Connection, Outcome},
    message::{Message, answers},
    peers::Peer,
    reply,
    row::Allows,
    stream,
    table::{self, conversation, first_body},
    text,
    upstream::Upstream,
};
use std::{thread, time::Duration};

/// How long a proxy that neither answers nor ends a connection is listened to:
/// a verdict takes it a millisecond.
const PATIENCE: Duration = Duration::from_millis(300);

/// A row of any table, without what it is about.
struct Row {
    name: String,
    allows: Allows,
    /// By the gateway.
    is_refused: bool,
    /// The document says so.
    is_chosen: bool,
}

#[derive(Debug, Default)]
struct Counts {
    as_the_rfc_wants: usize,
    stricter: usize,
    more_lenient: usize,
}

impl Counts {
    fn of(rows: &[Row], verdicts: impl Iterator<Item = bool>) -> Self {
        let mut counts = Self::default();
        for (row, is_refused) in rows.iter().zip(verdicts) {
            *match (row.allows.fits(is_refused), is_refused) {
                (true, _) => &mut counts.as_the_rfc_wants,
                (false, true) => &mut counts.stricter,
                (false, false) => &mut counts.more_lenient,
            } += 1;
        }
        counts
    }
}

/// What each peer refuses, row by row. Each has an upstream of its own.
fn compare(rows: &[Row], refuses: impl Fn(&Peer, &Upstream, usize) -> bool + Sync) {
    let peers = ["nginx", "haproxy"].map(|name| {
        let upstream = Upstream::start();
        Peer::start(name, upstream.address).map(|peer| (peer, upstream))
    });
    let [Some(nginx), Some(haproxy)] = peers else {
        return;
    };
    let verdicts = |(peer, upstream): &(Peer, Upstream)| -> Vec<bool> {
        let rows = 0..rows.len();
        rows.map(|at| refuses(peer, upstream, at)).collect()
    };
    let [of_nginx, of_haproxy] = thread::scope(|scope| {
        let threads = [&nginx, &haproxy].map(|peer| scope.spawn(|| verdicts(peer)));
        threads.map(|thread| thread.join().unwrap())
    });
    println!("{} rows", rows.len());
    let ours = rows.iter().map(|row| row.is_refused);
    for (name, counts) in [
        ("gateway", Counts::of(rows, ours)),
        ("nginx", Counts::of(rows, of_nginx.iter().copied())),
        ("haproxy", Counts::of(rows, of_haproxy.iter().copied())),
    ] {
        println!("{name:8} {counts:?}");
        // Were one of them not in front of the upstream, it would refuse all.
        assert!(counts.stricter < rows.len() / 4, "{name}: {counts:?}");
    }
    let both = of_nginx.iter().zip(&of_haproxy);
    let too_lenient: Vec<_> = rows
        .iter()
        .zip(both.map(|(nginx, haproxy)| *nginx && *haproxy))
        .filter(|(row, both_refuse)| *both_refuse && !row.is_refused && !row.is_chosen)
        .map(|(row, _)| &row.name)
        .collect();
    assert!(too_lenient.is_empty(), "{too_lenient:#?}");
}

#[test]
fn what_nginx_and_haproxy_refuse_is_refused() {
    let rows: Vec<_> = table::all()
        .map(|(noun, row)| Row {
            name: format!("{noun}: {}", row.name),
            allows: row.allows,
            is_refused: row.is_refused(),
            is_chosen: row.choice.is_some(),
        })
        .collect();
    let sent: Vec<_> = table::all().map(|(_, row)| row.sent).collect();
    compare(&rows, |peer, _, at| {
        let steps = conversation(sent[at]);
        let bytes = exchange(peer.address, &steps, Pieces::Whole, PATIENCE);
        let (got, _) = answers(&bytes, first_body(sent[at]));
        // Neither answered nor the answer of the upstream: refused.
        let mut finals = got
            .iter()
            .map(Message::status)
            .filter(|status| *status >= 200);
        !matches!(finals.next(), Some(200..=299))
    });
}

#[test]
fn what_nginx_and_haproxy_refuse_over_http2_is_refused() {
    let rows: Vec<_> = stream::all()
        .map(|stream| Row {
            name: stream.name.to_owned(),
            allows: stream.allows,
            is_refused: stream.is_refused(),
            is_chosen: stream.choice.is_some(),
        })
        .collect();
    let streams: Vec<_> = stream::all().collect();
    compare(&rows, |peer, _, at| {
        let stream = streams[at];
        let mut connection = Connection::new(peer.http2, PATIENCE);
        connection.request(1, stream.fields, stream.body, stream.trailers);
        !matches!(connection.outcome(1), Outcome::Status(200..=299))
    });
}

#[test]
fn what_nginx_and_haproxy_refuse_of_upstreams_is_refused() {
    let rows: Vec<_> = reply::all()
        .map(|(_, reply)| Row {
            name: reply.name.to_owned(),
            allows: reply.allows,
            is_refused: reply.is_refused(),
            is_chosen: reply.choice.is_some(),
        })
        .collect();
    let replies: Vec<_> = reply::all().collect();
    compare(&rows, |peer, upstream, at| {
        let (method, reply) = replies[at];
        upstream.answer(&text::bytes(reply.sent));
        let request = reply::request(method);
        let bytes = exchange(peer.address, &request, Pieces::Whole, PATIENCE);
        let (got, _) = answers(&bytes, reply::body(method));
        let mut finals = got
            .iter()
            .map(Message::status)
            .filter(|status| *status >= 200);
        matches!(finals.next(), None | Some(502))
    });
}
