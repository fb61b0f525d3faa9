//! What is signed.

use super::signed::sha256_of_file;
use crate::{client::Client, exit::Failure};
use conductor::{
    now_ms,
    status::{ChecklistStatus, RetireStatus, VerifyStatus},
};
use mover::Mover;
use plan::{DECOMMISSIONING, Plan};
use protocol::Side;
use serde::Serialize;
use std::path::Path;

/// What nobody here can see.
const NOT_SEEN: &[&str] = &[
    "reads at standbys: each server counts its own",
    "requests that do not come through this gateway",
];

/// That nobody uses an old side.
#[derive(Debug, Serialize)]
pub(super) struct Certificate {
    format: &'static str,
    extraction: String,
    issued_ms: i64,
    /// Without the password.
    monolith: String,
    service: String,
    tables: Vec<MovedTable>,
    routes: Vec<String>,
    evidence: RetireStatus,
    not_seen: &'static [&'static str],
    last_verify: Option<VerifyStatus>,
    checklist: Option<ChecklistStatus>,
    /// Of the journal, whose entries are chained: all that was decided is before it.
    journal: Option<JournalEnd>,
}

#[derive(Debug, Serialize)]
struct MovedTable {
    monolith: String,
    service: String,
}

#[derive(Debug, Serialize)]
struct JournalEnd {
    seq: i64,
    hash: String,
    /// How many entries are of the extraction.
    entries: usize,
}

impl Certificate {
    pub(super) async fn of(
        plan: &Plan,
        mover: &Mover,
        client: &Client,
        evidence: RetireStatus,
    ) -> Result<Self, Failure> {
        let one = mover.extraction();
        let extraction = one.name.to_string();
        let status = client.status().await?;
        let mut all = status.extractions.into_iter();
        let status = all.find(|it| it.name == extraction);
        let lists = client.checklists(&extraction).await?;
        let journal = client.journal().await?;
        let entries = journal.iter().filter(|one| one.extraction == extraction);
        let entries = entries.count();
        let routes = plan.extractions.get(&one.name);
        let routes = routes.into_iter().flat_map(|one| &one.routes);
        Ok(Self {
            format: "banyan-retire/1",
            issued_ms: now_ms(),
            monolith: mover.database(Side::Monolith).to_string(),
            service: mover.database(Side::Service).to_string(),
            tables: one.data.tables.iter().map(table).collect(),
            routes: routes.map(|route| route.path.to_string()).collect(),
            evidence,
            not_seen: NOT_SEEN,
            last_verify: status.and_then(|one| one.last_verify),
            checklist: lists.into_iter().find(|one| one.name == DECOMMISSIONING),
            journal: journal.last().map(|last| JournalEnd {
                seq: last.seq,
                hash: last.hash.clone(),
                entries,
            }),
            extraction,
        })
    }
}

fn table(mapping: &plan::TableMapping) -> MovedTable {
    MovedTable {
        monolith: mapping.monolith.to_string(),
        service: mapping.service.to_string(),
    }
}

/// That an archive is of what a certificate is of.
#[derive(Debug, Serialize)]
pub(super) struct Archive {
    format: &'static str,
    extraction: String,
    made_ms: i64,
    tables: Vec<String>,
    /// Of the archive.
    sha256: String,
    /// Of the certificate's file: this comes after it.
    certificate_sha256: String,
}

impl Archive {
    pub(super) fn of(mover: &Mover, file: &Path, certificate: &Path) -> Result<Self, Failure> {
        let tables = mover.old_tables();
        Ok(Self {
            format: "banyan-archive/1",
            extraction: mover.extraction().name.to_string(),
            made_ms: now_ms(),
            tables: tables.iter().map(ToString::to_string).collect(),
            sha256: sha256_of_file(file)?,
            certificate_sha256: sha256_of_file(certificate)?,
        })
    }
}
