//! Roles: what the plan's role may do.

use super::entry::{Explanation, explain};
use crate::finding::id::FindingId as Id;

pub(super) const EXPLANATIONS: &[Explanation] = &[
    explain(
        Id::NoReplicationRight,
        "the role may not replicate",
        "Slots are made and read by roles with REPLICATION only.",
        "Run as a superuser: alter role ... replication. On Amazon RDS and Aurora: grant rds_replication to ...",
        "https://www.postgresql.org/docs/current/role-attributes.html",
    ),
    explain(
        Id::NoCreateRight,
        "the role may not create in the database",
        "The schema `banyan` and the publication are made there.",
        "Run: grant create on database ... to ...",
        "https://www.postgresql.org/docs/current/ddl-priv.html",
    ),
    explain(
        Id::NoReplicaRoleRight,
        "the role may not set session_replication_role",
        "Rows are applied without firing triggers: their work was done at the source, and its results are in the stream.",
        "Run as a superuser: grant set on parameter session_replication_role to ... (from version 15 on).",
        "https://www.postgresql.org/docs/current/runtime-config-client.html",
    ),
    explain(
        Id::FunctionsForbidden,
        "the role may not call functions of replication origins",
        "Origins mark what Banyan writes. Their functions are a superuser's unless granted.",
        "Run the GRANT of the finding as a superuser.",
        "https://www.postgresql.org/docs/current/functions-admin.html",
    ),
    explain(
        Id::RoleIsShared,
        "other applications use the role",
        "The fence stops them as it stops everybody else, but they have Banyan's rights.",
        "Give Banyan a role of its own.",
        "https://www.postgresql.org/docs/current/ddl-priv.html",
    ),
    explain(
        Id::NotOwner,
        "the role may not do as a table's owner",
        "Fencing, publishing and emptying a table are its owner's.",
        "Run the GRANT of the finding: it names the owner.",
        "https://www.postgresql.org/docs/current/ddl-priv.html",
    ),
    explain(
        Id::SequenceRights,
        "the role may not read and set a sequence",
        "A hand-over moves the new owner's sequences past the old owner's. Without the right it would end after the fence.",
        "Run the GRANT of the finding: it names the sequence and its owner.",
        "https://www.postgresql.org/docs/current/sql-grant.html",
    ),
    explain(
        Id::StayingTableUnreadable,
        "the role may not read a table that stays",
        "Before a deletion of the service's is applied, the rows that stay and refer to it are looked for.",
        "Run the GRANT of the finding.",
        "https://www.postgresql.org/docs/current/sql-grant.html",
    ),
    explain(
        Id::HiddenRows,
        "row security hides rows of a table that stays from the role",
        "Before a deletion of the service's is applied, the rows that stay and refer to it are \
         looked for: none may be hidden.",
        "Run one of the statements of the finding.",
        "https://www.postgresql.org/docs/current/ddl-rowsecurity.html",
    ),
];
