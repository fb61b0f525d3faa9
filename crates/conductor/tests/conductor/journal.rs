//! The journal as evidence: its chain, and what earlier versions wrote.

use crate::support::*;
use conductor::{ChainCheck, Conductor, Journal, JournalPage, JournalQuery, Request};
use protocol::lifecycle;
use std::{path::Path, sync::Arc};

/// Written by the last version whose entries had no hashes: two extractions, one of them
/// with steps, a halt, a switch and a rollback.
const OLDER: &[u8] = include_bytes!("../golden/journal-before-hashes.db");

/// The entries in it.
const OLDER_ENTRIES: i64 = 31;

/// The plan that it was written by.
fn older_plan() -> String {
    let key = "rollout: { key: { header: x-user-id }";
    let steps = "steps: [{ reads: 50%, for: 1s }, { reads: 100%, approval: lead }, switch], \
                 gates: { requests: 20 }";
    let shared = "  notes:\n    service: contracts\n    routes: [{ path: /notes }]\n    \
                  data: { mode: shared }\n    rollout: { key: { header: x-user-id } }\n";
    PLAN.replace(key, &format!("{key}, {steps}")) + shared
}

async fn all(state: &Path) -> JournalPage {
    let journal = Journal::open(state).await.unwrap();
    let limit = Some(500);
    let query = JournalQuery {
        limit,
        ..JournalQuery::default()
    };
    journal.page(&query).await.unwrap()
}

fn check(page: &JournalPage) -> i64 {
    let mut check = ChainCheck::default();
    for entry in &page.entries {
        check.next(entry).unwrap();
    }
    assert_eq!(check.head(), page.head.as_ref());
    check.head().map_or(0, |head| head.seq)
}

#[tokio::test]
async fn what_an_earlier_version_wrote_is_read_chained_and_gone_on_from() {
    let process = Process::planned(&older_plan());
    let state = process.state.path();
    std::fs::write(state.join("journal.db"), OLDER).unwrap();
    let chained = all(state).await;
    assert_eq!(check(&chained), OLDER_ENTRIES);
    // Once: another start finds the same.
    assert_eq!(all(state).await.head, chained.head);

    let journal = Journal::open(state).await.unwrap();
    let history = journal.read(&name()).await.unwrap();
    let claimed = journal.claimants(&name()).await.unwrap()[0];
    drop(journal);
    let Some(lifecycle::Event::Started { instance }) = history.replication.first() else {
        panic!("{history:?}");
    };
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    *mover.rows.lock().unwrap() = Ok(rows_of([instance.0.as_u128(); 2], claimed));
    let conductor: Conductor = process.conductor(&mover).await;
    let notes = conductor.workers()[&plan::ExtractionName::new("notes").unwrap()].clone();
    assert_eq!(notes.status().reads_percent.to_string(), "5");
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Verify).await.unwrap();
    conductor.stop().await;
    let gone_on = all(state).await;
    assert!(check(&gone_on) > OLDER_ENTRIES);
}

#[tokio::test]
async fn pages_are_bounded_and_of_one_extraction_where_that_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::open(directory.path()).await.unwrap();
    let other = plan::ExtractionName::new("other").unwrap();
    for _ in 0..4 {
        journal
            .append(&name(), &[lifecycle::Event::Prepared])
            .await
            .unwrap();
        journal
            .append(&other, &[lifecycle::Event::Copied])
            .await
            .unwrap();
    }
    let journal = Arc::new(journal);
    let seqs = async |query: JournalQuery| {
        let page = journal.page(&query).await.unwrap();
        assert_eq!(page.head.unwrap().seq, 8);
        page.entries
            .iter()
            .map(|entry| entry.seq)
            .collect::<Vec<_>>()
    };
    let none = JournalQuery::default();
    assert_eq!(seqs(none.clone()).await, [1, 2, 3, 4, 5, 6, 7, 8]);
    let query = JournalQuery {
        after: 3,
        limit: Some(2),
        ..none.clone()
    };
    assert_eq!(seqs(query).await, [4, 5]);
    let query = JournalQuery {
        before: Some(7),
        limit: Some(2),
        ..none.clone()
    };
    assert_eq!(seqs(query).await, [5, 6]);
    let extraction = Some("other".to_owned());
    let query = JournalQuery {
        extraction: extraction.clone(),
        after: 2,
        ..none.clone()
    };
    assert_eq!(seqs(query).await, [4, 6, 8]);
    let query = JournalQuery {
        extraction,
        before: Some(8),
        limit: Some(1),
        ..none.clone()
    };
    assert_eq!(seqs(query).await, [6]);
    // A page of little has few entries, however large each is.
    let large = "x".repeat(3 << 20);
    let large = serde_json::json!({ "event": large });
    journal
        .append(&name(), &[large.clone(), large])
        .await
        .unwrap();
    let page = journal
        .page(&JournalQuery {
            after: 8,
            ..none.clone()
        })
        .await
        .unwrap();
    assert_eq!(page.entries.len(), 1);
}
