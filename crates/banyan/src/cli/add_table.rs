//! `banyan add-table`: lets the tables join an extraction that the plan has more
//! than it was begun with. Needs no `serve`; the next one copies them.

use super::{findings, moved::mover_of, render};
use crate::exit::Failure;
use plan::Plan;
use protocol::finding::{Finding, Severity};
use schemars::JsonSchema;
use serde::Serialize;

/// What it prints with `--json`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Report {
    /// The tables that may join.
    pub(super) joining: Vec<String>,
    /// What is in the way of that.
    pub(super) findings: Vec<Finding>,
    /// With `--undo`: the tables that may not join any more.
    pub(super) taken_back: Vec<String>,
}

pub(super) async fn run(
    plan: &Plan,
    extraction: &str,
    undo: bool,
    json: bool,
) -> Result<(), Failure> {
    let mover = mover_of(plan, extraction)?;
    let name = &mover.extraction().name;
    if undo {
        let taken = mover.let_no_tables_join().await.map_err(Failure::refused)?;
        if json {
            return render::json(&Report {
                taken_back: taken,
                ..Report::default()
            });
        }
        match taken.as_slice() {
            [] => say!("No table may join `{name}` that is not being copied already."),
            tables => {
                let text = format!("{} may not join `{name}` any more.", tables.join(", "));
                say!("{}", render::wrapped(&text));
            }
        }
        return Ok(());
    }
    let mut found = mover.check().await.map_err(Failure::refused)?;
    found.retain(|finding: &Finding| finding.severity == Severity::Refuse);
    if !found.is_empty() {
        if json {
            render::json(&Report {
                findings: found,
                ..Report::default()
            })?;
        } else {
            findings::print(&found);
        }
        return Err(Failure::Reported(2));
    }
    let tables = mover.let_tables_join().await.map_err(Failure::refused)?;
    let tables: Vec<String> = tables.iter().map(ToString::to_string).collect();
    if json {
        return render::json(&Report {
            joining: tables,
            ..Report::default()
        });
    }
    if tables.is_empty() {
        say!("The plan has no table that `{name}` was not begun with: nothing to add.");
        return Ok(());
    }
    let text = format!(
        "{} may join `{name}`. Nothing is copied yet:",
        tables.join(", ")
    );
    say!("{}", render::wrapped(&text));
    say!("  banyan serve --take-over    goes by the plan as it is now, and copies");
    say!("  banyan status               shows how far that has come");
    say!("  banyan verify {name}");
    Ok(())
}
