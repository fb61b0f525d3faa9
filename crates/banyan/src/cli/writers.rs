//! `banyan writers`: who was seen to write the tables that move. Asks the
//! monolith's database, so it needs no `serve`.

use super::{moved::mover_of, render};
use crate::exit::Failure;
use mover::{objects::notes::Writer, readiness::seen::Observations};
use plan::{Plan, WriterPattern};

pub(super) async fn run(
    plan: &Plan,
    extraction: &str,
    forget: Option<&str>,
    json: bool,
) -> Result<(), Failure> {
    let mover = mover_of(plan, extraction)?;
    if let Some(application) = forget {
        let forgotten = mover.forget_writer(application).await;
        let forgotten = forgotten.map_err(Failure::not_done)?;
        if json {
            return render::json(&serde_json::json!({ "forgotten": forgotten }));
        }
        say!("{forgotten} forgotten; one that writes again is seen again.");
        return Ok(());
    }
    let seen = mover.seen().await.map_err(Failure::refused)?;
    if json {
        return render::json(&seen);
    }
    show(&seen, &mover.extraction().data.writers);
    Ok(())
}

fn show(seen: &Observations, declared: &[WriterPattern]) {
    let mut rows = render::table(&["writer", "declared", "writes", "together with", "last seen"]);
    for writer in &seen.writers {
        let is_declared = if WriterPattern::any(declared, &writer.application) {
            "yes"
        } else {
            "no"
        };
        let lines = |tables: &std::collections::BTreeSet<String>| {
            tables.iter().cloned().collect::<Vec<_>>().join("\n")
        };
        rows.add_row([
            who(writer),
            is_declared.to_owned(),
            lines(&writer.tables),
            lines(&writer.together_with),
            writer.last_seen.clone(),
        ]);
    }
    say!("{rows}");
    let since = seen.looking.since.as_deref().unwrap_or("now");
    let text = format!(
        "Looked for during {:.0} s since {since}; short transactions may be missed.",
        seen.looking.seconds
    );
    say!("{}", render::wrapped(&text));
}

fn who(writer: &Writer) -> String {
    let name = match writer.application.as_str() {
        "" => "(no application_name)",
        name => name,
    };
    match writer.address.as_str() {
        "" => format!("{name}\nrole {}", writer.role),
        address => format!("{name}\nrole {}\n{address}", writer.role),
    }
}
