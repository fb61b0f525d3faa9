//! The report in Markdown (GitHub's tables).

use crate::{
    chapter::{Chapter, Lag},
    clock,
    figures::Figures,
    report::Report,
};
use std::fmt::{self, Write};

/// Moments that are told of an extraction; the JSON has all.
const MOMENTS_MAX: usize = 500;

/// The whole page.
pub fn page(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_page(&mut text, report);
    text
}

fn write_page(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "# Migration report\n")?;
    write!(out, "Made {}", clock::minute(report.made_at_ms))?;
    if let Some(seq) = report.last_seq {
        write!(out, ", from the journal up to row {seq}")?;
        if let Some(hash) = &report.last_hash {
            write!(out, " (`{}`)", cell(hash))?;
        }
    }
    writeln!(out, ".\n")?;
    writeln!(out, "| | |\n|---|---|")?;
    for (name, value) in figures(&report.figures) {
        writeln!(out, "| {name} | {value} |")?;
    }
    for chapter in &report.extractions {
        write_chapter(out, chapter)?;
    }
    if !report.of_all.is_empty() {
        writeln!(out, "\n## All extractions\n")?;
        for moment in &report.of_all {
            writeln!(
                out,
                "- {}: {}",
                clock::second(moment.at_ms),
                cell(&moment.text)
            )?;
        }
    }
    Ok(())
}

/// The four figures, with their names for people.
pub(crate) fn figures(figures: &Figures) -> [(&'static str, String); 4] {
    let percent = |value: Option<f64>, decimals: usize, sign: bool| match value {
        Some(value) if sign => format!("{value:+.decimals$}%"),
        Some(value) => format!("{value:.decimals$}%"),
        None => "not known".to_owned(),
    };
    [
        (
            "Services migrated",
            format!(
                "{} of {}",
                figures.services_migrated, figures.total_services
            ),
        ),
        ("Data sync", percent(figures.data_sync_progress, 0, false)),
        (
            "Errors of the services, last minute",
            percent(figures.error_rate, 2, false),
        ),
        (
            "p95 of the services against the monolith, worst",
            percent(figures.performance_impact, 0, true),
        ),
    ]
}

fn write_chapter(out: &mut String, chapter: &Chapter) -> fmt::Result {
    writeln!(out, "\n## {}\n", cell(&chapter.name))?;
    writeln!(
        out,
        "{}. {} of the clients read from the service.",
        owner_sentence(chapter),
        share(chapter.reads_percent)
    )?;
    if let Some(trouble) = &chapter.trouble {
        writeln!(out, "\n**{}**", cell(trouble))?;
    }
    for (name, lag) in [
        ("To the service, now", &chapter.lag.forward),
        ("To the monolith, now", &chapter.lag.reverse),
    ] {
        if let Some(lag) = lag {
            writeln!(out, "\n{name}: {}.", lag_text(lag))?;
        }
    }
    table(
        out,
        "Split over time",
        &["since", "reads at the service", "writes"],
        chapter.shares.iter().map(|one| {
            vec![
                clock::second(one.at_ms),
                share(one.reads_percent),
                share(one.writes_percent),
            ]
        }),
    )?;
    table(
        out,
        "Hand-overs",
        &["began", "what", "outcome", "writes paused", "why"],
        chapter.handovers.iter().map(|one| {
            vec![
                clock::second(one.began_ms),
                one.kind.clone(),
                one.outcome
                    .clone()
                    .unwrap_or_else(|| "under way".to_owned()),
                one.paused.clone(),
                one.reason.clone().unwrap_or_default(),
            ]
        }),
    )?;
    table(
        out,
        "Comparisons of both sides",
        &["at", "found"],
        chapter.verifies.iter().map(|one| {
            let found = if one.agreed {
                "no difference"
            } else {
                "differences"
            };
            vec![clock::second(one.at_ms), found.to_owned()]
        }),
    )?;
    write_steps(out, chapter)?;
    write_moments(out, chapter)
}

/// The steps of the plan, who approved some, and the gates.
fn write_steps(out: &mut String, chapter: &Chapter) -> fmt::Result {
    table(
        out,
        "Steps",
        &["step", "", "reached", "passed", "gates"],
        chapter.steps.iter().map(|one| {
            vec![
                one.step.to_string(),
                one.text.clone(),
                clock::second(one.entered_ms),
                one.passed_ms.map(clock::second).unwrap_or_default(),
                one.gates(),
            ]
        }),
    )?;
    table(
        out,
        "Approvals",
        &["at", "step", "by", "note"],
        chapter.approvals.iter().map(|one| {
            vec![
                clock::second(one.at_ms),
                one.step.to_string(),
                one.by.clone(),
                one.note.clone(),
            ]
        }),
    )?;
    table(
        out,
        "Gates now",
        &["gate", "verdict", ""],
        chapter
            .gates
            .iter()
            .map(|one| vec![one.name.clone(), one.verdict.clone(), one.text.clone()]),
    )
}

fn write_moments(out: &mut String, chapter: &Chapter) -> fmt::Result {
    let skipped = chapter.moments.len().saturating_sub(MOMENTS_MAX);
    let title = if skipped == 0 {
        "What happened".to_owned()
    } else {
        format!("What happened ({skipped} earlier are left out)")
    };
    table(
        out,
        &title,
        &["at", "what", "by"],
        chapter.moments.iter().skip(skipped).map(|one| {
            vec![
                clock::second(one.at_ms),
                one.text.clone(),
                one.by.clone().unwrap_or_default(),
            ]
        }),
    )
}

/// Who owns, in a sentence without its end.
pub(crate) fn owner_sentence(chapter: &Chapter) -> String {
    let phase = chapter.phase.replace('-', " ");
    match chapter.owner.as_str() {
        "monolith" => format!("The monolith owns it ({phase})"),
        "service" => format!("The service owns it ({phase})"),
        "both" => "Both sides share its data".to_owned(),
        "nobody" => format!("Nobody may write at this moment ({phase})"),
        _ => format!("Who owns it is not known now ({phase})"),
    }
}

pub(crate) fn lag_text(lag: &Lag) -> String {
    format!(
        "{}, {:.1} s and {} bytes behind",
        lag.state, lag.seconds, lag.bytes
    )
}

pub(crate) fn share(percent: f64) -> String {
    // Shares are hundredths of a percent.
    let text = format!("{percent:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}%")
}

/// A table with a heading; nothing where it has no rows.
fn table(
    out: &mut String,
    title: &str,
    heads: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> fmt::Result {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "\n### {title}\n")?;
    writeln!(out, "| {} |", heads.join(" | "))?;
    writeln!(out, "|{}", "---|".repeat(heads.len()))?;
    for row in rows {
        let cells: Vec<_> = row.iter().map(|text| cell(text)).collect();
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    Ok(())
}

/// Text of others, so that it can neither end its cell nor be markup.
fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '!' => {
                safe.push('\\');
                safe.push(character);
            }
            _ if character.is_control() => safe.push(' '),
            _ => safe.push(character),
        }
    }
    safe
}
