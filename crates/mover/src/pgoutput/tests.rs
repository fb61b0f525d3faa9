//! Known bytes, every prefix of them, and hostile ones.

use super::*;
use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use protocol::Lsn;

fn put_text(to: &mut BytesMut, text: &str) {
    to.put_slice(text.as_bytes());
    to.put_u8(0);
}

fn put_tuple(to: &mut BytesMut, values: &[Value]) {
    to.put_u16(u16::try_from(values.len()).unwrap());
    for value in values {
        match value {
            Value::Null => to.put_u8(b'n'),
            Value::Unchanged => to.put_u8(b'u'),
            Value::Text(text) => {
                to.put_u8(b't');
                to.put_u32(u32::try_from(text.len()).unwrap());
                to.put_slice(text);
            }
        }
    }
}

/// The encoder that the decoder is checked against.
fn encode(message: &LogicalMessage) -> Bytes {
    let mut to = BytesMut::new();
    match message {
        LogicalMessage::Begin {
            final_lsn,
            commit_time,
            xid,
        } => {
            to.put_u8(b'B');
            to.put_u64(final_lsn.0);
            to.put_i64(*commit_time);
            to.put_u32(*xid);
        }
        LogicalMessage::Commit {
            lsn,
            end_lsn,
            commit_time,
        } => {
            to.put_slice(b"C\0");
            to.put_u64(lsn.0);
            to.put_u64(end_lsn.0);
            to.put_i64(*commit_time);
        }
        LogicalMessage::Origin { name } => {
            to.put_u8(b'O');
            to.put_u64(7);
            put_text(&mut to, name);
        }
        LogicalMessage::Relation(relation) => {
            to.put_u8(b'R');
            to.put_u32(relation.id);
            put_text(&mut to, &relation.schema);
            put_text(&mut to, &relation.name);
            to.put_u8(relation.replica_identity);
            to.put_u16(u16::try_from(relation.columns.len()).unwrap());
            for column in &relation.columns {
                to.put_u8(u8::from(column.identity));
                put_text(&mut to, &column.name);
                to.put_u32(column.type_oid);
                to.put_i32(column.type_modifier);
            }
        }
        LogicalMessage::Type { oid } => {
            to.put_u8(b'Y');
            to.put_u32(*oid);
            put_text(&mut to, "public");
            put_text(&mut to, "mood");
        }
        LogicalMessage::Insert { relation, new } => {
            to.put_u8(b'I');
            to.put_u32(*relation);
            to.put_u8(b'N');
            put_tuple(&mut to, new);
        }
        LogicalMessage::Update { relation, old, new } => {
            to.put_u8(b'U');
            to.put_u32(*relation);
            if let Some(old) = old {
                to.put_u8(if matches!(old, OldTuple::Key(_)) {
                    b'K'
                } else {
                    b'O'
                });
                put_tuple(&mut to, old.tuple());
            }
            to.put_u8(b'N');
            put_tuple(&mut to, new);
        }
        LogicalMessage::Delete { relation, old } => {
            to.put_u8(b'D');
            to.put_u32(*relation);
            to.put_u8(if matches!(old, OldTuple::Key(_)) {
                b'K'
            } else {
                b'O'
            });
            put_tuple(&mut to, old.tuple());
        }
        LogicalMessage::Truncate { relations, options } => {
            to.put_u8(b'T');
            to.put_u32(u32::try_from(relations.len()).unwrap());
            to.put_u8(*options);
            for id in relations {
                to.put_u32(*id);
            }
        }
        LogicalMessage::Message {
            transactional,
            lsn,
            prefix,
            content,
        } => {
            to.put_u8(b'M');
            to.put_u8(u8::from(*transactional));
            to.put_u64(lsn.0);
            put_text(&mut to, prefix);
            to.put_u32(u32::try_from(content.len()).unwrap());
            to.put_slice(content);
        }
    }
    to.freeze()
}

fn values() -> impl Strategy<Value = Tuple> {
    let value = prop_oneof![
        Just(Value::Null),
        Just(Value::Unchanged),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|text| Value::Text(text.into())),
    ];
    prop::collection::vec(value, 0..8)
}

fn old() -> impl Strategy<Value = OldTuple> {
    prop_oneof![
        values().prop_map(OldTuple::Key),
        values().prop_map(OldTuple::Row)
    ]
}

fn relations() -> impl Strategy<Value = LogicalMessage> {
    let column = ("[a-z]{1,8}", any::<bool>(), any::<u32>(), any::<i32>()).prop_map(
        |(name, identity, type_oid, type_modifier)| RelationColumn {
            identity,
            name,
            type_oid,
            type_modifier,
        },
    );
    (
        "[a-z]{1,8}",
        "\\PC{1,8}",
        any::<u32>(),
        prop::collection::vec(column, 0..6),
    )
        .prop_map(|(schema, name, id, columns)| {
            LogicalMessage::Relation(Relation {
                id,
                schema,
                name,
                replica_identity: b'd',
                columns,
            })
        })
}

fn messages() -> impl Strategy<Value = LogicalMessage> {
    prop_oneof![
        (any::<u64>(), any::<i64>(), any::<u32>()).prop_map(|(lsn, commit_time, xid)| {
            LogicalMessage::Begin {
                final_lsn: Lsn(lsn),
                commit_time,
                xid,
            }
        }),
        (any::<u64>(), any::<u64>(), any::<i64>()).prop_map(|(lsn, end, commit_time)| {
            LogicalMessage::Commit {
                lsn: Lsn(lsn),
                end_lsn: Lsn(end),
                commit_time,
            }
        }),
        "[a-z_]{1,20}".prop_map(|name| LogicalMessage::Origin { name }),
        relations(),
        any::<u32>().prop_map(|oid| LogicalMessage::Type { oid }),
        (any::<u32>(), values())
            .prop_map(|(relation, new)| LogicalMessage::Insert { relation, new }),
        (any::<u32>(), prop::option::of(old()), values())
            .prop_map(|(relation, old, new)| LogicalMessage::Update { relation, old, new }),
        (any::<u32>(), old()).prop_map(|(relation, old)| LogicalMessage::Delete { relation, old }),
        (prop::collection::vec(any::<u32>(), 0..5), 0_u8..4)
            .prop_map(|(relations, options)| LogicalMessage::Truncate { relations, options }),
        (
            any::<bool>(),
            any::<u64>(),
            "[a-z]{0,9}",
            prop::collection::vec(any::<u8>(), 0..50)
        )
            .prop_map(
                |(transactional, lsn, prefix, content)| LogicalMessage::Message {
                    transactional,
                    lsn: Lsn(lsn),
                    prefix,
                    content: content.into(),
                }
            ),
    ]
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(message in messages()) {
        prop_assert_eq!(decode(encode(&message)), Ok(message));
    }

    #[test]
    fn a_part_of_a_message_is_refused(message in messages(), at in any::<prop::sample::Index>()) {
        let whole = encode(&message);
        let part = whole.slice(..at.index(whole.len()));
        prop_assert!(decode(part).is_err());
    }

    #[test]
    fn more_than_a_message_is_refused(message in messages()) {
        let mut more = BytesMut::from(&encode(&message)[..]);
        more.put_u8(0);
        prop_assert!(decode(more.freeze()).is_err());
    }

    #[test]
    fn hostile_bytes_do_no_harm(
        kind in prop::sample::select(b"BCORYIUDTMxS".to_vec()),
        rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = [vec![kind], rest].concat();
        drop(decode(bytes.into()));
    }

    #[test]
    fn a_flipped_byte_does_no_harm(message in messages(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = encode(&message).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = to;
        drop(decode(bytes.into()));
    }
}

#[test]
fn huge_counts_are_not_believed() {
    let mut truncate = BytesMut::from(&b"T"[..]);
    truncate.put_u32(u32::MAX);
    truncate.put_u8(0);
    assert!(decode(truncate.freeze()).is_err());
    let mut insert = BytesMut::from(&b"I\0\0\0\x01N"[..]);
    insert.put_u16(u16::MAX);
    assert_eq!(
        decode(insert.freeze()),
        Err(DecodeError::Range("a number of columns"))
    );
    let mut value = BytesMut::from(&b"I\0\0\0\x01N\0\x01t"[..]);
    value.put_i32(-1);
    assert_eq!(
        decode(value.freeze()),
        Err(DecodeError::Range("a value's length"))
    );
    let binary = Bytes::from_static(b"I\0\0\0\x01N\0\x01b\0\0\0\0");
    assert_eq!(
        decode(binary),
        Err(DecodeError::Unknown {
            what: "a value",
            kind: b'b'
        })
    );
}
