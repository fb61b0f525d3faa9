//! The built-in items.

/// What is found out without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AutomaticCheck {
    /// Both sides' databases answer.
    Databases,
    /// The plan's references resolve.
    Secrets,
    /// Both sides answer their health checks.
    Health,
    /// Prometheus has loaded the alerts of a migration.
    Alerts,
    /// Both sides were compared, and agree.
    Verify,
    /// A backup of the owner's tables was made and restored for trial.
    Backup,
    /// A rollback has worked.
    RollbackRehearsed,
    /// The service has all writes.
    Migrated,
    /// The last step passed its gate on errors.
    ErrorRate,
    /// The last step passed its gates on times.
    Latency,
    /// Nobody has read or written the old tables.
    TablesUnused,
    /// No request has reached the old routes.
    RoutesUnused,
}

/// Before data or traffic move.
pub(super) const PRE_MIGRATION: &[&str] = &[
    "infrastructure",
    "databases",
    "secrets",
    "storage",
    "health",
    "alerts",
    "verify",
    "backup",
    "rollback-rehearsed",
    "on-call",
    "ticket",
];

/// Before the old tables go.
pub(super) const DECOMMISSIONING: &[&str] = &[
    "migrated",
    "verify",
    "error-rate",
    "latency",
    "alerts",
    "backup",
    "incidents",
    "documentation",
    "team-trained",
    "tables-unused",
    "routes-unused",
];

impl AutomaticCheck {
    /// The check of an item, where it has one.
    pub fn of(item: &str) -> Option<Self> {
        Some(match item {
            "databases" => Self::Databases,
            "secrets" => Self::Secrets,
            "health" => Self::Health,
            "alerts" => Self::Alerts,
            "verify" => Self::Verify,
            "backup" => Self::Backup,
            "rollback-rehearsed" => Self::RollbackRehearsed,
            "migrated" => Self::Migrated,
            "error-rate" => Self::ErrorRate,
            "latency" => Self::Latency,
            "tables-unused" => Self::TablesUnused,
            "routes-unused" => Self::RoutesUnused,
            _ => return None,
        })
    }
}

/// What has been done then.
pub(super) fn text(item: &str) -> Option<&'static str> {
    Some(match item {
        "databases" => "both databases are reachable from here",
        "secrets" => "all references of the plan resolve",
        "health" => "both sides answer their health checks",
        "alerts" => "Prometheus has loaded the alerts of a migration",
        "verify" => "both sides were compared row by row, and agree",
        "backup" => "a backup of the owner's tables was made, and restored for trial",
        "rollback-rehearsed" => "a rollback has worked, or a hand-over was rehearsed",
        "migrated" => "the service has all writes",
        "error-rate" => "the service fails no more often than the monolith did",
        "latency" => "the service is not slower than the monolith was",
        "infrastructure" => "what is to run is applied: no changes planned, all pods ready",
        "storage" => "the service reaches the object storage that it needs",
        "tables-unused" => "nobody has read or written the old tables for `retire.quiet`",
        "routes-unused" => "no request has reached the old routes for `retire.quiet`",
        "on-call" => "whoever is on call knows of it",
        "ticket" => "the change has a ticket",
        "incidents" => "no serious incident was the service's",
        "documentation" => "the documentation says where things are now",
        "team-trained" => "the team knows how to run the service",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_built_in_item_says_what_has_been_done() {
        for item in PRE_MIGRATION.iter().chain(DECOMMISSIONING) {
            assert!(text(item).is_some(), "{item}");
        }
    }
}
