//! What an upstream is to get, written as lines.
//!
//! `> GET /x HTTP/1.1` begins a request. Below it `= body` is its body (else it
//! has none), `+ name: value` a field that it has, `~ Name: value` one that it
//! has in these very letters, and `- name` one that it must not have, nor a
//! trailer of that name.

use crate::{message::Message, text};

#[derive(Debug, Default)]
pub struct Expected<'a> {
    first: Vec<u8>,
    body: Vec<u8>,
    has: Vec<(String, Vec<u8>)>,
    has_exactly: Vec<Vec<u8>>,
    lacks: Vec<&'a str>,
}

/// Reads the lines.
pub fn expected(lines: &str) -> Vec<Expected<'_>> {
    let mut all: Vec<Expected<'_>> = Vec::new();
    for line in lines.split('\n').filter(|line| !line.is_empty()) {
        let (mark, rest) = line.split_at(2.min(line.len()));
        if mark == "> " {
            all.push(Expected {
                first: text::bytes(rest),
                ..Expected::default()
            });
            continue;
        }
        let one = all.last_mut().expect("a request's first line first");
        match mark {
            "= " => one.body = text::bytes(rest),
            "+ " => {
                let (name, value) = rest.split_once(':').expect("a name and a value");
                let name = String::from_utf8(text::bytes(name)).unwrap();
                one.has.push((name, text::bytes(value.trim())));
            }
            "~ " => one.has_exactly.push(text::bytes(rest)),
            "- " => one.lacks.push(rest),
            _ => panic!("not a line of this language: {line:?}"),
        }
    }
    all
}

impl Expected<'_> {
    /// In what a message differs.
    pub fn difference(&self, message: &Message) -> Option<String> {
        let latin = |text: &str| -> Vec<u8> { text.chars().map(|one| one as u8).collect() };
        if latin(&message.first) != self.first {
            return Some(format!("the first line is {:?}", message.first));
        }
        if message.body != self.body {
            let body = String::from_utf8_lossy(&message.body);
            return Some(format!("the body is {body:.80?}"));
        }
        for (name, value) in &self.has {
            if !message.values(name).any(|found| latin(found) == *value) {
                return Some(format!("{name} is {:?}", all(message, name)));
            }
        }
        for line in &self.has_exactly {
            if !message.fields.iter().any(|found| latin(found) == *line) {
                let line = String::from_utf8_lossy(line);
                return Some(format!("not this line: {line}"));
            }
        }
        let trailers = message
            .trailers
            .iter()
            .filter_map(|line| line.split_once(':'));
        let trailers: Vec<&str> = trailers.map(|(name, _)| name).collect();
        self.lacks.iter().find_map(|name| {
            let in_trailers = trailers.iter().any(|one| one.eq_ignore_ascii_case(name));
            let found = all(message, name);
            (!found.is_empty() || in_trailers).then(|| format!("it has {name}: {found:?}"))
        })
    }
}

fn all<'a>(message: &'a Message, name: &'a str) -> Vec<&'a str> {
    message.values(name).collect()
}
