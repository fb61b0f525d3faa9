//! The messages of PostgreSQL's output plugin `pgoutput`, protocol version 1,
//! with tuples in text format.
//!
//! A pure decoder: bytes in, a message out. It never panics, allocates no more
//! than a small multiple of the bytes it is given, and refuses what it does
//! not know or what is too short or too long, since a change that was misread
//! is worse than a follower that stops. Values are slices of the input.
//!
//! After PostgreSQL's documentation, "Logical Replication Message Formats".

mod reader;

use bytes::Bytes;
use protocol::Lsn;
use reader::Reader;

/// PostgreSQL's limit on the columns of a table (`MaxTupleAttributeNumber`).
const MOST_COLUMNS: usize = 1664;

/// One message of the change stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogicalMessage {
    /// A transaction begins. Only committed ones are sent.
    Begin {
        /// Where its commit record is.
        final_lsn: Lsn,
        /// When it was committed, in microseconds since 2000-01-01.
        commit_time: i64,
        /// Its number.
        xid: u32,
    },
    /// The transaction ends.
    Commit {
        /// Where its commit record is.
        lsn: Lsn,
        /// The position right after it.
        end_lsn: Lsn,
        /// When it was committed, in microseconds since 2000-01-01.
        commit_time: i64,
    },
    /// The transaction was written by a replication of this name.
    Origin {
        /// Its name.
        name: String,
    },
    /// What the relation of the next changes looks like.
    Relation(Relation),
    /// The name of a type that is not built in.
    Type {
        /// Its number in the source's catalogue.
        oid: u32,
    },
    /// A row came.
    Insert {
        /// Which relation.
        relation: u32,
        /// The row.
        new: Tuple,
    },
    /// A row changed.
    Update {
        /// Which relation.
        relation: u32,
        /// What it was: only when its key changed, or with `REPLICA IDENTITY FULL`.
        old: Option<OldTuple>,
        /// The row.
        new: Tuple,
    },
    /// A row went.
    Delete {
        /// Which relation.
        relation: u32,
        /// What it was.
        old: OldTuple,
    },
    /// All rows of these relations went.
    Truncate {
        /// Which relations.
        relations: Vec<u32>,
        /// Bit 1: `CASCADE`, bit 2: `RESTART IDENTITY`.
        options: u8,
    },
    /// A message of `pg_logical_emit_message`.
    Message {
        /// Whether it belongs to the transaction around it.
        transactional: bool,
        /// Where it is.
        lsn: Lsn,
        /// Whose it is.
        prefix: String,
        /// What it says.
        content: Bytes,
    },
}

impl LogicalMessage {
    /// The relations that it changes rows of.
    pub fn relations(&self) -> &[u32] {
        match self {
            Self::Insert { relation, .. }
            | Self::Update { relation, .. }
            | Self::Delete { relation, .. } => std::slice::from_ref(relation),
            Self::Truncate { relations, .. } => relations,
            _ => &[],
        }
    }
}

/// A relation, as the source describes it at this point of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// What changes call it.
    pub id: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// `d` default, `n` nothing, `f` full, `i` index.
    pub replica_identity: u8,
    /// Its columns, in the order of the tuples.
    pub columns: Vec<RelationColumn>,
}

/// A column of a [`Relation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationColumn {
    /// Whether it is part of what old tuples identify the row by.
    pub identity: bool,
    /// Its name.
    pub name: String,
    /// Its type in the source's catalogue.
    pub type_oid: u32,
    /// Its type's modifier, -1 for none.
    pub type_modifier: i32,
}

/// A row or a key, one value per column of its relation.
pub type Tuple = Vec<Value>;

/// What a row was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldTuple {
    /// Only the columns of the replica identity; the others are null.
    Key(Tuple),
    /// The whole row.
    Row(Tuple),
}

impl OldTuple {
    /// The values, of which only those of the identity count for sure.
    pub fn tuple(&self) -> &Tuple {
        match self {
            Self::Key(tuple) | Self::Row(tuple) => tuple,
        }
    }
}

/// One value of a tuple.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// SQL's NULL.
    Null,
    /// Stored out of line and not changed by this update, hence not sent.
    Unchanged,
    /// What the type's output function wrote.
    Text(Bytes),
}

impl Value {
    /// The text, if there is one.
    pub fn text(&self) -> Option<&Bytes> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Unchanged => None,
        }
    }

    /// How many bytes it holds.
    pub fn len_bytes(&self) -> usize {
        self.text().map_or(0, Bytes::len)
    }
}

/// Bytes that are no message of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message ends inside a field.
    #[error("it ends inside {0}")]
    Truncated(&'static str),
    /// There is more than the message.
    #[error("{0} bytes follow its end")]
    Trailing(usize),
    /// A kind of message, tuple or value that version 1 does not have.
    #[error("{what} of unknown kind {kind:#04x}")]
    Unknown {
        /// What it is.
        what: &'static str,
        /// Its kind.
        kind: u8,
    },
    /// A field out of its range.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// A name that is not UTF-8.
    #[error("{0} is not UTF-8")]
    Encoding(&'static str),
}

/// Decodes one message.
pub fn decode(message: Bytes) -> Result<LogicalMessage, DecodeError> {
    let mut from = Reader::new(message);
    let kind = from.byte("the kind of message")?;
    let message = match kind {
        b'B' => LogicalMessage::Begin {
            final_lsn: from.lsn("a begin")?,
            commit_time: from.i64("a begin")?,
            xid: from.u32("a begin")?,
        },
        b'C' => {
            from.byte("a commit")?;
            LogicalMessage::Commit {
                lsn: from.lsn("a commit")?,
                end_lsn: from.lsn("a commit")?,
                commit_time: from.i64("a commit")?,
            }
        }
        b'O' => {
            from.lsn("an origin")?;
            LogicalMessage::Origin {
                name: from.text("an origin's name")?,
            }
        }
        b'R' => LogicalMessage::Relation(relation(&mut from)?),
        b'Y' => {
            let oid = from.u32("a type")?;
            from.text("a type's schema")?;
            from.text("a type's name")?;
            LogicalMessage::Type { oid }
        }
        b'I' => {
            let relation = from.u32("an insert")?;
            expect(&mut from, b'N', "a tuple")?;
            LogicalMessage::Insert {
                relation,
                new: tuple(&mut from)?,
            }
        }
        b'U' => update(&mut from)?,
        b'D' => {
            let relation = from.u32("a delete")?;
            let kind = from.byte("a tuple's kind")?;
            LogicalMessage::Delete {
                relation,
                old: old_tuple(&mut from, kind)?,
            }
        }
        b'T' => truncate(&mut from)?,
        b'M' => {
            let flags = from.byte("a logical message")?;
            let lsn = from.lsn("a logical message")?;
            let prefix = from.text("a logical message's prefix")?;
            let length = from.u32("a logical message's length")?;
            let content = from.bytes(length as usize, "a logical message")?;
            LogicalMessage::Message {
                transactional: flags & 1 != 0,
                lsn,
                prefix,
                content,
            }
        }
        kind => {
            return Err(DecodeError::Unknown {
                what: "a message",
                kind,
            });
        }
    };
    match from.remaining() {
        0 => Ok(message),
        more => Err(DecodeError::Trailing(more)),
    }
}

fn relation(from: &mut Reader) -> Result<Relation, DecodeError> {
    let id = from.u32("a relation")?;
    let schema = from.text("a relation's schema")?;
    let name = from.text("a relation's name")?;
    let replica_identity = from.byte("a relation's identity")?;
    let count = column_count(from)?;
    let mut columns = Vec::with_capacity(count.min(from.remaining()));
    for _ in 0..count {
        columns.push(RelationColumn {
            identity: from.byte("a column's flags")? & 1 != 0,
            name: from.text("a column's name")?,
            type_oid: from.u32("a column's type")?,
            type_modifier: from.i32("a column's type modifier")?,
        });
    }
    // An empty schema name stands for pg_catalog.
    let schema = if schema.is_empty() {
        "pg_catalog".to_owned()
    } else {
        schema
    };
    Ok(Relation {
        id,
        schema,
        name,
        replica_identity,
        columns,
    })
}

fn update(from: &mut Reader) -> Result<LogicalMessage, DecodeError> {
    let relation = from.u32("an update")?;
    let kind = from.byte("a tuple's kind")?;
    let old = if kind == b'N' {
        None
    } else {
        let old = old_tuple(from, kind)?;
        expect(from, b'N', "a tuple")?;
        Some(old)
    };
    Ok(LogicalMessage::Update {
        relation,
        old,
        new: tuple(from)?,
    })
}

fn truncate(from: &mut Reader) -> Result<LogicalMessage, DecodeError> {
    let count = from.u32("a truncation")? as usize;
    let options = from.byte("a truncation's options")?;
    // Checked against what is there, before it is believed.
    if count > from.remaining() / 4 {
        return Err(DecodeError::Truncated("a truncation"));
    }
    let relations = (0..count)
        .map(|_| from.u32("a truncation"))
        .collect::<Result<_, _>>()?;
    Ok(LogicalMessage::Truncate { relations, options })
}

fn old_tuple(from: &mut Reader, kind: u8) -> Result<OldTuple, DecodeError> {
    match kind {
        b'K' => Ok(OldTuple::Key(tuple(from)?)),
        b'O' => Ok(OldTuple::Row(tuple(from)?)),
        kind => Err(DecodeError::Unknown {
            what: "a tuple",
            kind,
        }),
    }
}

fn tuple(from: &mut Reader) -> Result<Tuple, DecodeError> {
    let count = column_count(from)?;
    let mut values = Vec::with_capacity(count.min(from.remaining()));
    for _ in 0..count {
        values.push(match from.byte("a value's kind")? {
            b'n' => Value::Null,
            b'u' => Value::Unchanged,
            b't' => {
                let length = from.i32("a value's length")?;
                let length =
                    usize::try_from(length).map_err(|_| DecodeError::Range("a value's length"))?;
                Value::Text(from.bytes(length, "a value")?)
            }
            // `b`: binary, which we do not ask for.
            kind => {
                return Err(DecodeError::Unknown {
                    what: "a value",
                    kind,
                });
            }
        });
    }
    Ok(values)
}

fn column_count(from: &mut Reader) -> Result<usize, DecodeError> {
    match usize::from(from.u16("a number of columns")?) {
        count if count <= MOST_COLUMNS => Ok(count),
        _ => Err(DecodeError::Range("a number of columns")),
    }
}

fn expect(from: &mut Reader, kind: u8, what: &'static str) -> Result<(), DecodeError> {
    match from.byte("a tuple's kind")? {
        found if found == kind => Ok(()),
        kind => Err(DecodeError::Unknown { what, kind }),
    }
}

#[cfg(test)]
mod tests;
