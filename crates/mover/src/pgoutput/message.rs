//! The messages, their rows and values.

use bytes::Bytes;
use protocol::Lsn;

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
    /// The description of a relation whose changes follow.
    Relation(Relation),
    /// The name of a type that is not built in.
    Type {
        /// Its number in the source's catalogue.
        oid: u32,
    },
    /// A row was inserted.
    Insert {
        /// Which relation.
        relation: u32,
        /// The row.
        new: Tuple,
    },
    /// A row was updated.
    Update {
        /// Which relation.
        relation: u32,
        /// What it was: only when its key changed, or with `REPLICA IDENTITY FULL`.
        old: Option<OldTuple>,
        /// The row.
        new: Tuple,
    },
    /// A row was deleted.
    Delete {
        /// Which relation.
        relation: u32,
        /// What it was.
        old: OldTuple,
    },
    /// These relations were truncated.
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
        /// Its content.
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
