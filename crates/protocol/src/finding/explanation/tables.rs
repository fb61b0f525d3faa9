//! Moved tables by themselves.

use super::entry::{Explanation, explain};
use crate::finding::id::FindingId as Id;

pub(super) const EXPLANATIONS: &[Explanation] = &[
    explain(
        Id::NoTable,
        "there is no such table",
        "The plan names a table that the database has not.",
        "Create it, or correct its name in the plan.",
        "README.md",
    ),
    explain(
        Id::NotOrdinaryTable,
        "it is no ordinary table",
        "Views have no changes of their own, and partitioned tables are not moved yet.",
        "Name ordinary tables.",
        "https://www.postgresql.org/docs/current/ddl-partitioning.html",
    ),
    explain(
        Id::PartitionOrInheritance,
        "it is a partition, or inherits",
        "What is written to a parent reaches it past the fence.",
        "Detach it, or dissolve the inheritance.",
        "https://www.postgresql.org/docs/current/ddl-inherit.html",
    ),
    explain(
        Id::Unlogged,
        "it is unlogged",
        "Its changes are in no change stream.",
        "Run: alter table ... set logged.",
        "https://www.postgresql.org/docs/current/sql-createtable.html",
    ),
    explain(
        Id::NoPrimaryKey,
        "it has no primary key",
        "Rows are found by it, in the stream and in a verify.",
        "Add one.",
        "https://www.postgresql.org/docs/current/ddl-constraints.html",
    ),
    explain(
        Id::DeferrablePrimaryKey,
        "its primary key is deferrable",
        "The change stream does not name rows by a key that may be violated for a moment.",
        "Make it not deferrable.",
        "https://www.postgresql.org/docs/current/sql-altertable.html",
    ),
    explain(
        Id::ReplicaIdentity,
        "its replica identity is not its primary key",
        "Updates and deletes come without the key by which the row is found. And where it is the whole row, from PostgreSQL 18 on, a computed column makes the application's own updates fail once the table is published.",
        "Run: alter table ... replica identity default.",
        "https://www.postgresql.org/docs/current/sql-altertable.html",
    ),
    explain(
        Id::TypeOfOneDatabase,
        "a type means something only within one database",
        "`money` depends on a setting, and reg* types hold numbers of catalogue rows: the same value means another thing elsewhere.",
        "Give the column another type, or leave the table out.",
        "https://www.postgresql.org/docs/current/datatype-oid.html",
    ),
    explain(
        Id::LargeObjects,
        "a column holds large objects",
        "A column of type oid or lo holds only the number of a large object. The object stays, and on the other side the number means nothing, or another object.",
        "Turn it into bytea (lo_get reads an object), or leave the table out.",
        "https://www.postgresql.org/docs/current/largeobjects.html",
    ),
    explain(
        Id::TriggerFiresForReplicas,
        "a trigger fires for replicated rows",
        "What it does is in the stream already; it would be done twice.",
        "Disable it, or make it an ordinary trigger: alter table ... enable trigger ...",
        "https://www.postgresql.org/docs/current/sql-altertable.html",
    ),
    explain(
        Id::TriggerDoesNotFire,
        "a trigger does not fire for rows that come from the other side",
        "Rows are applied with session_replication_role = replica. What the trigger does must be in the stream, or not be needed.",
        "Look at what it does.",
        "https://www.postgresql.org/docs/current/sql-altertable.html",
    ),
    explain(
        Id::Rule,
        "it has a rule",
        "Rules change what is written.",
        "Drop it, or turn it into a trigger.",
        "https://www.postgresql.org/docs/current/rules.html",
    ),
    explain(
        Id::RowSecurity,
        "row security is on",
        "Policies could hide rows from the copy and from a verify.",
        "Run: alter table ... disable row level security.",
        "https://www.postgresql.org/docs/current/ddl-rowsecurity.html",
    ),
    explain(
        Id::PublishedByAnother,
        "another extraction has it as well",
        "A table has one owner.",
        "Take it out of one plan, or cancel the other extraction.",
        "README.md",
    ),
    explain(
        Id::Subscribed,
        "a subscription writes it",
        "The workers of a subscription fire no statement trigger: no fence stops them.",
        "Drop the subscription, or take the table out of it, before the table moves.",
        "https://www.postgresql.org/docs/current/logical-replication-subscription.html",
    ),
    explain(
        Id::NotEmpty,
        "the service's table is not empty",
        "A copy starts from nothing: rows that are there would be mixed with those that come.",
        "Empty it, or name another table in the plan.",
        "README.md",
    ),
    explain(
        Id::PublicationNotOurs,
        "a publication has the name of ours",
        "It may publish less than all that changes, and the rest would be lost without an error.",
        "Drop it, or give the extraction another name.",
        "https://www.postgresql.org/docs/current/sql-createpublication.html",
    ),
    explain(
        Id::PublicationEdited,
        "our publication was changed",
        "Changes that it did not publish are missing on the other side.",
        "Run `banyan recopy NAME`: it makes the publication again and brings over what is missing. Then `banyan verify NAME`. Where both sides insert into a table (`writes: append`) the finding says what else.",
        "https://www.postgresql.org/docs/current/sql-alterpublication.html",
    ),
    explain(
        Id::BegunOtherwise,
        "the extraction has begun with other tables or `writes`, or is not in the plan",
        "Its streams and its copy lack what the plan adds, and nobody would be told. With other `writes` \
         rows that each side keeps would be mixed, or a table fenced that both insert into.",
        "Write the plan as it was, or end the extraction by the command of the finding.",
        "README.md",
    ),
    explain(
        Id::SeenWriting,
        "writes were seen that stand in the way of a switch",
        "A writer that the plan does not declare would be refused once the service owns the data; a \
         transaction that writes moved and staying tables would be torn apart.",
        "Declare the writer or send it through the gateway; split the transaction, or move the \
         table as well.",
        "README.md",
    ),
];
