//! What is behind an error, whether it passes, and what to do: one table.
//!
//! The page docs/reference/stream-errors.md is this table; a test compares them.

use super::{MoverError, ReplicationError};
use protocol::Side;

/// Who mends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mends {
    /// It passes: tried again with short pauses.
    ByItself,
    /// Somebody has to do something: tried again with longer pauses.
    ByPerson,
    /// It is not tried again.
    Never,
}

impl Mends {
    /// As the page says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ByItself => "passes",
            Self::ByPerson => "for a person",
            Self::Never => "final",
        }
    }
}

/// A line of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Cause {
    /// Its name.
    pub name: &'static str,
    /// SQLSTATE codes, by their beginnings.
    pub codes: &'static [&'static str],
    /// What is behind it.
    pub what: &'static str,
    /// Who mends it.
    pub mends: Mends,
    /// What to do.
    pub remedy: &'static str,
}

/// No answer, or none in time.
const NETWORK: Cause = Cause {
    name: "network",
    codes: &["08"],
    what: "a server does not answer, or the connection broke",
    mends: Mends::ByItself,
    remedy: "See whether the server runs and is reached from here",
};

const TIME: Cause = Cause {
    name: "time",
    codes: &[],
    what: "something took longer than it may",
    mends: Mends::ByItself,
    remedy: "See what keeps the server busy, or whom it waits for: `select * from pg_stat_activity`",
};

const LOCKS: Cause = Cause {
    name: "locks",
    codes: &["55", "40"],
    what: "a lock, a deadlock, or an object that somebody uses",
    mends: Mends::ByItself,
    remedy: "See who holds the lock: `select * from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0`",
};

const RESHAPED: Cause = Cause {
    name: "reshaped",
    codes: &[],
    what: "a table was changed while it was followed",
    mends: Mends::ByItself,
    remedy: "Nothing: both sides' tables are looked at again",
};

const RIGHTS: Cause = Cause {
    name: "rights",
    codes: &["28", "42501"],
    what: "the role may not, or may not log in",
    mends: Mends::ByPerson,
    remedy: "Grant it what the message names, or what `banyan check` asks for",
};

const DIFFERENCE: Cause = Cause {
    name: "difference",
    codes: &[],
    what: "the sides do not fit: a table, a column, a row, a slot, a server",
    mends: Mends::ByPerson,
    remedy: "Do what the message says",
};

const ROW: Cause = Cause {
    name: "ownership",
    codes: &[],
    what: "the row in `banyan.owner` or `banyan.stream` is not what it was",
    mends: Mends::ByPerson,
    remedy: "Compare its owner and epoch with those of `banyan status`: a database was restored, \
             or the row edited",
};

const SUPERSEDED: Cause = Cause {
    name: "superseded",
    codes: &[],
    what: "another conductor has taken charge",
    mends: Mends::Never,
    remedy: "Stop this `banyan serve`, or restart it to take charge again",
};

const CONNECTION: Cause = Cause {
    name: "protocol",
    codes: &[],
    what: "what comes over the replication connection is not what PostgreSQL speaks",
    mends: Mends::ByPerson,
    remedy: "Give the plan the server's own address, past any pooler",
};

const UNKNOWN: Cause = Cause {
    name: "other",
    codes: &[],
    what: "anything else that a server says",
    mends: Mends::ByPerson,
    remedy: "Look for the message in the server's log, which says more",
};

/// All of them. Of several that fit, the first one counts.
pub const CAUSES: &[Cause] = &[
    NETWORK,
    Cause {
        name: "operator",
        codes: &["57"],
        what: "the server starts, stops, or somebody ended the session or the statement",
        mends: Mends::ByItself,
        remedy: "Wait until the server is up",
    },
    Cause {
        name: "resources",
        codes: &["53"],
        what: "no disk, memory or connection is left",
        mends: Mends::ByItself,
        remedy: "Make room on the server, or raise the limit that the message names",
    },
    Cause {
        name: "read-only",
        codes: &["25"],
        what: "the target takes no writes: it is failing over, or is a standby",
        mends: Mends::ByItself,
        remedy: "Wait for the fail-over to end. If it stays, give the plan the primary's address",
    },
    LOCKS,
    TIME,
    RESHAPED,
    RIGHTS,
    Cause {
        name: "definitions",
        codes: &["42", "3D", "3F", "0A"],
        what: "a table, column, type, publication or slot is gone or is another one",
        mends: Mends::ByPerson,
        remedy: "Undo the change of the schema, or make the same one on the other side",
    },
    Cause {
        name: "values",
        codes: &["22"],
        what: "a value of the source does not fit the target's column",
        mends: Mends::ByPerson,
        remedy: "Give the target's column the source's type: `alter table ... alter column ... type ...`",
    },
    Cause {
        name: "constraints",
        codes: &["23", "44", "27"],
        what: "a constraint of the target refuses the row",
        mends: Mends::ByPerson,
        remedy: "Drop the constraint that only the target has, or correct the target's row that is in the way",
    },
    Cause {
        name: "code",
        codes: &["P0", "09", "2F", "38", "39"],
        what: "a function or an `enable always` trigger of the target failed",
        mends: Mends::ByPerson,
        remedy: "Correct the function, or let the trigger fire for the application only: `alter table ... enable trigger ...`",
    },
    Cause {
        name: "damage",
        codes: &["58", "F0", "XX"],
        what: "a file is gone or damaged, or the server found a fault in itself",
        mends: Mends::ByPerson,
        remedy: "Read the server's log. Where the log that a slot needs was removed, the message says what is left to do",
    },
    DIFFERENCE,
    ROW,
    CONNECTION,
    UNKNOWN,
    SUPERSEDED,
];

impl MoverError {
    /// What is behind it.
    pub fn cause(&self) -> &'static Cause {
        match self {
            Self::Connect { .. } => &NETWORK,
            Self::Deadline { .. } => &TIME,
            Self::Blocked { .. } => &LOCKS,
            Self::Reshaped { .. } => &RESHAPED,
            Self::Superseded { .. } => &SUPERSEDED,
            Self::Rights { .. } => &RIGHTS,
            Self::Row { .. }
            | Self::WentBack { .. }
            | Self::Overtaken { .. }
            | Self::InCharge { .. } => &ROW,
            Self::Data { .. } => &DIFFERENCE,
            Self::Sql { source, .. } => match source.code() {
                Some(code) if !source.is_closed() => by_code(code.code()),
                _ => &NETWORK,
            },
            Self::Stream { source, .. } => of_stream(source),
        }
    }

    /// Where our role lacks rights, if that is what is behind it.
    pub(crate) fn lacks_rights(&self) -> Option<Side> {
        match self {
            Self::Sql { side, .. } | Self::Stream { side, .. } if *self.cause() == RIGHTS => {
                Some(*side)
            }
            _ => None,
        }
    }

    /// Whether trying again later may help: the network, a restart, a lock.
    pub fn is_transient(&self) -> bool {
        self.cause().mends == Mends::ByItself
    }

    /// What to do, where the message does not say it itself.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Sql { .. } | Self::Stream { .. } | Self::Deadline { .. } => {
                Some(self.cause().remedy)
            }
            Self::Connect { .. }
            | Self::Blocked { .. }
            | Self::Reshaped { .. }
            | Self::Superseded { .. }
            | Self::WentBack { .. }
            | Self::Overtaken { .. }
            | Self::Rights { .. }
            | Self::InCharge { .. }
            | Self::Row { .. }
            | Self::Data { .. } => None,
        }
    }
}

fn of_stream(error: &ReplicationError) -> &'static Cause {
    match error {
        ReplicationError::Io(_) | ReplicationError::Closed => &NETWORK,
        ReplicationError::Server { code, .. } => by_code(code),
        ReplicationError::Protocol(_) => &CONNECTION,
    }
}

fn by_code(code: &str) -> &'static Cause {
    CAUSES
        .iter()
        .find(|cause| cause.codes.iter().any(|start| code.starts_with(start)))
        .unwrap_or(&UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    const PAGE: &str = include_str!("../../../../docs/reference/stream-errors.md");

    fn table() -> String {
        let mut table =
            "| cause | SQLSTATE | what is behind it | mended | what to do |\n|---|---|---|---|---|\n"
                .to_owned();
        for cause in CAUSES {
            let codes = match cause.codes {
                [] => "-".to_owned(),
                codes => codes.join(", "),
            };
            writeln!(
                table,
                "| {} | {codes} | {} | {} | {} |",
                cause.name,
                cause.what,
                cause.mends.as_str(),
                cause.remedy
            )
            .unwrap();
        }
        table
    }

    #[test]
    fn the_page_has_the_table() {
        let table = table();
        assert!(
            PAGE.contains(&table),
            "docs/reference/stream-errors.md lacks this table:\n{table}"
        );
    }

    #[test]
    fn passing_causes_pass() {
        for code in [
            "25006", "57P01", "57P03", "08006", "53300", "53100", "55P03", "55006", "40001",
        ] {
            assert_eq!(by_code(code).mends, Mends::ByItself, "{code}");
        }
        for code in [
            "23505", "22P02", "42703", "42501", "P0001", "XX000", "99999",
        ] {
            assert_eq!(by_code(code).mends, Mends::ByPerson, "{code}");
        }
        assert_eq!(by_code("42501").name, "rights");
        let active = ReplicationError::Server {
            code: "55006".to_owned(),
            message: "the slot is active".to_owned(),
        };
        assert_eq!(of_stream(&active).name, "locks");
    }

    #[test]
    fn only_a_successor_is_final() {
        let last: Vec<_> = CAUSES
            .iter()
            .filter(|cause| cause.mends == Mends::Never)
            .map(|cause| cause.name)
            .collect();
        assert_eq!(last, ["superseded"]);
    }
}
