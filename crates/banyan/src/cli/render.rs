//! What is shown on the terminal: at most 80 columns, colour only there.

use super::{keyless, outlook, refusals, step_lines};
use crate::exit::Failure;
use comfy_table::{ContentArrangement, Table, presets::UTF8_HORIZONTAL_ONLY};
use conductor::{
    ports::{SeenWriter, SharedTable, StreamProgress},
    status::{ExtractionStatus, HandoverStatus, Pause, SideHealth, Status},
};
use protocol::Side;
use serde::Serialize;

pub(super) use crate::lines::{COLUMNS, cut, paragraph, wrapped};

/// One JSON document.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::not_done)?;
    say!("{text}");
    Ok(())
}

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(COLUMNS)
        .set_header(header.to_vec());
    table
}

/// What is not well: a line for each, or one that says that nothing is. Then what only waits.
pub(super) fn ills(status: &Status, now_ms: i64) {
    let of_all = status.ills();
    let mut is_well = of_all.is_empty();
    for ill in of_all {
        say!("{}", paragraph("", "  ", &ill));
    }
    for one in &status.extractions {
        for ill in one.ills(now_ms) {
            is_well = false;
            say!("{}", paragraph(&format!("{}: ", one.name), "  ", &ill));
        }
    }
    if is_well {
        let count = status.extractions.len();
        say!(
            "All is well with {count} extraction{}.",
            if count == 1 { "" } else { "s" }
        );
    }
    for one in &status.extractions {
        for notice in one.notices(now_ms) {
            let first = format!("notice: {}: ", one.name);
            say!("{}", paragraph(&first, "  ", &notice));
        }
    }
}

/// All extractions.
pub(super) fn status(status: &Status) {
    let mut rows = table(&["extraction", "phase", "owner", "epoch", "reads", "streams"]);
    for one in &status.extractions {
        rows.add_row([
            one.name.clone(),
            one.phase.clone(),
            one.owner.clone(),
            one.epoch.to_string(),
            shares(one),
            streams(one),
        ]);
    }
    say!("{rows}");
    of_all(status);
    for one in &status.extractions {
        for (first, text) in outlook::texts(one) {
            say!("{}", paragraph(&first, "  ", &text));
        }
        for (direction, stream) in [
            ("forward", &one.progress.forward),
            ("reverse", &one.progress.reverse),
        ] {
            if let Some(trouble) = stream.as_ref().and_then(|it| it.trouble.as_ref()) {
                let first = format!("{}: the {direction} stream: ", one.name);
                say!("{}", paragraph(&first, "  ", trouble));
            }
        }
        let reverse = one.progress.reverse.as_ref();
        if one.owner == Side::Service.as_str()
            && let Some(refused) = reverse.and_then(refused_meanwhile)
        {
            say!("{}", paragraph(&format!("{}: ", one.name), "  ", refused));
        }
        if ["finishing", "finished"].contains(&one.phase.as_str()) {
            let closed = "the way back is closed for good: it was finished";
            say!("{}", paragraph(&format!("{}: ", one.name), "  ", closed));
        }
        for line in one
            .rollout
            .iter()
            .flat_map(|rollout| step_lines::lines(&one.name, rollout))
        {
            say!("{}", paragraph("", "  ", &line));
        }
        sides(one);
        let is_split = one.reads_percent > 0.0 && one.owner == Side::Monolith.as_str();
        if let Some(text) = one
            .keys
            .as_ref()
            .filter(|_| is_split)
            .and_then(keyless::text)
        {
            say!("{}", paragraph(&format!("{}: ", one.name), "  ", &text));
        }
        for refused in &one.refusals {
            let text = refusals::text(refused, &one.owner);
            say!("{}", paragraph(&format!("{}: ", one.name), "  ", &text));
        }
        for look in &one.progress.looks {
            let last = look.last.as_ref().map(|last| format!("; last: {last}"));
            let text = format!(
                "looking at {} for {:.0} s{}",
                look.what,
                look.seconds,
                last.unwrap_or_default()
            );
            say!("{}", paragraph(&format!("{}: ", one.name), "  ", &text));
        }
        if let Some(trouble) = &one.trouble {
            say!("{}", paragraph(&format!("{}: ", one.name), "  ", trouble));
        }
        if !one.joining.is_empty() {
            let copy = &one.progress.copy;
            let joining = format!(
                "added, and being copied: {} ({} of {} rows)",
                one.joining.join(", "),
                copy.rows_copied,
                copy.rows_total
            );
            say!("{}", paragraph(&format!("{}: ", one.name), "  ", &joining));
        }
        seen(one);
        for table in &one.progress.shared_tables {
            let what = shared_table(table, one.owner == Side::Service.as_str());
            say!("{}", paragraph(&format!("{}: ", one.name), "  ", &what));
        }
        if let Some(verify) = &one.last_verify {
            let text = format!(
                "last verify: {} rows, {} differences",
                verify.rows, verify.differences
            );
            say!("{}", paragraph(&format!("{}: ", one.name), "  ", &text));
        }
        let handovers = [&one.last_handover, &one.handover_before_rehearsal];
        for last in handovers.into_iter().flatten() {
            say!("{}:", one.name);
            handover(last);
        }
    }
}

/// What is of no extraction alone.
fn of_all(status: &Status) {
    if let Some(why) = &status.halted {
        let text = format!("All automatic steps are halted: {why}. `banyan halt --off` ends that.");
        say!("{}", wrapped(&text));
    }
    for predecessor in &status.predecessors {
        let meanwhile = "Until then all reads go to the owner";
        say!("{}", wrapped(&format!("{predecessor}. {meanwhile}.")));
    }
}

/// What becomes of requests while the way back is not well: it goes on by itself, or
/// somebody has to mend it.
fn refused_meanwhile(reverse: &StreamProgress) -> Option<&'static str> {
    reverse.trouble.as_ref()?;
    Some(if reverse.state == "failed" {
        "until that is mended the way back is closed (`banyan rollback` is refused), and requests that \
         stay with the monolith get 503 where their client has \
         written here; after a restart of `banyan serve`, all do (`gateway.pin-expired` in the plan \
         and `banyan reload` change that)"
    } else {
        "nothing is to be done while that passes; until it has, requests that stay with the monolith \
         wait where their client has written here, for `gateway.pin-wait` at most, and then get 503"
    })
}

/// How both sides are.
fn sides(one: &ExtractionStatus) {
    let Some(health) = &one.health else { return };
    for (side, health) in [("monolith", &health.monolith), ("service", &health.service)] {
        let text = health_text(side, health);
        say!("{}", paragraph(&format!("{}: ", one.name), "  ", &text));
    }
}

/// How a side is, and why.
fn health_text(side: &str, health: &SideHealth) -> String {
    let state = match health.state.as_str() {
        "not-asked" if health.reason.is_some() => "not known to be healthy",
        "not-asked" => "not asked for its health (the plan has no `health` for it)",
        "unhealthy" => "not healthy",
        other => other,
    };
    let since = health.for_seconds.map(|seconds| {
        let seconds = std::time::Duration::from_secs_f64(seconds.max(0.0)).as_secs();
        match seconds {
            0..120 => format!(" (for {seconds} s)"),
            120..7200 => format!(" (for {} min)", seconds / 60),
            _ => format!(" (for {} h)", seconds / 3600),
        }
    });
    let reason = health.reason.as_ref().map(|reason| format!(": {reason}"));
    format!(
        "the {side} is {state}{}{}",
        since.unwrap_or_default(),
        reason.unwrap_or_default()
    )
}

/// How the streams stand, in a line each.
pub(super) fn stream_lines(one: &ExtractionStatus) -> Vec<String> {
    let streams = [
        ("forward", &one.progress.forward),
        ("reverse", &one.progress.reverse),
    ];
    let line = |(name, stream): (&str, &Option<StreamProgress>)| {
        let stream = stream.as_ref()?;
        let trouble = stream.trouble.as_ref().map(|text| format!(": {text}"));
        Some(format!(
            "the {name} stream is {}, {} bytes behind{}",
            stream.state,
            stream.lag_bytes,
            trouble.unwrap_or_default()
        ))
    };
    streams.into_iter().filter_map(line).collect()
}

/// What stands in the way of a switch or a rollback, in a line each.
fn seen(one: &ExtractionStatus) {
    let seen = &one.progress.seen;
    for rows in &seen.rows_past_fence {
        let text = format!(
            "{} changes of rows were written past the {}'s fence, the last at {}. Run `banyan \
             verify {}`",
            rows.rows, rows.side, rows.last_seen, one.name
        );
        say!("{}", paragraph(&format!("{}: ", one.name), "  ", &text));
    }
    for (side, until) in &seen.frozen_until {
        let text = format!(
            "the {side}'s tables keep their shape until {until}: migrations of them are refused \
             (`banyan freeze {} --off` ends it)",
            one.name
        );
        say!("{}", paragraph(&format!("{}: ", one.name), "  ", &text));
    }
    if let Some(text) = writers(&seen.writers, &one.name) {
        say!("{}", paragraph(&format!("{}: ", one.name), "  ", &text));
    }
}

/// So many writers are named.
const WRITERS_NAMED: usize = 5;

/// Who was seen to write the monolith's tables, those first that stand in the way.
fn writers(seen: &[SeenWriter], name: &str) -> Option<String> {
    if seen.is_empty() {
        return None;
    }
    let is_fine = |writer: &&SeenWriter| writer.declared && writer.together_with.is_empty();
    let mut all: Vec<_> = seen.iter().collect();
    all.sort_by_key(is_fine);
    let word = |writer: &&SeenWriter| {
        let app = match writer.application.as_str() {
            "" => "a session without a name",
            app => app,
        };
        let declared = if writer.declared {
            ""
        } else {
            " (not declared)"
        };
        let mixed = match writer.together_with.as_slice() {
            [] => String::new(),
            tables => format!(" (together with {})", tables.join(", ")),
        };
        format!("{app}{declared} wrote {}{mixed}", writer.tables.join(", "))
    };
    let named: Vec<_> = all.iter().take(WRITERS_NAMED).map(word).collect();
    let more = match all.len().saturating_sub(WRITERS_NAMED) {
        0 => String::new(),
        count => format!("; and {count} more"),
    };
    Some(format!(
        "seen to write in the monolith: {}{more}. `banyan writers {name}` says more",
        named.join("; ")
    ))
}

/// What becomes of the rows of a table that both sides write.
fn shared_table(table: &SharedTable, service_owns: bool) -> String {
    let name = &table.table;
    if table.writes == "append" {
        format!("both sides add rows to {name}; they flow both ways")
    } else if table.flows && !service_owns {
        format!("{name} is copied and followed; each side keeps its own from the switch on")
    } else {
        format!("each side keeps its own {name}; nothing of it flows")
    }
}

fn shares(one: &ExtractionStatus) -> String {
    match one.writes_percent {
        None if one.reads_withdrawn => {
            format!("{}% while a stream is not well", one.reads_percent)
        }
        None => format!("{}%", one.reads_percent),
        Some(writes) => format!("{}%\nwrites {writes}%", one.reads_percent),
    }
}

/// So much log a slot always keeps for a while; more is told.
const TOLD_RETAINED: u64 = 256 << 20;

fn streams(one: &ExtractionStatus) -> String {
    let word = |name: &str, stream: &Option<StreamProgress>| {
        stream.as_ref().map(|stream| {
            let state = match &stream.trouble {
                Some(_) => format!("{name} {}, see below", stream.state),
                None if stream.lag_seconds >= 0.05 => format!(
                    "{name} {}, {} B behind ({:.1} s)",
                    stream.state, stream.lag_bytes, stream.lag_seconds
                ),
                None => format!("{name} {}, {} B behind", stream.state, stream.lag_bytes),
            };
            let kept = stream
                .retained_bytes
                .filter(|bytes| *bytes >= TOLD_RETAINED);
            let kept = kept.map(|bytes| format!("\nits slot keeps {} MiB of log", bytes >> 20));
            state + &kept.unwrap_or_default()
        })
    };
    let both = [
        word("forward", &one.progress.forward),
        word("reverse", &one.progress.reverse),
    ];
    both.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// How long writes were paused.
fn pause_text(last: &HandoverStatus) -> String {
    let total = last.total_ms;
    match last.pause() {
        // Where its report was lost, nothing is told of its times at all.
        None | Some(Pause::Never) => format!("no write was paused; it took {total:.0} ms in all"),
        Some(pause @ Pause::Measured(_)) => {
            format!("writes paused for {pause}; it took {total:.0} ms in all")
        }
        Some(pause @ Pause::AtMost(_)) => {
            format!("writes paused for {pause}; it took {total:.0} ms from the restart on")
        }
    }
}

/// How a hand-over went.
pub(super) fn handover(last: &HandoverStatus) {
    let how = match last.outcome.as_str() {
        "committed" => "committed".to_owned(),
        "rehearsed" => "undone at its commit point, as planned".to_owned(),
        outcome => {
            let reason = last.reason.as_deref().unwrap_or("no reason given");
            format!("{outcome}: {reason}")
        }
    };
    let rehearsal = if last.rehearsal {
        "rehearsal of a "
    } else {
        ""
    };
    let what = format!("{rehearsal}{} at epoch {}: {how}", last.kind, last.epoch);
    say!("{}", paragraph("", "  ", &what));
    if last.steps.is_empty() {
        // Known from the journal's events only.
        return;
    }
    say!("  {}", pause_text(last));
    // While it is looked whether all is ready, writes go on.
    if let Some(Pause::Measured(_)) = last.pause() {
        say!(
            "  {} requests held, {:.0} ms at the median, {:.0} ms at most",
            last.hold.held_requests,
            last.hold.hold_ms_p50,
            last.hold.hold_ms_max
        );
    }
    let steps: Vec<_> = last
        .steps
        .iter()
        .map(|step| format!("{} {:.0}", step.name, step.ms))
        .collect();
    say!(
        "{}",
        paragraph("  steps in ms: ", "    ", &steps.join(", "))
    );
    for wait in &last.waited_for {
        let whom = format!("waited in {} for {}", wait.step, wait.whom);
        say!("{}", paragraph("  ", "    ", &whom));
    }
    if !last.split_tables.is_empty() {
        let what = format!(
            "each side keeps its own, nothing of it was or will be handed over: {}",
            last.split_tables.join(", ")
        );
        say!("{}", paragraph("  ", "    ", &what));
    }
}

/// One line of a verify's report: a key that differs; and what was not compared.
pub(super) fn differences(report: &serde_json::Value) {
    for table in report["left_out"].as_array().into_iter().flatten() {
        let text = |key: &str| table[key].as_str().unwrap_or_default();
        let left_out = format!(
            "{}.{} was not compared: each side keeps its own",
            text("schema"),
            text("table")
        );
        say!("{}", paragraph("  ", "    ", &left_out));
    }
    let Some(found) = report["differences"].as_array() else {
        return;
    };
    for one in found {
        say!("{}", paragraph("  ", "    ", &difference(one)));
    }
    let all = report["differences_total"].as_u64().unwrap_or_default();
    let shown = found.len() as u64;
    if all > shown {
        say!("  ... and {} more", all - shown);
    }
    for table in report["tables"].as_array().into_iter().flatten() {
        if let Some(text) = table_differences(table) {
            say!("{}", paragraph("  ", "    ", &text));
        }
    }
}

/// How the rows of a table differ, and in which columns.
fn table_differences(table: &serde_json::Value) -> Option<String> {
    let all = table["differences"].as_u64().filter(|all| *all > 0)?;
    let counts = |key: &str| {
        let counts = table[key].as_object().into_iter().flatten();
        let mut counts: Vec<_> = counts
            .map(|(name, count)| (count.as_u64().unwrap_or_default(), name.clone()))
            .collect();
        counts.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        let named: Vec<_> = counts
            .iter()
            .map(|(count, name)| format!("{name} {count}"))
            .collect();
        named.join(", ")
    };
    let name = |key: &str| table["table"][key].as_str().unwrap_or_default();
    let mut text = format!(
        "{}.{}: {all} differ ({})",
        name("schema"),
        name("table"),
        counts("kinds")
    );
    let looked = table["rows_by_column"].as_u64().unwrap_or_default();
    if looked > 0 {
        let columns = counts("columns");
        text = format!("{text}; columns, in {looked} changed rows: {columns}");
    }
    Some(text)
}

fn difference(one: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let table = format!(
        "{}.{}",
        text(&one["table"]["schema"]),
        text(&one["table"]["table"])
    );
    let key: Vec<_> = one["key"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|pair| format!("{}={}", text(&pair[0]), text(&pair[1])))
        .collect();
    format!("{table} {}: {}", key.join(" "), text(&one["kind"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sides_health_says_since_when_and_why() {
        let health = |state: &str, reason: Option<&str>, for_seconds| SideHealth {
            state: state.to_owned(),
            reason: reason.map(str::to_owned),
            for_seconds,
        };
        for (health, text) in [
            (
                health("healthy", None, Some(90.4)),
                "the service is healthy (for 90 s)",
            ),
            (
                health(
                    "unhealthy",
                    Some("GET http://s:1/health answers 503"),
                    Some(600.0),
                ),
                "the service is not healthy (for 10 min): GET http://s:1/health answers 503",
            ),
            (
                health("not-asked", None, None),
                "the service is not asked for its health (the plan has no `health` for it)",
            ),
        ] {
            assert_eq!(health_text("service", &health), text);
        }
    }

    #[test]
    fn writers_are_named_with_their_tables() {
        let writer = |application: &str, declared, together_with: &[&str]| SeenWriter {
            application: application.to_owned(),
            declared,
            tables: vec!["public.orders".to_owned()],
            together_with: together_with.iter().map(|&one| one.to_owned()).collect(),
            ..SeenWriter::default()
        };
        assert_eq!(writers(&[], "orders"), None);
        let seen = [
            writer("web", true, &[]),
            writer("cron", false, &[]),
            writer("jobs", true, &["public.stock"]),
        ];
        assert_eq!(
            writers(&seen, "orders").unwrap(),
            "seen to write in the monolith: cron (not declared) wrote public.orders; jobs wrote \
             public.orders (together with public.stock); web wrote public.orders. `banyan writers \
             orders` says more"
        );
        let many = vec![writer("web", true, &[]); 7];
        assert!(writers(&many, "orders").unwrap().contains("; and 2 more."));
    }

    #[test]
    fn a_tables_differences_name_its_columns() {
        let table = serde_json::json!({
            "table": {"schema": "public", "table": "orders"}, "rows": 90, "differences": 12,
            "kinds": {"changed": 10, "missing": 2}, "rows_by_column": 10,
            "columns": {"price": 3, "updated_at": 10, "note": 3}
        });
        assert_eq!(
            table_differences(&table).unwrap(),
            "public.orders: 12 differ (changed 10, missing 2); columns, in 10 changed rows: \
             updated_at 10, note 3, price 3"
        );
        let equal = serde_json::json!({"table": {}, "differences": 0});
        assert_eq!(table_differences(&equal), None);
    }

    #[test]
    fn only_what_has_failed_is_to_be_mended() {
        let of = |state: &str, trouble: Option<&str>| {
            refused_meanwhile(&StreamProgress {
                state: state.to_owned(),
                trouble: trouble.map(str::to_owned),
                ..StreamProgress::default()
            })
        };
        assert_eq!(of("applying", None), None);
        for passing in ["connecting", "retrying"] {
            let said = of(passing, Some("it")).unwrap();
            assert!(said.starts_with("nothing is to be done"), "{said}");
        }
        let said = of("failed", Some("it")).unwrap();
        assert!(
            said.starts_with("until that is mended the way back is closed"),
            "{said}"
        );
    }
}
