//! Constraints that both sides do not have alike.

use super::entry::{Explanation, explain};
use crate::finding::id::FindingId as Id;

pub(super) const EXPLANATIONS: &[Explanation] = &[
    explain(
        Id::UniqueAtService,
        "a unique index is only at the service",
        "Rows that the monolith accepts stop the copy or the stream.",
        "Add it to the monolith, or drop it until after the switch.",
        "https://www.postgresql.org/docs/current/indexes-unique.html",
    ),
    explain(
        Id::UniqueAtMonolith,
        "a unique index is only in the monolith",
        "Rows that the service accepts close the way back.",
        "Add it to the service by the statement of the finding.",
        "https://www.postgresql.org/docs/current/indexes-unique.html",
    ),
    explain(
        Id::DeferrabilityDiffers,
        "a unique or exclusion constraint is deferrable on one side",
        "Values that are exchanged within one transaction stop the stream where it is not; and where it is, it is not enforced at all while rows are applied.",
        "Make both alike by the statement of the finding.",
        "https://www.postgresql.org/docs/current/sql-set-constraints.html",
    ),
    explain(
        Id::CheckAtService,
        "a check is only at the service",
        "Rows that the monolith accepts stop the copy or the stream.",
        "Add it to the monolith, or drop it until after the switch.",
        "https://www.postgresql.org/docs/current/ddl-constraints.html",
    ),
    explain(
        Id::CheckAtMonolith,
        "a check is only in the monolith",
        "Rows that the service accepts close the way back.",
        "Add it to the service by the statement of the finding.",
        "https://www.postgresql.org/docs/current/ddl-constraints.html",
    ),
    explain(
        Id::ExclusionAtService,
        "an exclusion constraint is only at the service",
        "Rows that the monolith accepts stop the copy or the stream; a deferrable one is not enforced at all while rows are applied, and is refused. Two are alike if they compare the same columns or expressions by the same operators and collations, of the same rows: access method and order do not matter.",
        "Add it to the monolith, or drop it until after the switch; where the monolith has another one of that name, make that one at the service by the statements of the finding.",
        "https://www.postgresql.org/docs/current/ddl-constraints.html",
    ),
    explain(
        Id::ExclusionAtMonolith,
        "an exclusion constraint is only in the monolith",
        "Rows that the service accepts close the way back: they stop the stream, or, where it is deferrable, are looked for before a rollback, which is refused because of them.",
        "Add it to the service by the statement of the finding.",
        "https://www.postgresql.org/docs/current/ddl-constraints.html",
    ),
    explain(
        Id::ForeignKeyAtService,
        "a foreign key between moved tables is only at the service",
        "Rows are applied with triggers off, and foreign keys are triggers: rows of the monolith that refer to nothing would be stored, and a dump of the service's could not be restored.",
        "Add it to the monolith, which proves its rows, or drop it until after the switch.",
        "https://www.postgresql.org/docs/current/runtime-config-client.html",
    ),
    explain(
        Id::ForeignKeyAtMonolith,
        "a foreign key between moved tables is only in the monolith",
        "What the service writes comes back without being checked. Before each hand-over the rows are looked at, and a rollback is refused as long as some refer to nothing.",
        "Add it to the service by the statement of the finding.",
        "https://www.postgresql.org/docs/current/runtime-config-client.html",
    ),
    explain(
        Id::ForeignKeyActionsDiffer,
        "a foreign key between moved tables does something else on each side",
        "What a deletion or an update does with the rows that refer, and whether it is looked at once or at the transaction's end, is the owner's to do: it changes with a switch. It does not touch what is carried over, as foreign keys are not looked at then. Keys that differ only in when they are looked at are one finding: a warning in either direction, as only transactions that rely on the end meet it.",
        "Run the statements of the finding, or leave it as it is meant: a service is written for its own tables.",
        "https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK",
    ),
];
