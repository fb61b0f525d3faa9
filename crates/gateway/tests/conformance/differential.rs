//! The same rows to nginx and haproxy: what both refuse, the gateway refuses,
//! or the document says why not.

use crate::{
    client::{Pieces, exchange},
    message::{Message, answers},
    peers::Peer,
    row::Row,
    table::{all, conversation, first_body},
    upstream::Upstream,
};
use std::{thread, time::Duration};

/// How long a proxy that neither answers nor ends a connection is listened to:
/// a verdict takes it a millisecond.
const PATIENCE: Duration = Duration::from_millis(300);

/// Whether the first answer refuses, or there is none.
fn refuses(peer: &Peer, row: &Row) -> bool {
    let steps = conversation(row.sent);
    let bytes = exchange(peer.address, &steps, Pieces::Whole, PATIENCE);
    let (got, _) = answers(&bytes, first_body(row.sent));
    let status = got
        .iter()
        .map(Message::status)
        .find(|status| *status >= 200);
    !matches!(status, Some(200..=299))
}

/// What a peer refuses, row by row.
fn verdicts(peer: &Peer) -> Vec<bool> {
    all().map(|(_, row)| refuses(peer, row)).collect()
}

#[derive(Debug, Default)]
struct Counts {
    as_the_rfc_wants: usize,
    stricter: usize,
    more_lenient: usize,
}

impl Counts {
    fn of(verdicts: impl Iterator<Item = bool>) -> Self {
        let mut counts = Self::default();
        for ((_, row), is_refused) in all().zip(verdicts) {
            *match (row.is_as_the_rfc_wants(is_refused), is_refused) {
                (true, _) => &mut counts.as_the_rfc_wants,
                (false, true) => &mut counts.stricter,
                (false, false) => &mut counts.more_lenient,
            } += 1;
        }
        counts
    }
}

#[test]
fn what_nginx_and_haproxy_refuse_is_refused() {
    let upstream = Upstream::start();
    let peers = ["nginx", "haproxy"].map(|name| Peer::start(name, upstream.address));
    let [Some(nginx), Some(haproxy)] = peers else {
        return;
    };
    let [of_nginx, of_haproxy] = thread::scope(|scope| {
        let threads = [&nginx, &haproxy].map(|peer| scope.spawn(|| verdicts(peer)));
        threads.map(|thread| thread.join().unwrap())
    });
    let ours = all().map(|(_, row)| row.is_refused());
    println!("{} rows", all().count());
    for (name, counts) in [
        ("gateway", Counts::of(ours)),
        ("nginx", Counts::of(of_nginx.iter().copied())),
        ("haproxy", Counts::of(of_haproxy.iter().copied())),
    ] {
        println!("{name:8} {counts:?}");
        // Were one of them not in front of the upstream, it would refuse all.
        assert!(counts.stricter < all().count() / 4, "{name}: {counts:?}");
    }
    let verdicts = of_nginx.iter().zip(&of_haproxy);
    let too_lenient: Vec<_> = all()
        .zip(verdicts)
        .filter(|((_, row), (nginx, haproxy))| {
            !row.is_refused() && **nginx && **haproxy && row.choice.is_none()
        })
        .map(|((noun, row), _)| format!("{noun}: {}", row.name))
        .collect();
    assert!(too_lenient.is_empty(), "{too_lenient:#?}");
}
