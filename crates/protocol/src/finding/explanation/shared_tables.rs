//! Tables that both sides write, and those that stay but are written with them.

use super::entry::{Explanation, explain};
use crate::finding::id::FindingId as Id;

const SHARED: &str = "docs/shared-tables.md";

pub(super) const EXPLANATIONS: &[Explanation] = &[
    explain(
        Id::AppendedKey,
        "nothing keeps the keys of a table apart that both sides append to",
        "Both sides give out keys at any time. Where neither sequences nor uuids keep them apart, both give out the same one, and a row does not come over.",
        "Give the table a key of its own (a sequence on both sides, or a uuid), or let each side keep its own rows: `writes: split`.",
        SHARED,
    ),
    explain(
        Id::AppendedKeyRange,
        "a key has no room for two sides",
        "The service's sequence is moved to the middle of what is left of the type. One that counts downwards or begins again has no middle, and an integer may be too narrow.",
        "Run on both sides: alter table ... alter column ... type bigint, with a sequence that counts upwards and does not begin again.",
        SHARED,
    ),
    explain(
        Id::AppendedUnique,
        "a unique index that both sides fill",
        "Each side could give out a value that the other has given out: that row would not come over, and its stream would stop.",
        "Drop the index, or let each side keep its own rows: `writes: split`.",
        SHARED,
    ),
    explain(
        Id::SplitTable,
        "each side keeps its own of a table",
        "The plan says so. From the first switch on nothing of the table flows, also not after a rollback.",
        "Nothing, if each side can do without the other's rows.",
        SHARED,
    ),
    explain(
        Id::ReferenceToSplit,
        "a table that flows refers to one that is split",
        "After a switch the rows come over, and those that they refer to do not.",
        "Drop the foreign key, or let both tables be written alike.",
        SHARED,
    ),
    explain(
        Id::ReferenceFromShared,
        "a table that both sides write refers to one that an owner writes",
        "A row that is added on one side while the owner deletes what it refers to, refers to nothing on both.",
        "Nothing, if rows of that table are not deleted.",
        SHARED,
    ),
    explain(
        Id::LooksLikeLog,
        "a table that stays looks like a log of every write",
        "A transaction that writes a table that moves and this one cannot be one transaction after the switch, so a switch is refused for it.",
        "List it under `tables:` with `writes: append`.",
        SHARED,
    ),
    explain(
        Id::WrittenTogether,
        "transactions write a table that stays together with tables that move",
        "Rows of both were written by the same transactions, as the rows themselves say (xmin). After the switch no transaction can write both sides, so a switch is refused. What is found is past and proven, but not all: deletions leave no trace, and only the newest pages are read.",
        "Move the table as well, let both sides write it (`writes: append` or `split`), or split the transaction.",
        SHARED,
    ),
    explain(
        Id::IdempotencyKeys,
        "a table that stays looks like idempotency keys",
        "It is by its rows that a repeated request is recognised. A request that the monolith executed before the switch, and whose answer was lost, is repeated by its client after it: the service has no such row, and executes it again.",
        "Let the table move where only routes that move use it. Where others use it, too, list it with `writes: split`: it is copied and followed until the first switch, so that the service has the keys from before. `append` is refused for keys that clients give. Or switch when clients repeat nothing (no retries under way for as long as they may come). Nothing, if those routes take no such keys.",
        SHARED,
    ),
    explain(
        Id::AppendedChanged,
        "rows of an appended table are changed or deleted",
        "Both sides insert into it, and the owner alone updates and deletes: after the switch the monolith's own updates and deletes there are refused, and so are the transactions that contain them. PostgreSQL has counted such changes since its statistics were last reset. Tables that serve many others (polymorphic ones, such as comments or watchers of anything) are of this kind.",
        "Let each side keep its own rows (`writes: split`), or move the table, where only the routes that move change it.",
        SHARED,
    ),
];
