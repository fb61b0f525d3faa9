//! One answer of an upstream, and what the client gets of it.

use crate::{
    bed::Bed,
    client::{Pieces, exchange},
    message::{Body, answers},
    requests::expected,
    row::{Allows, Choice},
    rows::REPLIES,
    text,
    upstream::DEADLINE,
};

#[derive(Debug, Clone, Copy)]
pub struct Reply {
    pub name: &'static str,
    /// What the upstream sends before it closes, in the language of [`text`].
    pub sent: &'static str,
    pub rfc: &'static str,
    pub allows: Allows,
    pub gets: Gets,
    pub why: &'static str,
    pub choice: Option<Choice>,
}

/// What the client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gets {
    /// One answer, and nothing behind it, in the language of
    /// [`crate::requests`] with `> 200` for its first line.
    Answer(&'static str),
    /// 502.
    BadGateway,
    /// 502, or an answer that never looks whole.
    Broken,
}

const fn reply(
    name: &'static str,
    sent: &'static str,
    rfc: &'static str,
    gets: Gets,
    why: &'static str,
) -> Reply {
    Reply {
        name,
        sent,
        rfc,
        allows: Allows::Refusal,
        gets,
        why,
        choice: None,
    }
}

/// A good answer, of which the client gets this.
pub const fn passes(
    name: &'static str,
    sent: &'static str,
    rfc: &'static str,
    gets: &'static str,
    why: &'static str,
) -> Reply {
    Reply {
        allows: Allows::Passing,
        ..reply(name, sent, rfc, Gets::Answer(gets), why)
    }
}

/// One that the RFC has refused, and we refuse.
pub const fn bad(
    name: &'static str,
    sent: &'static str,
    rfc: &'static str,
    why: &'static str,
) -> Reply {
    reply(name, sent, rfc, Gets::BadGateway, why)
}

/// One whose body breaks off.
pub const fn broken(
    name: &'static str,
    sent: &'static str,
    rfc: &'static str,
    why: &'static str,
) -> Reply {
    reply(name, sent, rfc, Gets::Broken, why)
}

impl Reply {
    pub const fn either(self) -> Self {
        Self {
            allows: Allows::Either,
            ..self
        }
    }

    pub const fn stricter(self, section: &'static str, says: &'static str) -> Self {
        Self {
            allows: Allows::Passing,
            ..self.chosen(section, says)
        }
    }

    pub const fn lenient(self, section: &'static str, says: &'static str) -> Self {
        Self {
            allows: Allows::Refusal,
            ..self.chosen(section, says)
        }
    }

    pub const fn chosen(self, section: &'static str, says: &'static str) -> Self {
        Self {
            choice: Some(Choice { section, says }),
            ..self
        }
    }

    pub fn is_refused(&self) -> bool {
        !matches!(self.gets, Gets::Answer(_))
    }
}

/// All answers, each with the method that they are to.
pub fn all() -> impl Iterator<Item = (&'static str, &'static Reply)> {
    let of = |(_, method, replies): &'static (&str, &'static str, &'static [Reply])| {
        replies.iter().map(move |reply| (*method, reply))
    };
    REPLIES.iter().flat_map(of)
}

/// What an answer is asked for by.
pub fn request(method: &str) -> Vec<text::Step> {
    let request = format!("{method} /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    vec![text::Step::Send(request.into_bytes())]
}

/// Whether the answer to a method has a body.
pub fn body(method: &str) -> Body {
    match method {
        "HEAD" => Body::Never,
        _ => Body::Framed,
    }
}

/// In what the client's answer differs from what is said.
fn difference(bed: &Bed, method: &str, reply: &Reply) -> Option<String> {
    bed.upstream.answer(&text::bytes(reply.sent));
    let bytes = exchange(
        bed.gateway.local_addr(),
        &request(method),
        Pieces::Whole,
        DEADLINE,
    );
    bed.upstream.take();
    let (got, rest) = answers(&bytes, body(method));
    let got: Vec<_> = got.into_iter().filter(|one| one.status() >= 200).collect();
    match (reply.gets, &got[..]) {
        (Gets::BadGateway | Gets::Broken, [one]) if one.status() == 502 => None,
        // Its end does not come.
        (Gets::Broken, []) => None,
        (Gets::Answer(wanted), [one]) if rest.is_empty() => {
            let mut one = one.clone();
            one.first = one.status().to_string();
            expected(wanted).first()?.difference(&one)
        }
        _ => {
            let text = String::from_utf8_lossy(&bytes);
            Some(format!(
                "the client got {:?}",
                text.chars().take(300).collect::<String>()
            ))
        }
    }
}

#[test]
fn every_answer_is_as_it_says() {
    let bed = Bed::start();
    let (mut count, mut wanted, mut differences) = (0, 0, Vec::new());
    for (method, reply) in all() {
        count += 1;
        let is_wanted = reply.allows.fits(reply.is_refused());
        wanted += usize::from(is_wanted);
        assert!(is_wanted || reply.choice.is_some(), "{}", reply.name);
        if let Some(choice) = reply.choice {
            assert!(crate::doc::says(choice), "{}: {choice:?}", reply.name);
        }
        assert!(reply.rfc.contains(' ') && !reply.why.is_empty());
        if let Some(difference) = difference(&bed, method, reply) {
            differences.push(format!("{}: {difference}", reply.name));
        }
    }
    println!(
        "{count} answers: {wanted} as the RFC wants, {} other by choice",
        count - wanted
    );
    assert!(differences.is_empty(), "{differences:#?}");
}
