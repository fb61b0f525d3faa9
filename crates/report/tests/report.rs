//! A migration of some weeks, as its journal has it, and the pages that are made of it.

use conductor::{
    JournalEntry,
    ports::{Progress, StreamProgress},
    status::{AnswersStatus, ExtractionStatus, GateStatus, RolloutStatus, SideAnswers, Status},
};
use report::{Kind, Report, html, markdown};
use serde_json::{Value, json};

const DAY: i64 = 86_400_000;
/// 2026-11-02, a Monday.
const BEGAN: i64 = 1_793_577_600_000;

fn row(seq: i64, tenths: i64, extraction: &str, event: &Value) -> JournalEntry {
    let at_ms = BEGAN + tenths * DAY / 10;
    JournalEntry {
        seq,
        at_ms,
        extraction: extraction.to_owned(),
        version: 1,
        event: serde_json::value::to_raw_value(event).expect("JSON"),
        hash: format!("{seq:04x}"),
    }
}

fn journal() -> Vec<JournalEntry> {
    let id = "00000000-0000-0000-0000-000000000001";
    let began = |epoch: u64, from: &str| json!({ "event": "handover-began", "epoch": epoch, "from": from, "nonce": id });
    let held = json!({ "event": "handover-stepped", "step": {
        "hold-began": { "gateways": [id], "deadline": 5 } } });
    let events = [
        (0, json!({ "event": "started", "instance": id })),
        (1, json!({ "event": "copied" })),
        (2, json!({ "event": "verified", "result": { "agreed": 1 } })),
        (
            3,
            json!({ "event": "rollout-began", "steps": ["reads 5%", "switch"], "plan": "ab" }),
        ),
        (10, json!({ "event": "reads-shifted", "reads": 500 })),
        (
            10,
            json!({ "event": "step-entered", "step": 0, "at": BEGAN + DAY }),
        ),
        (
            20,
            json!({ "event": "step-passed", "step": 0, "evidence": [
                [{ "gate": "p95", "found": { "verdict": "pass" } },
                 { "gate": "p95", "found": { "verdict": "pass" } }],
                { "gate": "p99", "found": { "verdict": "need-more" }, "dry_run": true },
                { "gate": "requests", "have": 640, "need": 20 },
                { "gate": "window" }] }),
        ),
        (
            21,
            json!({ "event": "step-approved", "step": 1, "by": { "person": "anna" },
            "note": "seen | <b>\n" }),
        ),
        (22, began(1, "monolith")),
        (22, held.clone()),
        (
            22,
            json!({ "event": "handover-ended", "outcome": "aborted", "reason": "no time" }),
        ),
        (23, began(2, "monolith")),
        (23, held.clone()),
        (
            23,
            json!({ "event": "handover-ended", "outcome": "committed", "reason": null }),
        ),
        (
            24,
            json!({ "event": "rehearsal-began", "epoch": 3, "from": "service", "nonce": id }),
        ),
        (24, held),
        (
            24,
            json!({ "event": "handover-ended", "outcome": "aborted", "reason": null }),
        ),
        (
            90,
            json!({ "event": "something-new", "by": "bert", "note": "of a later program" }),
        ),
    ];
    let mut rows: Vec<_> = (1..)
        .zip(events)
        .map(|(seq, (tenths, event))| row(seq, tenths, "contracts", &event))
        .collect();
    // A hold of 41 ms.
    rows[13].at_ms += 41;
    rows.push(row(
        19,
        95,
        "*",
        &json!({ "event": "halted", "by": "anna", "note": "" }),
    ));
    rows
}

fn status() -> Status {
    let side = |requests, errors, p95| SideAnswers {
        requests,
        errors,
        p50_ms: Some(1.0),
        p95_ms: Some(p95),
        p99_ms: Some(90.0),
    };
    let contracts = ExtractionStatus {
        name: "contracts".to_owned(),
        phase: "switched".to_owned(),
        owner: "service".to_owned(),
        reads_percent: 100.0,
        rollout: Some(RolloutStatus {
            answers: Some(AnswersStatus {
                seconds: 60.0,
                monolith: side(200, 0, 20.0),
                service: side(400, 1, 25.0),
            }),
            gates: vec![GateStatus {
                name: "error-rate".to_owned(),
                verdict: "needs-more".to_owned(),
                text: "120 of about 400 requests needed | to say".to_owned(),
                dry_run: false,
                evidence: Value::Null,
            }],
            ..RolloutStatus::default()
        }),
        progress: Progress {
            reverse: Some(StreamProgress {
                state: "applying".to_owned(),
                lag_seconds: 0.25,
                lag_bytes: 512,
                ..StreamProgress::default()
            }),
            ..Progress::default()
        },
        ..ExtractionStatus::default()
    };
    let users = ExtractionStatus {
        name: "users".to_owned(),
        phase: "planned".to_owned(),
        owner: "monolith".to_owned(),
        ..ExtractionStatus::default()
    };
    Status {
        extractions: vec![contracts, users],
        ..Status::default()
    }
}

fn made(only: &[String]) -> Report {
    Report::new(&status(), &journal(), only, BEGAN + 10 * DAY)
}

#[test]
fn the_page_tells_the_whole_migration() {
    insta::assert_snapshot!(markdown::page(&made(&[])));
}

#[test]
fn the_four_figures_are_those_of_the_guides() {
    let json = serde_json::to_value(made(&[])).unwrap();
    let figures = json!({
        "services_migrated": 1, "total_services": 2, "data_sync_progress": 50.0,
        "error_rate": 0.25, "performance_impact": 25.0,
    });
    assert_eq!(json["figures"], figures);
    assert_eq!(json["last_seq"], 19);
}

#[test]
fn a_hold_that_came_to_nothing_is_told_as_such() {
    let report = made(&["contracts".to_owned()]);
    assert_eq!(report.extractions.len(), 1);
    let contracts = &report.extractions[0];
    let outcomes: Vec<_> = contracts
        .handovers
        .iter()
        .map(|one| (one.outcome.as_deref(), one.held_ms))
        .collect();
    assert_eq!(
        outcomes,
        [
            (Some("aborted"), Some(0)),
            (Some("committed"), Some(41)),
            (Some("rehearsed"), Some(0)),
        ]
    );
    // Only the switch changed who gets what, and it left the readers where they were.
    let last = contracts.shares.last().unwrap();
    assert!((last.writes_percent - 100.0).abs() < f64::EPSILON);
    assert!((last.reads_percent - 5.0).abs() < f64::EPSILON);
    assert_eq!(contracts.shares.len(), 3);
    let of_a_later_program = contracts.moments.last().unwrap();
    assert_eq!(of_a_later_program.kind, Kind::Decision);
    assert_eq!(of_a_later_program.text, "something new: of a later program");
    assert_eq!(of_a_later_program.by.as_deref(), Some("bert"));
}

#[test]
fn what_others_wrote_is_no_markup() {
    let report = made(&[]);
    let html = html::document(&report).unwrap();
    assert!(html.contains("seen | &#60;b&#62;"), "{html}");
    assert!(!html.contains("<b>"));
    for from_elsewhere in ["http:", "https:", "<script", "@import", "url("] {
        assert!(!html.contains(from_elsewhere), "{from_elsewhere}");
    }
    assert_eq!(html.matches("<polygon").count(), 1, "what has begun");
    assert_eq!(html.matches("class=\"hold\"").count(), 3);
    let markdown = markdown::page(&report);
    assert!(markdown.contains(r"seen \| \<b\> "), "{markdown}");
    for page in [&html, &markdown] {
        for text in [
            "p95: pass, p99: need more (dry run), requests: 640 of at least 20, window",
            "To the monolith, now: applying, 0.2 s and 512 bytes behind",
            "120 of about 400 requests needed",
        ] {
            assert!(page.contains(text), "{text}: {page}");
        }
    }
    // Pages of their own have no head of ours.
    assert!(!html::body(&report).unwrap().contains("<style"));
}

#[test]
fn nothing_begun_is_a_page_too() {
    let report = Report::new(&Status::default(), &[], &[], BEGAN);
    assert!(html::document(&report).unwrap().contains("0 of 0"));
    assert!(markdown::page(&report).contains("not known"));
}
