//! The journal as evidence: its chain, and what earlier versions wrote.

use crate::{
    checklists::{Scripts, begun},
    rollout::{ada, counts, mover, until},
    support::*,
};
use conductor::{
    BrokenChain, ChainCheck, Conductor, Journal, JournalEntry, JournalPage, JournalQuery,
    OrderEvent, OrderOutcome, RecordedEvent, Request, Shift, StepVerb, Waived,
};
use plan::{AutomaticCheck, Percent};
use protocol::{
    brown_out::{self, Ending},
    checklist::CheckResult,
    lifecycle,
    rollout::UnixMillis,
};
use std::{
    collections::BTreeSet, fs::Permissions, os::unix::fs::PermissionsExt, path::Path, sync::Arc,
    time::Duration,
};

/// Written by earlier versions, with the entries in each: two extractions, one of them with
/// steps, a halt, a switch and a rollback. The second has hashes, and a checklist, orders,
/// reports, a rehearsal and a brown-out, too; [`a_journal_is_made_to_keep`] made it.
const OLDER: [(&[u8], i64); 2] = [
    (include_bytes!("../golden/journal-before-hashes.db"), 31),
    (include_bytes!("../golden/journal-2026-12.db"), 51),
];

/// The plan that they were written by.
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
    for (journal, entries) in OLDER {
        gone_on_from(journal, entries).await;
    }
}

async fn gone_on_from(older: &[u8], entries: i64) {
    let process = Process::planned(&older_plan());
    let state = process.state.path();
    std::fs::write(state.join("journal.db"), older).unwrap();
    let chained = all(state).await;
    assert_eq!(check(&chained), entries);
    for entry in chained.entries.iter().filter(|one| one.extraction != "*") {
        assert!(entry.recorded().is_some(), "{}", entry.event.get());
    }
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
    assert!(check(&gone_on) > entries);
}

#[tokio::test]
async fn what_was_edited_and_robbed_of_its_hashes_is_not_chained_anew() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    std::fs::write(state.join("journal.db"), OLDER[1].0).unwrap();
    let edit = "update journal set at_ms = at_ms + 1, hash = null where sequence >= 3";
    edit_journal(state, edit).await;
    for _ in 0..2 {
        let broken = all(state).await.entries;
        assert!(broken[2..51].iter().all(|entry| entry.hash.is_empty()));
        let mut check = ChainCheck::default();
        let broken = broken.iter().find_map(|entry| check.next(entry).err());
        assert_eq!(broken, Some(BrokenChain::Unhashed(3)));
        // Nor is it once something was written after it.
        let journal = Journal::open(state).await.unwrap();
        let event = [lifecycle::Event::Prepared];
        journal.append(&name(), &event).await.unwrap();
    }
}

#[tokio::test]
async fn only_its_owner_reads_a_journal_new_or_of_an_earlier_version() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let modes = || ["", "journal.db", "journal.db-wal"].map(|name| mode(&state.join(name)));
    let journal = Journal::open(&state).await.unwrap();
    assert_eq!(modes(), [0o700, 0o600, 0o600]);
    drop(journal);
    let set = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode));
    let file = state.join("journal.db");
    set(&state, 0o755).unwrap();
    set(&file, 0o644).unwrap();
    let _journal = Journal::open(&state).await.unwrap();
    assert_eq!(modes(), [0o700, 0o600, 0o600]);

    // One that was made for it stays as it is.
    let own = home.path().join("own");
    std::fs::create_dir(&own).unwrap();
    set(&own, 0o750).unwrap();
    let _other = Journal::open(&own).await.unwrap();
    assert_eq!([mode(&own), mode(&own.join("journal.db"))], [0o750, 0o600]);
}

#[tokio::test]
async fn a_file_counts_what_was_cut_off_it_and_what_is_rolled_back_leaves_no_gap() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    let file = state.join("journal.db");
    std::fs::write(&file, OLDER[1].0).unwrap();
    fill_disk(state).await;
    let journal = Journal::open(state).await.unwrap();
    let event = [lifecycle::Event::Prepared];
    journal.append(&name(), &event).await.unwrap_err();
    drop(journal);
    let checked = async || {
        // The file is let go of by another thread.
        let read = async {
            loop {
                match Journal::entries_of(&file).await {
                    Ok(read) => break read,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let (entries, last) = tokio::time::timeout(LIMIT, read).await.unwrap();
        let mut check = ChainCheck::whole();
        let broken = entries.iter().find_map(|entry| check.next(entry).err());
        (last, broken.or_else(|| check.end(last).err()))
    };
    let gone_on = async || {
        let journal = Journal::open(state).await.unwrap();
        journal.append(&name(), &event).await.unwrap();
        drop(journal);
    };
    assert_eq!(checked().await, (51, None));
    make_room(state).await;
    gone_on().await;
    assert_eq!(checked().await, (52, None));
    edit_journal(state, "delete from journal where sequence > 48").await;
    let (first, last) = (49, 52);
    let missing = Some(BrokenChain::Missing { first, last });
    assert_eq!(checked().await, (52, missing.clone()));
    gone_on().await;
    assert_eq!(checked().await, (53, missing));
}

/// What entries are of.
fn kinds(page: &JournalPage) -> BTreeSet<&'static str> {
    let recorded = page.entries.iter().filter_map(JournalEntry::recorded);
    let kind = |recorded| match recorded {
        RecordedEvent::Replication(_) => "replication",
        RecordedEvent::SharedData(_) => "shared data",
        RecordedEvent::Rollout(_) => "steps",
        RecordedEvent::Checklist(_) => "checklist",
        RecordedEvent::BrownOut(_) => "brown-out",
        RecordedEvent::Order(_) => "order",
        RecordedEvent::Report(_) => "report",
    };
    recorded.map(kind).collect()
}

/// With `--run-ignored only`; prints where it is, to be put into `golden/`, under the month's
/// name, and into [`OLDER`].
#[tokio::test]
#[ignore = "makes a file to keep"]
async fn a_journal_is_made_to_keep() {
    let process = Process::planned(&older_plan());
    *process.told.counts.lock().unwrap() = Some(counts(0));
    let mover = mover();
    let mut conductor = process.conductor(&mover).await;
    let notes = conductor.workers()[&plan::ExtractionName::new("notes").unwrap()].clone();
    notes.request(Request::Start).await.unwrap();
    let share = Percent::parse("5%").unwrap();
    let both = Shift::Both {
        reads: share,
        writes: share,
    };
    notes.request(Request::Shift(both)).await.unwrap();
    conductor.halt().begin("ada", "incident 7").await.unwrap();
    conductor.halt().end("ada", "", None).await.unwrap();

    let scripts = Arc::new(Scripts::default());
    scripts.say(AutomaticCheck::Databases, CheckResult::Passed);
    let (lists, rollout) = begun(&process, &mut conductor, &scripts).await;
    lists.check("databases").await.unwrap();
    let attested = lists.attest("ticket", ada(), "CHG-7", None);
    attested.await.unwrap();
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    worker.request(Request::Rehearse).await.unwrap();
    let asks = |one: &str| one.contains("lead");
    until(&rollout, "at the approval", |status| {
        status.waits_for.iter().any(|one| asks(one))
    })
    .await;
    for (verb, note) in [
        (StepVerb::Pause, "lunch"),
        (StepVerb::Resume(None), ""),
        (StepVerb::Approve, "seen"),
    ] {
        rollout.order(verb, ada(), note).await.unwrap();
    }
    until(&rollout, "done", |status| status.state == "done").await;
    let back = Request::RollBack(Waived::default());
    worker.request(back).await.unwrap();
    conductor.stop().await;

    // What only the API and an extraction that is finished have written.
    let journal = Journal::open(process.state.path()).await.unwrap();
    let ordered = OrderEvent::Ordered {
        by: Some(ada()),
        verb: "verify".to_owned(),
        parameters: serde_json::Map::new(),
        plan: "digest".to_owned(),
    };
    journal.append(&name(), &[ordered]).await.unwrap();
    let head = journal.page(&JournalQuery::default()).await.unwrap().head;
    let ended = OrderEvent::Ended {
        order: head.unwrap().seq,
        outcome: OrderOutcome::Failed {
            why: "no answer".to_owned(),
        },
    };
    journal.append(&name(), &[ended]).await.unwrap();
    let (at, until, sunset) = (UnixMillis(1), UnixMillis(2), UnixMillis(3));
    let plan = "digest".to_owned();
    let by = ada();
    let began = brown_out::Event::Began {
        at,
        until,
        sunset,
        by,
        plan,
    };
    let ended = brown_out::Event::Ended { why: Ending::Time };
    journal.append(&name(), &[began, ended]).await.unwrap();
    drop(journal);
    let page = all(process.state.path()).await;
    assert_eq!(kinds(&page).len(), 7, "{:?}", kinds(&page));
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("journal.db");
    copy_journal(process.state.path(), &file).await;
    println!("{} entries in {}", check(&page), file.display());
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
