//! Decodes one message, field by field.

use super::{
    error::DecodeError,
    message::{LogicalMessage, OldTuple, Relation, RelationColumn, Tuple, Value},
    reader::Reader,
};
use bytes::Bytes;

/// PostgreSQL's limit on the columns of a table (`MaxTupleAttributeNumber`).
const MOST_COLUMNS: usize = 1664;

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
