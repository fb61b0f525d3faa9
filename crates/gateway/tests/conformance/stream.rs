//! One request over HTTP/2, and what an upstream of HTTP/1 gets of it.

use crate::{
    bed::Bed,
    frames::{Connection, Outcome},
    message::requests,
    requests::expected,
    row::{Allows, Choice},
    rows::STREAMS,
    upstream::DEADLINE,
};

#[derive(Debug, Clone, Copy)]
pub struct Stream {
    pub name: &'static str,
    /// As they are sent, pseudo-headers too; the values in the language of
    /// [`crate::text`].
    pub fields: Fields,
    /// What comes behind, if anything does.
    pub body: Option<&'static str>,
    pub trailers: Option<Fields>,
    pub rfc: &'static str,
    pub allows: Allows,
    pub gets: Gets,
    /// The requests that the upstream gets, in the language of [`crate::requests`].
    pub seen: &'static str,
    pub why: &'static str,
    pub choice: Option<Choice>,
}

pub type Fields = &'static [(&'static str, &'static str)];

/// What the client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gets {
    /// The upstream's answer.
    Passes,
    /// The gateway's own answer.
    Own(u16),
    /// The stream's end, or the connection's, or 400.
    Malformed,
}

/// A good request, of which the upstream gets what `seen` says.
pub const fn passes(
    name: &'static str,
    fields: Fields,
    rfc: &'static str,
    seen: &'static str,
    why: &'static str,
) -> Stream {
    Stream {
        name,
        fields,
        body: None,
        trailers: None,
        rfc,
        allows: Allows::Passing,
        gets: Gets::Passes,
        seen,
        why,
        choice: None,
    }
}

/// A malformed one, of which nothing reaches an upstream.
pub const fn malformed(
    name: &'static str,
    fields: Fields,
    rfc: &'static str,
    why: &'static str,
) -> Stream {
    Stream {
        allows: Allows::Refusal,
        gets: Gets::Malformed,
        ..passes(name, fields, rfc, "", why)
    }
}

impl Stream {
    pub const fn body(self, body: &'static str) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    pub const fn trailers(self, trailers: Fields) -> Self {
        Self {
            trailers: Some(trailers),
            ..self
        }
    }

    pub const fn either(self) -> Self {
        Self {
            allows: Allows::Either,
            ..self
        }
    }

    pub const fn gets(self, gets: Gets) -> Self {
        Self { gets, ..self }
    }

    pub const fn stricter(self, section: &'static str, says: &'static str) -> Self {
        Self {
            allows: Allows::Passing,
            choice: Some(Choice { section, says }),
            ..self
        }
    }

    pub const fn lenient(self, section: &'static str, says: &'static str) -> Self {
        Self {
            allows: Allows::Refusal,
            choice: Some(Choice { section, says }),
            ..self
        }
    }

    pub fn is_refused(&self) -> bool {
        match self.gets {
            Gets::Passes => false,
            Gets::Own(status) => status >= 400,
            Gets::Malformed => true,
        }
    }

    fn is_as_the_rfc_wants(&self) -> bool {
        self.allows.fits(self.is_refused())
    }
}

/// What comes behind over the same connection, once the first one is answered.
const LAST: Fields = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "a"),
    (":path", "/last"),
];

/// All rows.
pub fn all() -> impl Iterator<Item = &'static Stream> {
    STREAMS.iter().flat_map(|(_, streams)| *streams)
}

fn difference(bed: &Bed, stream: &Stream) -> Option<String> {
    let mut connection = Connection::new(bed.gateway.local_addr(), DEADLINE);
    connection.request(1, stream.fields, stream.body, stream.trailers);
    let outcome = connection.outcome(1);
    let last = if outcome == Outcome::Gone {
        Outcome::Gone
    } else {
        connection.request(3, LAST, None, None);
        connection.outcome(3)
    };
    drop(connection);
    let connections = bed.upstream.take();
    let is_fine = match stream.gets {
        Gets::Passes => outcome == Outcome::Status(200),
        Gets::Own(status) => outcome == Outcome::Status(status),
        Gets::Malformed => !matches!(outcome, Outcome::Status(status) if status != 400),
    };
    if !is_fine {
        let got: Vec<_> = connections
            .iter()
            .map(|one| String::from_utf8_lossy(&one.bytes))
            .collect();
        return Some(format!(
            "{outcome:?}, not {:?}; the upstream got {got:.300?}",
            stream.gets
        ));
    }
    let last = match last {
        Outcome::Status(200) => "\n> GET /last HTTP/1.1",
        _ if stream.gets == Gets::Malformed => "",
        _ => return Some(format!("then {last:?}")),
    };
    let seen = format!("{}{last}", stream.seen);
    let wanted = expected(&seen);
    let mut whole = Vec::new();
    for connection in &connections {
        let (requests, rest) = requests(&connection.bytes);
        if !rest.is_empty() && stream.body.is_none() {
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

#[test]
fn every_stream_is_as_it_says() {
    let bed = Bed::start();
    let mut differences = Vec::new();
    for stream in all() {
        let is_wanted = stream.is_as_the_rfc_wants();
        assert!(is_wanted || stream.choice.is_some(), "{}", stream.name);
        if let Some(choice) = stream.choice {
            assert!(crate::doc::says(choice), "{}: {choice:?}", stream.name);
        }
        assert!(stream.rfc.contains(' ') && !stream.why.is_empty());
        if let Some(difference) = difference(&bed, stream) {
            differences.push(format!("{}: {difference}", stream.name));
        }
    }
    let wanted = all().filter(|stream| stream.is_as_the_rfc_wants());
    let (count, wanted) = (all().count(), wanted.count());
    println!(
        "{count} over HTTP/2: {wanted} as the RFC wants, {} other by choice",
        count - wanted
    );
    assert!(differences.is_empty(), "{differences:#?}");
}
