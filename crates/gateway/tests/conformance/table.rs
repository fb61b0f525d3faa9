//! Every row is sent, and what came of it compared.

use crate::{
    bed::{Bed, EXTRACTED, STAYS},
    client::{Pieces, exchange},
    message::{Body, Message, answers, requests},
    requests::expected,
    row::{Answer, Interims, Reaches, Row},
    rows,
    text::{Step, steps},
    upstream::DEADLINE,
};

/// Ends the connection, once the requests before it were answered.
pub const LAST: &str = "GET /last HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const LAST_SEEN: &str = "\n> GET /last HTTP/1.1";

/// What a client sends of a row, and behind it.
pub fn conversation(sent: &str) -> Vec<Step> {
    let mut steps = steps(sent);
    if !steps.contains(&Step::End) {
        steps.push(Step::Send(LAST.into()));
    }
    steps
}

/// Whether the first request is HEAD, whose answer has no body.
pub fn first_body(sent: &str) -> Body {
    if sent.starts_with("HEAD ") {
        Body::Never
    } else {
        Body::Framed
    }
}

fn as_it_is(row: &Row) -> (String, String) {
    (row.sent.to_owned(), row.seen.to_owned())
}

/// The same row below a route of an extraction; `None` where it asks for something
/// else than what rows usually do.
fn extracted(sent: &str, seen: &str) -> Option<(String, String)> {
    let from = format!(" {STAYS} ");
    let to = format!(" {EXTRACTED} ");
    sent.contains(&from)
        .then(|| (sent.replace(&from, &to), seen.replace(&from, &to)))
}

/// The statuses that may come: of so many requests that pass, the gateway's own, and
/// that of the last request.
fn acceptable(answer: Answer, passed: usize) -> Vec<Vec<u16>> {
    let and = |more: &[u16]| [&vec![200; passed][..], more].concat();
    match answer {
        Answer::Passes => vec![and(&[200])],
        Answer::PassesLast => vec![and(&[])],
        Answer::Own(status) => vec![and(&[status, 200])],
        Answer::Ends(status) => vec![and(&[status])],
        Answer::Refuses(status) => vec![and(&[status]), and(&[status, 200])],
        Answer::Breaks => vec![and(&[]), and(&[400]), and(&[408])],
    }
}

/// In what a row differs from what it says.
fn difference(bed: &Bed, row: &Row, sent: &str, seen: &str, pieces: Pieces) -> Option<String> {
    let bytes = exchange(
        bed.gateway.local_addr(),
        &conversation(sent),
        pieces,
        DEADLINE,
    );
    if row.answer == Answer::Breaks {
        // Its client has gone, and what the upstream gets of it would be the next row's.
        bed.upstream.wait_for_one();
    }
    let connections = bed.upstream.take();
    let (got, rest) = answers(&bytes, first_body(sent));
    if !rest.is_empty() {
        let rest = String::from_utf8_lossy(rest);
        return Some(format!("answers that are none: {rest:.80?}"));
    }
    let (interims, finals): (Vec<_>, Vec<_>) =
        got.iter().map(Message::status).partition(|one| *one < 200);
    let passed = expected(seen).len();
    if !acceptable(row.answer, passed).contains(&finals) {
        return Some(format!("answers {finals:?}, not {:?}", row.answer));
    }
    let is_last_seen = finals.len() > passed && finals.ends_with(&[200]);
    let interims_fit = match row.interims {
        Interims::No => interims.is_empty(),
        Interims::One => interims == [100],
        Interims::Any => interims.iter().all(|status| *status == 100),
    };
    if !interims_fit {
        return Some(format!("interim answers {interims:?}"));
    }
    let seen = format!("{seen}{}", if is_last_seen { LAST_SEEN } else { "" });
    let wanted = expected(&seen);
    let mut whole = Vec::new();
    for connection in &connections {
        let (requests, rest) = requests(&connection.bytes);
        if !rest.is_empty() && row.reaches == Reaches::Nothing {
            let rest = String::from_utf8_lossy(rest);
            return Some(format!("the upstream got {rest:.80?}"));
        }
        whole.extend(requests);
    }
    if whole.len() != wanted.len() {
        let lines: Vec<_> = whole.iter().map(|one| &one.first).collect();
        return Some(format!("the upstream got {lines:?}"));
    }
    let mut pairs = wanted.iter().zip(&whole);
    pairs.find_map(|(wanted, got)| wanted.difference(got))
}

/// All rows, each with what it is about.
pub fn all() -> impl Iterator<Item = (&'static str, &'static Row)> {
    let rows = |(noun, rows): &'static (&'static str, &'static [Row])| {
        rows.iter().map(move |row| (*noun, row))
    };
    rows::ALL.iter().flat_map(rows)
}

/// Sends all rows; what differs.
fn differences(
    pieces: Pieces,
    change: impl Fn(&Row) -> Option<(String, String)>,
) -> (usize, Vec<String>) {
    let bed = Bed::start();
    let (mut sent, mut differences) = (0, Vec::new());
    for (noun, row) in all() {
        let Some((bytes, seen)) = change(row) else {
            continue;
        };
        sent += 1;
        let Some(difference) = difference(&bed, row, &bytes, &seen, pieces) else {
            continue;
        };
        differences.push(format!("{noun}: {}: {difference}", row.name));
    }
    (sent, differences)
}

#[test]
fn every_row_is_as_it_says() {
    let (sent, differences) = differences(Pieces::Whole, |row| Some(as_it_is(row)));
    let wanted = all().filter(|(_, row)| row.is_as_the_rfc_wants());
    let wanted = wanted.count();
    println!(
        "{sent} rows: {wanted} as the RFC wants, {} other by choice",
        sent - wanted
    );
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(sent >= 300, "{sent}");
}

#[test]
fn in_pieces_every_row_is_the_same() {
    let (_, differences) = differences(Pieces::Small, |row| Some(as_it_is(row)));
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn at_a_route_of_an_extraction_every_row_is_the_same() {
    let (sent, differences) = differences(Pieces::Whole, |row| extracted(row.sent, row.seen));
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(sent >= 200, "{sent}");
}

#[test]
fn rows_have_names_of_their_own() {
    let mut names: Vec<_> = all().map(|(noun, row)| (noun, row.name)).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for (noun, row) in all() {
        assert!(
            !row.why.is_empty() && row.rfc.contains(' '),
            "{noun}: {}",
            row.name
        );
        let is_cut = row.sent.ends_with("{end}");
        assert_eq!(is_cut, row.answer == Answer::Breaks, "{noun}: {}", row.name);
    }
}

/// A row that differs from the RFC is a choice, and the document says it.
#[test]
fn what_differs_from_the_rfc_is_a_choice() {
    for (noun, row) in all() {
        let differs = !row.is_as_the_rfc_wants();
        assert!(!differs || row.choice.is_some(), "{noun}: {}", row.name);
        if let Some(choice) = row.choice {
            let says = crate::doc::says(choice);
            assert!(
                says,
                "{noun}: {}: not in the document: {choice:?}",
                row.name
            );
        }
    }
}
