//! Follows the framing of HTTP/1: chunks of bytes in, a verdict out.

#[cfg(test)]
mod tests;

use super::line;
use super::{line::Field, malformed::Malformed};

/// The longest line of a chunk's size with its extension. Extensions
/// are not in use; hyper bounds them per body besides.
pub(crate) const CHUNK_LINE_BYTES_MAX: usize = 256;

/// The most bytes and fields of trailers: checksums, gRPC's status.
pub(crate) const TRAILER_BYTES_MAX: usize = 8 << 10;
pub(crate) const TRAILERS_MAX: usize = 32;

/// Bounds of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Of the request line and all fields, with their ends.
    pub(crate) head_bytes: usize,
    /// Fields.
    pub(crate) headers: usize,
}

/// Which bytes may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    /// How many bytes of this chunk still may.
    pub(crate) passed: usize,
    pub(crate) place: MessagePart,
    pub(crate) why: Malformed,
}

/// The part of a message that is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessagePart {
    Head,
    /// The request has begun to be served.
    Body,
}

/// Follows a client's bytes from message to message.
#[derive(Debug)]
pub(crate) struct Validator {
    limits: Limits,
    state: State,
    /// The beginning of a line that came in parts.
    begun: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Head(Head),
    /// So many bytes of a body are left.
    Length(u64),
    ChunkSize,
    /// So many bytes of a chunk are left.
    ChunkData(u64),
    ChunkEnd,
    Trailers {
        bytes: usize,
        fields: usize,
    },
    Refused(MessagePart, Malformed),
}

/// What is known of a head so far.
#[derive(Debug, Default)]
struct Head {
    bytes: usize,
    fields: usize,
    line: Line,
    framing: Framing,
}

/// Which line of a head comes next.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Line {
    #[default]
    EmptyOrRequest,
    Request,
    FieldOfHttp10,
    FieldOfHttp11,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Framing {
    #[default]
    None,
    Length(u64),
    Chunked,
}

impl Validator {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Head(Head::default()),
            begun: Vec::new(),
        }
    }

    /// Whether a head has begun and not ended.
    pub(crate) fn is_in_head(&self) -> bool {
        match &self.state {
            State::Head(head) => head.bytes > 0 || !self.begun.is_empty(),
            _ => false,
        }
    }

    /// Whether the last byte was a message's last one.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.state, State::Head(_)) && !self.is_in_head()
    }

    /// Whether a line has begun that is not judged before its end.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn is_in_line(&self) -> bool {
        !self.begun.is_empty()
    }

    /// Judges the next bytes. Once refused, always refused.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let taken = match &mut self.state {
                State::Length(left) | State::ChunkData(left) => {
                    let length =
                        usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                    *left -= length as u64;
                    if *left == 0 {
                        self.state = match self.state {
                            State::ChunkData(_) => State::ChunkEnd,
                            _ => State::Head(Head::default()),
                        };
                    }
                    Ok(length)
                }
                State::Refused(place, why) => Err(Refused {
                    passed: 0,
                    place: *place,
                    why: *why,
                }),
                _ => self.line(rest),
            };
            match taken {
                Ok(length) => at += length,
                Err(refused) => {
                    self.state = State::Refused(refused.place, refused.why);
                    self.begun = Vec::new();
                    return Err(Refused {
                        passed: at + refused.passed,
                        ..refused
                    });
                }
            }
        }
        Ok(())
    }

    /// Takes a line, or the beginning of one, off the front of `rest`.
    fn line(&mut self, rest: &[u8]) -> Result<usize, Refused> {
        let (room, too_long) = self.room();
        let end = memchr::memchr(b'\n', rest).map(|at| at + 1);
        let length = end.unwrap_or(rest.len());
        let before = self.begun.len();
        if before + length > room {
            return Err(Refused {
                // The parser behind has the same bound on heads and answers
                // when it has as much as fits.
                passed: room - before,
                place: self.place(),
                why: too_long,
            });
        }
        let judged = match (end, before) {
            (None, _) => {
                self.begun.extend_from_slice(rest);
                return Ok(length);
            }
            (Some(_), 0) => self.judge(&rest[..length]),
            (Some(_), _) => {
                let mut line = std::mem::take(&mut self.begun);
                line.extend_from_slice(&rest[..length]);
                self.judge(&line)
            }
        };
        judged.map(|()| length).map_err(|why| Refused {
            passed: match why {
                // As above: the parser behind counts them, too.
                Malformed::TooManyHeaders => length,
                _ => 0,
            },
            place: self.place(),
            why,
        })
    }

    /// How long the line may be that comes, and what it is otherwise.
    fn room(&self) -> (usize, Malformed) {
        match &self.state {
            State::Head(head) => (
                self.limits.head_bytes.saturating_sub(head.bytes),
                Malformed::HeadTooLarge,
            ),
            State::Trailers { bytes, .. } => (
                TRAILER_BYTES_MAX.saturating_sub(*bytes),
                Malformed::Trailers,
            ),
            State::ChunkEnd => (b"\r\n".len(), Malformed::ChunkEnd),
            _ => (CHUNK_LINE_BYTES_MAX, Malformed::ChunkExtension),
        }
    }

    fn place(&self) -> MessagePart {
        match self.state {
            State::Head(_) => MessagePart::Head,
            _ => MessagePart::Body,
        }
    }

    /// Judges a whole line and goes on to the next state.
    fn judge(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let content = line::content(line);
        let next = match &mut self.state {
            State::Head(head) => head.take(content?, line.len(), self.limits.headers)?,
            State::ChunkSize => Some(match line::chunk(content?)? {
                0 => State::Trailers {
                    bytes: 0,
                    fields: 0,
                },
                size => State::ChunkData(size),
            }),
            State::ChunkEnd => match content {
                Ok([]) => Some(State::ChunkSize),
                _ => return Err(Malformed::ChunkEnd),
            },
            State::Trailers { bytes, fields } => match content? {
                [] => Some(State::Head(Head::default())),
                _ if *fields == TRAILERS_MAX => return Err(Malformed::Trailers),
                content => {
                    line::trailer(content)?;
                    *bytes += line.len();
                    *fields += 1;
                    None
                }
            },
            State::Length(_) | State::ChunkData(_) | State::Refused(..) => None,
        };
        if let Some(next) = next {
            self.state = next;
        }
        Ok(())
    }
}

impl Head {
    /// Takes a line; at the last one, says what comes after the head.
    fn take(
        &mut self,
        content: &[u8],
        length: usize,
        fields_max: usize,
    ) -> Result<Option<State>, Malformed> {
        self.bytes += length;
        match self.line {
            Line::EmptyOrRequest if content.is_empty() => self.line = Line::Request,
            Line::Request if content.is_empty() => return Err(Malformed::EmptyLines),
            Line::EmptyOrRequest | Line::Request => {
                self.line = if line::request(content)? {
                    Line::FieldOfHttp11
                } else {
                    Line::FieldOfHttp10
                };
            }
            Line::FieldOfHttp10 | Line::FieldOfHttp11 if content.is_empty() => {
                return Ok(Some(match self.framing {
                    Framing::None | Framing::Length(0) => State::Head(Self::default()),
                    Framing::Length(length) => State::Length(length),
                    Framing::Chunked => State::ChunkSize,
                }));
            }
            Line::FieldOfHttp10 | Line::FieldOfHttp11 => {
                self.fields += 1;
                if self.fields > fields_max {
                    return Err(Malformed::TooManyHeaders);
                }
                self.framing = self.framed(line::field(content)?)?;
            }
        }
        Ok(None)
    }

    fn framed(&self, field: Field) -> Result<Framing, Malformed> {
        match (self.framing, field) {
            (framing, Field::Other) => Ok(framing),
            (Framing::None, Field::Length(length)) => Ok(Framing::Length(length)),
            (Framing::None, Field::Chunked) if self.line == Line::FieldOfHttp10 => {
                Err(Malformed::OldEncoding)
            }
            (Framing::None, Field::Chunked) => Ok(Framing::Chunked),
            (Framing::Length(_), Field::Length(_)) => Err(Malformed::Lengths),
            (Framing::Chunked, Field::Chunked) => Err(Malformed::Encoding),
            (Framing::Length(_), Field::Chunked) | (Framing::Chunked, Field::Length(_)) => {
                Err(Malformed::LengthAndEncoding)
            }
        }
    }
}
