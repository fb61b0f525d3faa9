//! One extraction, whole.

use super::{
    dashboards::{Dashboard, dashboards},
    format,
    migrations::notices,
    next::{Next, next},
    rail::{Stop, rail},
    reasons::reasons,
    sentence::{Piece, stands},
    tables::{self, TableRow},
    waterfall::{Bar, before, waterfall},
};
use crate::role::Role;
use conductor::{
    ports::{SeenWriter, StreamProgress},
    status::{
        AnswersStatus, ExtractionStatus, GateStatus, HandoverStatus, Pause, SideAnswers,
        SideHealth, Status,
    },
};
use report::clock::minute;

/// What the page of one extraction shows.
#[derive(Debug)]
pub(crate) struct ExtractionView {
    pub(crate) name: String,
    pub(crate) notices: Vec<String>,
    pub(crate) sentence: Vec<Piece>,
    /// Whether tables of the monolith's are left in the end: not where both share them.
    pub(crate) has_old_side: bool,
    /// Whether it waits, has stopped, or was refused something.
    pub(crate) has_reasons: bool,
    /// Of Grafana's dashboards.
    pub(crate) dashboards: Vec<Dashboard>,
    pub(crate) troubles: Vec<String>,
    pub(crate) rail: Vec<Stop>,
    pub(crate) next: Next,
    /// What it would cost to go back now, or why that is not possible.
    pub(crate) way_back: Option<String>,
    pub(crate) readers: Readers,
    pub(crate) steps: Vec<StepLine>,
    pub(crate) gates: Vec<GateLine>,
    pub(crate) owners: Vec<OwnerLine>,
    pub(crate) streams: Vec<StreamLine>,
    pub(crate) verify: String,
    pub(crate) handover: Option<Handover>,
    pub(crate) tables: Vec<TableRow>,
    pub(crate) table_notes: Vec<String>,
    pub(crate) writers: Vec<WriterLine>,
    pub(crate) looked: String,
}

/// Where readers are.
#[derive(Debug)]
pub(crate) struct Readers {
    pub(crate) monolith: String,
    pub(crate) service: String,
    /// Of 100, for the bar.
    pub(crate) monolith_width: String,
    pub(crate) service_width: String,
    pub(crate) writes: Option<String>,
    /// Of how many reads the client was known.
    pub(crate) keys: Option<String>,
    /// What both sides answered, where that is counted.
    pub(crate) answers: Option<Answers>,
}

/// What both sides answered in the same time.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) title: String,
    /// What is compared, the monolith, the service, the difference.
    pub(crate) rows: Vec<[String; 4]>,
}

/// A step of the plan.
#[derive(Debug)]
pub(crate) struct StepLine {
    pub(crate) text: String,
    pub(crate) class: &'static str,
    pub(crate) word: &'static str,
}

/// A gate.
#[derive(Debug)]
pub(crate) struct GateLine {
    pub(crate) name: String,
    pub(crate) class: &'static str,
    pub(crate) verdict: String,
    pub(crate) text: String,
    /// JSON.
    pub(crate) evidence: String,
}

/// Whether a side may write.
#[derive(Debug)]
pub(crate) struct OwnerLine {
    pub(crate) side: &'static str,
    pub(crate) class: &'static str,
    pub(crate) may: &'static str,
    pub(crate) chip: &'static str,
    pub(crate) is_open: bool,
    pub(crate) notes: String,
}

/// A stream.
#[derive(Debug)]
pub(crate) struct StreamLine {
    pub(crate) name: &'static str,
    pub(crate) class: &'static str,
    pub(crate) state: String,
    pub(crate) lag: String,
    pub(crate) applied: String,
    pub(crate) retained: Option<String>,
    pub(crate) trouble: Option<String>,
}

/// The last hand-over.
#[derive(Debug)]
pub(crate) struct Handover {
    pub(crate) title: String,
    pub(crate) reason: Option<String>,
    pub(crate) before: Option<String>,
    pub(crate) bars: Vec<Bar>,
    pub(crate) held: String,
}

/// Somebody who was seen to write.
#[derive(Debug)]
pub(crate) struct WriterLine {
    pub(crate) name: String,
    pub(crate) what: String,
    pub(crate) is_declared: bool,
    pub(crate) note: &'static str,
}

/// That its old side is refused for a while.
fn brown_out(one: &ExtractionStatus) -> Option<String> {
    let brown_out = one.brown_out.as_ref()?;
    Some(format!(
        "A brown-out, by {}: until {} its old ways answer 410. `banyan brown-out {} --end` ends it.",
        brown_out.by,
        minute(brown_out.until_ms),
        one.name
    ))
}

/// The page of one extraction.
pub(crate) fn extraction(
    status: &Status,
    one: &ExtractionStatus,
    role: Role,
    now_ms: i64,
) -> ExtractionView {
    let seen = &one.progress.seen;
    ExtractionView {
        name: one.name.clone(),
        notices: brown_out(one).into_iter().chain(notices(status)).collect(),
        sentence: stands(one),
        has_old_side: one.writes_percent.is_none(),
        has_reasons: !reasons(one).is_empty(),
        dashboards: dashboards(status),
        troubles: troubles(one),
        rail: rail(one),
        way_back: one.way_back.as_ref().map(|way| way.text.clone()),
        next: next(one, role),
        readers: readers(one),
        steps: steps(one),
        gates: gates(one),
        owners: owners(one),
        streams: streams(one),
        verify: verify(one, now_ms),
        handover: one.last_handover.as_ref().map(handover),
        tables: tables::rows(one, now_ms),
        table_notes: tables::notes(one),
        writers: seen.writers.iter().map(writer).collect(),
        looked: if seen.looked_seconds > 0.0 {
            format!("in {}", format::seconds(seen.looked_seconds))
        } else {
            String::new()
        },
    }
}

fn troubles(one: &ExtractionStatus) -> Vec<String> {
    let mut troubles: Vec<String> = one.trouble.iter().cloned().collect();
    if let Some(refused) = one.rollout.as_ref().and_then(|it| it.refused.as_ref()) {
        troubles.push(format!("Refused, and asked for again: {refused}"));
    }
    for rows in &one.progress.seen.rows_past_fence {
        troubles.push(format!(
            "{} changes of rows were written past the {}'s fence, the last at {}. Verify it.",
            rows.rows, rows.side, rows.last_seen
        ));
    }
    for look in &one.progress.looks {
        let last = look.last.as_ref().map(|last| format!("; last: {last}"));
        troubles.push(format!(
            "Looking at {} for {}{}",
            look.what,
            format::seconds(look.seconds),
            last.unwrap_or_default()
        ));
    }
    troubles
}

fn readers(one: &ExtractionStatus) -> Readers {
    let share = one.reads_percent.clamp(0.0, 100.0);
    let keys = one.keys.as_ref().map(|keys| {
        let all = keys.with + keys.without;
        match &keys.key {
            None => "The plan names no key that tells clients apart: all reads go to the owner."
                .to_owned(),
            Some(key) => format!(
                "{} of {} reads named their client ({key}).",
                format::count(keys.with),
                format::count(all)
            ),
        }
    });
    Readers {
        monolith: format::percent(100.0 - share),
        service: format::percent(share),
        monolith_width: format!("{:.2}", 100.0 - share),
        service_width: format!("{share:.2}"),
        writes: one.writes_percent.map(format::percent),
        keys,
        answers: one
            .rollout
            .as_ref()
            .and_then(|rollout| rollout.answers.as_ref())
            .map(answers),
    }
}

fn answers(answers: &AnswersStatus) -> Answers {
    let AnswersStatus {
        seconds,
        monolith,
        service,
    } = answers;
    let count = |name: &str, of: fn(&SideAnswers) -> u64| {
        [
            name.to_owned(),
            format::count(of(monolith)),
            format::count(of(service)),
            String::new(),
        ]
    };
    let time = |name: &str, of: fn(&SideAnswers) -> Option<f64>| {
        let (old, new) = (of(monolith), of(service));
        let text = |time: Option<f64>| time.map_or_else(|| "–".to_owned(), format::milliseconds);
        let difference = old
            .zip(new)
            .and_then(|(old, new)| format::difference(new, old));
        [
            name.to_owned(),
            text(old),
            text(new),
            difference.unwrap_or_default(),
        ]
    };
    Answers {
        title: format!("the last {} on both sides", format::seconds(*seconds)),
        rows: vec![
            count("requests", |side| side.requests),
            count("errors", |side| side.errors),
            time("p50", |side| side.p50_ms),
            time("p95", |side| side.p95_ms),
            time("p99", |side| side.p99_ms),
        ],
    }
}

fn steps(one: &ExtractionStatus) -> Vec<StepLine> {
    let Some(rollout) = &one.rollout else {
        return Vec::new();
    };
    let at = rollout.step.unwrap_or(0);
    let line = |(index, text): (usize, &String)| {
        let number = index + 1;
        let (class, word) = if rollout.state == "done" || number < at {
            ("pass", "done")
        } else if number == at && rollout.state == "stopped" {
            ("fail", "stopped")
        } else if number == at {
            ("wait", "now")
        } else {
            ("", "to come")
        };
        StepLine {
            text: text.clone(),
            class,
            word,
        }
    };
    rollout.steps.iter().enumerate().map(line).collect()
}

/// The gates of the step that it is in.
pub(crate) fn gates(one: &ExtractionStatus) -> Vec<GateLine> {
    let gates = one.rollout.iter().flat_map(|rollout| &rollout.gates);
    gates.map(gate).collect()
}

fn gate(gate: &GateStatus) -> GateLine {
    let class = match gate.verdict.as_str() {
        "pass" => "pass",
        "fail" => "fail",
        _ => "wait",
    };
    let verdict = match gate.verdict.as_str() {
        "needs-more" => "not enough yet",
        "unknown" => "cannot be said",
        other => other,
    };
    let dry = if gate.dry_run {
        ", decides nothing"
    } else {
        ""
    };
    GateLine {
        name: gate.name.clone(),
        class,
        verdict: format!("{verdict}{dry}"),
        text: gate.text.clone(),
        evidence: serde_json::to_string_pretty(&gate.evidence).unwrap_or_default(),
    }
}

fn owners(one: &ExtractionStatus) -> Vec<OwnerLine> {
    let begun = !["", "planned"].contains(&one.phase.as_str());
    [("monolith", "old"), ("service", "new")]
        .into_iter()
        .map(|(side, class)| {
            let is_open = one.owner == side || one.owner == "both";
            let (may, chip) = match (is_open, begun, one.owner.as_str()) {
                (true, ..) => ("may write", "open"),
                (_, false, _) => ("has nothing of it yet", "not begun"),
                (_, _, "nobody") => ("waits", "held"),
                (_, _, "unknown" | "") => ("is not known to", "not known"),
                _ if one.phase == "finished" => ("is left alone", "no fence"),
                _ => ("is refused", "fenced"),
            };
            OwnerLine {
                side,
                class,
                may,
                chip,
                is_open,
                notes: notes(one, side),
            }
        })
        .collect()
}

/// What is known of a side.
fn notes(one: &ExtractionStatus, side: &str) -> String {
    let mut notes = vec![format!("epoch {}", one.epoch)];
    let refused = one.refusals.iter().find(|refused| refused.side == side);
    if let Some(refused) = refused {
        notes.push(format!(
            "its fence refused {} statements, the last at {}",
            format::count(refused.statements),
            refused.last_seen
        ));
    }
    if let Some(health) = &one.health {
        let of_side = if side == "monolith" {
            &health.monolith
        } else {
            &health.service
        };
        notes.push(health_text(of_side));
    }
    notes.join(" · ")
}

fn health_text(health: &SideHealth) -> String {
    let state = match health.state.as_str() {
        "not-asked" if health.reason.is_some() => "not known to be healthy",
        "not-asked" => "not asked for its health",
        "unhealthy" => "not healthy",
        other => other,
    };
    match &health.reason {
        Some(reason) => format!("{state}: {reason}"),
        None => state.to_owned(),
    }
}

fn streams(one: &ExtractionStatus) -> Vec<StreamLine> {
    [
        ("monolith → service", &one.progress.forward),
        ("service → monolith", &one.progress.reverse),
    ]
    .into_iter()
    .filter_map(|(name, stream)| stream.as_ref().map(|stream| line(name, stream)))
    .collect()
}

fn line(name: &'static str, stream: &StreamProgress) -> StreamLine {
    StreamLine {
        name,
        class: match (stream.state.as_str(), &stream.trouble) {
            ("failed", _) => "fail",
            ("applying", None) => "pass",
            ("stopped" | "waiting" | "ended", None) => "",
            _ => "wait",
        },
        state: stream.state.clone(),
        lag: format!(
            "{} · {}",
            format::seconds(stream.lag_seconds),
            format::bytes(stream.lag_bytes)
        ),
        applied: format!(
            "{} rows in {} transactions",
            format::count(stream.rows),
            format::count(stream.transactions)
        ),
        retained: stream.retained_bytes.map(format::bytes),
        trouble: stream.trouble.clone(),
    }
}

fn verify(one: &ExtractionStatus, now_ms: i64) -> String {
    if let Some((done, all)) = one.progress.verify {
        return format!(
            "A verify runs: {} of {} rows.",
            format::count(done),
            format::count(all)
        );
    }
    match &one.last_verify {
        None => "Not proven yet that both sides have the same rows.".to_owned(),
        Some(last) => format!(
            "Proven {}: {} rows compared, {} differ.",
            format::ago(now_ms, last.at_ms),
            format::count(last.rows),
            format::count(last.differences)
        ),
    }
}

fn handover(last: &HandoverStatus) -> Handover {
    let held = match last.pause() {
        Some(Pause::Measured(_)) => format!(
            "{} requests waited, {} at the median and {} at most.",
            format::count(last.hold.held_requests),
            format::milliseconds(last.hold.hold_ms_p50),
            format::milliseconds(last.hold.hold_ms_max)
        ),
        Some(pause @ Pause::AtMost(_)) => format!(
            "The process ended while writes were held: they paused for {pause}. The times are \
             those after the restart."
        ),
        Some(Pause::Never) => "No request was held.".to_owned(),
        None => String::new(),
    };
    Handover {
        title: format!(
            "Last hand-over: {}{} at epoch {}, {}, {} in all",
            if last.rehearsal {
                "rehearsal of a "
            } else {
                ""
            },
            last.kind,
            last.epoch,
            last.outcome.replace('-', " "),
            format::milliseconds(last.total_ms)
        ),
        reason: last.reason.clone(),
        before: before(last),
        bars: waterfall(last),
        held,
    }
}

fn writer(writer: &SeenWriter) -> WriterLine {
    let name = match (writer.application.as_str(), writer.role.as_str()) {
        ("", role) => format!("role {role}"),
        (application, role) => format!("{application}, role {role}"),
    };
    let mut what = format!("{}; last {}", writer.tables.join(", "), writer.last_seen);
    if !writer.together_with.is_empty() {
        what += "; in one transaction with ";
        what += &writer.together_with.join(", ");
    }
    WriterLine {
        name,
        what,
        is_declared: writer.declared,
        note: if writer.declared {
            "declared"
        } else {
            "blocks the switch"
        },
    }
}
