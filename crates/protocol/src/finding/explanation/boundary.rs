//! The boundary between tables that move and tables that stay; sequences.

use super::entry::{Explanation, explain};
use crate::finding::id::FindingId as Id;

pub(super) const EXPLANATIONS: &[Explanation] = &[
    explain(
        Id::SharedSequence,
        "a table that stays draws from a moved sequence",
        "Both sides would give out the same numbers.",
        "Give that column a sequence of its own.",
        "https://www.postgresql.org/docs/current/sql-createsequence.html",
    ),
    explain(
        Id::UndeclaredReference,
        "a table that stays refers to one that moves",
        "After a switch nothing stops the service from deleting a row that it refers to.",
        "Declare it under `references:`, or move the table as well.",
        "README.md",
    ),
    explain(
        Id::ActionInwards,
        "a foreign key acts on a table that stays",
        "CASCADE and SET NULL would not be done any more after a switch.",
        "Make it NO ACTION by the statement of the finding and let the application do it, or move the table.",
        "https://www.postgresql.org/docs/current/ddl-constraints.html",
    ),
    explain(
        Id::ActionOutwards,
        "a foreign key acts on a table that moves",
        "While the service owns the data the fence refuses what the action would do.",
        "Make sure that the application does not depend on it after a switch.",
        "https://www.postgresql.org/docs/current/ddl-constraints.html",
    ),
    explain(
        Id::DeclaredForNothing,
        "the plan declares a reference that is no foreign key",
        "Nothing would be checked.",
        "Correct it under `references:`, or take it out.",
        "README.md",
    ),
    explain(
        Id::ServiceRefersOutwards,
        "a moved table of the service's refers to one that is not moved",
        "Rows are applied with triggers off: they would not be checked.",
        "Drop the foreign key by the statement of the finding, or move that table as well.",
        "https://www.postgresql.org/docs/current/runtime-config-client.html",
    ),
    explain(
        Id::ServiceReferredTo,
        "a table of the service's that is not moved refers to a moved one",
        "The moved table's rows come and go with the monolith's, and it cannot be emptied.",
        "Drop the foreign key until after the switch, by the statement of the finding, or move that table as well.",
        "https://www.postgresql.org/docs/current/sql-truncate.html",
    ),
    explain(
        Id::CompositeReference,
        "a table that stays refers by several columns",
        "Only references by one column are looked after when the service deletes rows.",
        "Drop the foreign key by the statement of the finding, or move the table as well.",
        "https://www.postgresql.org/docs/current/ddl-constraints.html",
    ),
    explain(
        Id::SequenceDirection,
        "a sequence goes up on one side and down on the other",
        "The next owner would give out numbers that are taken.",
        "Run the statement of the finding.",
        "https://www.postgresql.org/docs/current/sql-altersequence.html",
    ),
    explain(
        Id::SequenceBound,
        "a sequence has no room for a hand-over",
        "Each hand-over skips `switch.block` numbers, and a whole step where the other side's goes on in larger ones; past its end a sequence gives out none, or begins anew with numbers that are taken. The column's type bounds it as well, also a domain's and `numeric(n)`. A warning: only a rollback would meet it.",
        "Widen column and sequence, or lower `switch.block`.",
        "https://www.postgresql.org/docs/current/sql-altersequence.html",
    ),
    explain(
        Id::SequenceNearBound,
        "a sequence is near its end",
        "Each hand-over skips `switch.block` numbers.",
        "Widen column and sequence in time.",
        "https://www.postgresql.org/docs/current/sql-altersequence.html",
    ),
    explain(
        Id::SequencesDiffer,
        "the sequences of a column give out other numbers",
        "Steps that differ, or lead through other numbers, break what was agreed about them: that each stands for as many as its step (the pooled allocators of Hibernate and others), or that those between are another server's. One that begins anew at its end gives out numbers twice. Each hand-over keeps to the steps of the sequence that it moves. Cache, start and bounds that suffice make no difference.",
        "Nothing, if that is meant; else run the statement of the finding.",
        "https://www.postgresql.org/docs/current/sql-createsequence.html",
    ),
];
