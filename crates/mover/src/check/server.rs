//! Rules about the servers and the roles.

use super::facts::{Capacity, OwnSlot, ServerFacts, SideFacts, server_name};
use crate::{
    catalog::collation::spelled,
    database::{session::Session, sql},
    error::MoverError,
    layout::COPY_WORKERS,
};
use protocol::{
    Side,
    finding::{Finding, FindingId as Id, Remedy, Statement},
};

/// The follower's connection; and while copying, the one that holds the
/// snapshot, which ends before the follower starts.
const SENDERS_NEEDED: i64 = 1;
const SLOTS_NEEDED: i64 = 1;

/// For applying; on the service's side also for the workers of the copy.
fn origins_needed(side: Side) -> i64 {
    match side {
        Side::Monolith => 1,
        Side::Service => 1 + i64::try_from(COPY_WORKERS).unwrap_or(i64::MAX - 1),
    }
}

/// The first version in which the right to set a parameter can be granted.
pub(super) const GRANTS_OF_PARAMETERS: i32 = 150_000;

/// The first version whose change stream carries messages.
const OLDEST_VERSION: i32 = 140_000;

/// Of an older server nothing else is asked: its catalogues are others.
pub(super) async fn too_old(session: &Session) -> Result<Option<Finding>, MoverError> {
    let side = session.side();
    let row = session
        .query_one(
            "select current_setting('server_version_num')::integer, \
                current_setting('server_version')",
            &[],
        )
        .await
        .map_err(MoverError::sql(side, "asking for the server's version"))?;
    let version: String = row.get(1);
    let old = row.get::<_, i32>(0) < OLDEST_VERSION;
    Ok(old.then(|| {
        Finding::refuse(
            Id::VersionTooOld,
            server_name(side),
            format!("it is PostgreSQL {version}; marks in the change stream need 14"),
            "Upgrade it",
        )
    }))
}

/// Rules about one side.
pub(super) fn of_side(side: Side, facts: &SideFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    server(side, &facts.server, &mut findings);
    capacity(side, facts, &mut findings);
    role(side, facts, &mut findings);
    findings
}

fn server(side: Side, server: &ServerFacts, findings: &mut Vec<Finding>) {
    let object = server_name(side);
    if server.wal_level != "logical" {
        findings.push(Finding::refuse(
            Id::WalLevel,
            &object,
            format!(
                "its wal_level is {}, and changes are followed both ways",
                server.wal_level
            ),
            "Set wal_level = logical and restart it",
        ));
    }
    if server.is_standby {
        findings.push(Finding::refuse(
            Id::Standby,
            &object,
            "it is a standby",
            "Put the primary's address into the plan",
        ));
    }
    if server.encoding == "SQL_ASCII" {
        findings.push(Finding::refuse(
            Id::EncodingUnknown,
            &object,
            "its database has the encoding SQL_ASCII: nobody knows what its bytes mean",
            "Move the data into a database of encoding UTF8 first",
        ));
    }
    if server.prepared_transactions > 0 {
        findings.push(Finding::warn(
            Id::PreparedTransactions,
            &object,
            format!(
                "{} prepared transactions are open; one that wrote a moved table blocks a switch",
                server.prepared_transactions
            ),
            "Commit or roll them back before a switch",
        ));
    }
    if !server.hidden.is_empty() {
        let whose: Vec<&str> = server.hidden.iter().map(|one| one.whose.as_str()).collect();
        let statements = server.hidden.iter().flat_map(|one| &one.statements);
        let statements = statements.map(|sql| Statement::new(side, sql).by_superuser());
        findings.push(Finding::warn(
            Id::ActivityHidden,
            &object,
            format!(
                "track_activities is off for {}: how old their transactions are is not seen, so a \
                 switch takes longer to tell whether an old one is in its way",
                whose.join(", ")
            ),
            Remedy::run("Run as a superuser", statements),
        ));
    }
    if let Some(reason) = &server.replication_refused {
        findings.push(Finding::refuse(
            Id::ReplicationRefused,
            &object,
            format!("it refuses a replication connection: {reason}"),
            "Let the role of the plan in by pg_hba.conf, directly and not through a pooler",
        ));
    }
}

fn capacity(side: Side, facts: &SideFacts, findings: &mut Vec<Finding>) {
    let object = server_name(side);
    let server = &facts.server;
    if server.own_slot == OwnSlot::Theirs {
        findings.push(Finding::refuse(
            Id::SlotOfAnother,
            &object,
            "a replication slot of this extraction's name exists there for another database",
            "Give the extraction another name, or cancel the other one",
        ));
    }
    if server.slots.free() < SLOTS_NEEDED {
        findings.push(no_slot(&object, server.slots));
    }
    if server.senders.free() < SENDERS_NEEDED {
        findings.push(no_sender(&object, server.senders));
    }
    if server.origins.free() < origins_needed(side) {
        findings.push(Finding::refuse(
            Id::NoFreeOrigin,
            &object,
            format!(
                "no room for {} replication origins: {} of {} are used",
                origins_needed(side),
                server.origins.used,
                server.origins.most
            ),
            "Raise max_replication_slots, which bounds origins as well (from version 18 on \
             max_active_replication_origins), and restart it",
        ));
    }
}

fn no_slot(object: &str, slots: Capacity) -> Finding {
    Finding::refuse(
        Id::NoFreeSlot,
        object,
        format!(
            "no free replication slot: {} of {} are used",
            slots.used, slots.most
        ),
        "Raise max_replication_slots and restart it, or drop slots that nobody reads",
    )
}

fn no_sender(object: &str, senders: Capacity) -> Finding {
    Finding::refuse(
        Id::NoFreeSender,
        object,
        format!(
            "no free WAL sender: {} of {} are used",
            senders.used, senders.most
        ),
        "Raise max_wal_senders and restart it",
    )
}

fn role(side: Side, facts: &SideFacts, findings: &mut Vec<Finding>) {
    let role = &facts.role;
    let object = format!("role {} in the {side}'s database", role.name);
    let quoted = sql::identifier(&role.name);
    let at = |sql| Statement::new(side, sql).by_superuser();
    if !role.may_replicate {
        findings.push(Finding::refuse(
            Id::NoReplicationRight,
            &object,
            "it has not the REPLICATION right (on Amazon RDS and Aurora: it is no member of \
             rds_replication)",
            Remedy::run(
                "Run as a superuser",
                [at(format!("alter role {quoted} replication"))],
            ),
        ));
    }
    if !role.may_create {
        findings.push(Finding::refuse(
            Id::NoCreateRight,
            &object,
            "it may not create a schema or a publication",
            Remedy::run(
                "Run as a superuser",
                [at(format!(
                    "grant create on database {} to {quoted}",
                    sql::identifier(&facts.server.database)
                ))],
            ),
        ));
    }
    if !role.may_be_replica {
        findings.push(Finding::refuse(
            Id::NoReplicaRoleRight,
            &object,
            "it may not set session_replication_role, so triggers would fire for copied rows",
            if facts.server.version_number < GRANTS_OF_PARAMETERS {
                Remedy::run(
                    "Before version 15 only a superuser may. Run as one",
                    [at(format!("alter role {quoted} superuser"))
                        .caution("it gives Banyan's role every right on this server")],
                )
            } else {
                Remedy::run(
                    "Run as a superuser",
                    [at(format!(
                        "grant set on parameter session_replication_role to {quoted}"
                    ))],
                )
            },
        ));
    }
    if !role.functions_missing.is_empty() {
        let functions = role.functions_missing.join(", ");
        findings.push(Finding::refuse(
            Id::FunctionsForbidden,
            &object,
            format!("it may not call {functions}"),
            Remedy::run(
                "Run as a superuser",
                [at(format!(
                    "grant execute on function {functions} to {quoted}"
                ))],
            ),
        ));
    }
    if !facts.other_sessions.is_empty() {
        findings.push(Finding::warn(
            Id::RoleIsShared,
            &object,
            format!(
                "it is used by other applications ({})",
                facts.other_sessions.join(", ")
            ),
            "The fence stops them as it stops everybody else, but they have Banyan's rights: give \
             Banyan a role of its own",
        ));
    }
}

/// Rules about both servers together.
pub(super) fn of_both(monolith: &SideFacts, service: &SideFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (old, new) = (&monolith.server, &service.server);
    if old.encoding != new.encoding {
        findings.push(Finding::refuse(
            Id::EncodingsDiffer,
            format!("database {}", new.database),
            format!(
                "its encoding is {}, the monolith's is {}",
                new.encoding, old.encoding
            ),
            "Create the service's database with the monolith's encoding",
        ));
    }
    if spelled(&old.collation) != spelled(&new.collation) && sorts_texts(service) {
        findings.push(Finding::warn(
            Id::DatabaseCollationsDiffer,
            format!("database {}", new.database),
            format!(
                "its texts sort by {}, the monolith's by {}: the order of rows, comparisons in \
                 checks and ranges of texts are other ones after a switch",
                new.collation, old.collation
            ),
            "Create the service's database with the monolith's locale (`create database ... \
             template template0 locale ...`), or give the columns that it matters for one of their \
             own",
        ));
    }
    if old.identity != new.identity {
        return findings;
    }
    if old.database == new.database {
        findings.push(Finding::refuse(
            Id::OneDatabase,
            format!("database {}", new.database),
            "monolith and service share it; moves within one database are not supported yet",
            "Give the service a database of its own",
        ));
        return findings;
    }
    let object = "the database server of both sides";
    // Each side has looked with its own slot left out: count it for the other.
    let slots = shared(old.slots, old.own_slot, new.slots, new.own_slot);
    if old.slots.free() >= SLOTS_NEEDED && slots.free() < 2 * SLOTS_NEEDED {
        findings.push(no_slot(object, slots));
    }
    if old.senders.free() >= SENDERS_NEEDED && old.senders.free() < 2 * SENDERS_NEEDED {
        findings.push(no_sender(object, old.senders));
    }
    findings
}

/// Whether a moved column is compared by the database's own collation.
fn sorts_texts(facts: &SideFacts) -> bool {
    let columns = facts.tables.iter().flatten();
    let mut columns = columns.flat_map(|facts| &facts.table.columns);
    columns.any(|column| !column.collation.name.is_empty() && column.collation.is_usual())
}

/// The places of a cluster that holds both sides, without either's own slot.
fn shared(old: Capacity, old_slot: OwnSlot, new: Capacity, new_slot: OwnSlot) -> Capacity {
    let exists = |slot: OwnSlot| i64::from(slot != OwnSlot::None);
    let used = (old.used - exists(new_slot))
        .min(new.used - exists(old_slot))
        .max(0);
    Capacity {
        most: old.most,
        used,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixtures::side as fine;
    use protocol::finding::Severity;

    #[test]
    fn a_fine_side_has_no_findings() {
        assert_eq!(of_side(Side::Monolith, &fine()), []);
        let mut other = fine();
        other.server.identity = "2".into();
        assert_eq!(of_both(&fine(), &other), []);
    }

    #[test]
    fn each_fact_about_a_side_has_its_finding() {
        type Spoil = fn(&mut SideFacts);
        let cases: &[(Spoil, Severity, &str)] = &[
            (
                |f| f.server.wal_level = "replica".into(),
                Severity::Refuse,
                "wal_level is replica",
            ),
            (|f| f.server.is_standby = true, Severity::Refuse, "standby"),
            (
                |f| f.server.encoding = "SQL_ASCII".into(),
                Severity::Refuse,
                "SQL_ASCII",
            ),
            (
                |f| f.server.prepared_transactions = 2,
                Severity::Warn,
                "2 prepared",
            ),
            (
                |f| f.server.replication_refused = Some("no".into()),
                Severity::Refuse,
                "refuses",
            ),
            (
                |f| f.server.own_slot = OwnSlot::Theirs,
                Severity::Refuse,
                "another database",
            ),
            (
                |f| f.server.slots.used = 10,
                Severity::Refuse,
                "no free replication slot: 10 of 10",
            ),
            (
                |f| f.server.senders.used = 10,
                Severity::Refuse,
                "no free WAL sender",
            ),
            (
                |f| f.server.origins.used = 8,
                Severity::Refuse,
                "3 replication origins",
            ),
            (
                |f| f.role.may_replicate = false,
                Severity::Refuse,
                "REPLICATION",
            ),
            (
                |f| f.role.may_create = false,
                Severity::Refuse,
                "may not create",
            ),
            (
                |f| f.role.may_be_replica = false,
                Severity::Refuse,
                "session_replication_role",
            ),
            (
                |f| f.role.functions_missing = vec!["f()".into()],
                Severity::Refuse,
                "call f()",
            ),
            (
                |f| f.other_sessions = vec!["psql".into()],
                Severity::Warn,
                "(psql)",
            ),
        ];
        for (spoil, severity, words) in cases {
            let mut facts = fine();
            spoil(&mut facts);
            let found = of_side(Side::Service, &facts);
            assert_eq!(found.len(), 1, "{words}: {found:?}");
            assert_eq!(found[0].severity, *severity, "{words}");
            assert!(found[0].problem.contains(words), "{words}: {found:?}");
        }
    }

    #[test]
    fn one_cluster_needs_places_for_both_sides() {
        let (old, mut new) = (fine(), fine());
        new.server.database = "contracts".into();
        assert_eq!(of_both(&old, &new), []);
        let mut full = old.clone();
        full.server.slots.used = 9;
        full.server.senders.used = 9;
        assert_eq!(of_side(Side::Monolith, &full), []);
        let mut other = new.clone();
        other.server.slots.used = 9;
        assert_eq!(of_both(&full, &other).len(), 2);
        // Prepared: both slots are there, each seen by the other side only.
        full.server.own_slot = OwnSlot::Ours;
        other.server.own_slot = OwnSlot::Ours;
        full.server.senders.used = 0;
        assert_eq!(of_both(&full, &other), []);
    }

    #[test]
    fn one_database_and_other_encodings_are_refused() {
        let found = of_both(&fine(), &fine());
        assert!(found[0].problem.contains("not supported yet"));
        let mut latin = fine();
        latin.server.identity = "2".into();
        latin.server.encoding = "LATIN1".into();
        assert!(of_both(&fine(), &latin)[0].problem.contains("LATIN1"));
    }
}
