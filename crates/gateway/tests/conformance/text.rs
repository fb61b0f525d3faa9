//! The small language that rows are written in.
//!
//! A character is the byte of its number, so `\u{e4}` is one byte of Latin-1
//! and `\u{c3}\u{a4}` the same letter in UTF-8. `{ab*3}` is `ababab`, and
//! `{crlf}` a line's end where a line may not end. `{wait}`
//! has the client wait for something to come before it goes on, and `{end}`
//! has it end its side there.

/// What a client does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Send(Vec<u8>),
    /// Waits for an answer's head.
    Wait,
    /// Sends nothing any more; the last step.
    End,
}

/// The steps that a text stands for.
pub fn steps(text: &str) -> Vec<Step> {
    let (mut steps, mut bytes) = (Vec::new(), Vec::new());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let mark = [("{wait}", Step::Wait), ("{end}", Step::End)]
            .into_iter()
            .find(|(mark, _)| rest.starts_with(mark));
        if let Some((mark, step)) = mark {
            steps.push(Step::Send(std::mem::take(&mut bytes)));
            steps.push(step);
            rest = &rest[mark.len()..];
        } else if let Some(after) = rest.strip_prefix("{crlf}") {
            bytes.extend_from_slice(b"\r\n");
            rest = after;
        } else if let Some((repeated, length)) = repetition(rest) {
            bytes.extend(repeated);
            rest = &rest[length..];
        } else {
            bytes.push(byte(next));
            rest = &rest[next.len_utf8()..];
        }
    }
    steps.push(Step::Send(bytes));
    steps
}

/// The bytes of a text without steps.
pub fn bytes(text: &str) -> Vec<u8> {
    match &mut steps(text)[..] {
        [Step::Send(bytes)] => std::mem::take(bytes),
        _ => panic!("only requests have steps: {text}"),
    }
}

/// `{ab*3}` at the start, and how long that is.
fn repetition(text: &str) -> Option<(Vec<u8>, usize)> {
    let (inside, _) = text.strip_prefix('{')?.split_once('}')?;
    let (repeated, count) = inside.rsplit_once('*')?;
    let count: usize = count.parse().ok()?;
    let repeated: Vec<u8> = repeated.chars().map(byte).collect();
    Some((repeated.repeat(count), inside.len() + 2))
}

fn byte(character: char) -> u8 {
    u8::try_from(u32::from(character)).expect("a character is one byte")
}

#[test]
fn the_language_is_as_it_says() {
    let send = |bytes: &[u8]| Step::Send(bytes.to_vec());
    assert_eq!(bytes("/{x}{ab*3}{crlf}\u{e4}"), b"/{x}ababab\r\n\xe4");
    let wanted = [send(b"a"), Step::Wait, send(b"b"), Step::End, send(b"")];
    assert_eq!(steps("a{wait}b{end}"), wanted);
}
