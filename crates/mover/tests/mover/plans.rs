//! Movers of plans that the tests write.

use anyhow::{Context, Result};
use mover::Mover;
use plan::Plan;
use protocol::ConductorId;
use std::fmt::Write as _;
use uuid::Uuid;

/// A mover of a plan with these databases and these lines of `tables:` and
/// `references:` (YAML; a reference is a line that ends in `: restrict`), into the
/// schema `svc`. The extraction is called like a database: origins are named per cluster.
pub fn mover(database: &str, monolith: &str, service: &str, tables: &[&str]) -> Result<Mover> {
    mover_into("svc", database, (monolith, service), tables)
}

/// The same into another schema.
pub fn mover_into(
    schema: &str,
    database: &str,
    (monolith, service): (&str, &str),
    tables: &[&str],
) -> Result<Mover> {
    let extraction = database.replace('_', "-");
    let mut text = format!(
        "monolith: {{ url: \"http://127.0.0.1:1\", database: \"{monolith}\" }}
services:
  target: {{ url: \"http://127.0.0.1:2\", database: \"{service}\" }}
gateway: {{ listen: \"127.0.0.1:3\" }}
extractions:
  {extraction}:
    service: target
    routes: [{{ path: /x/* }}]
    data:
      mode: replicate
      schema: {schema}
"
    );
    let (references, tables): (Vec<&str>, Vec<&str>) =
        tables.iter().partition(|line| line.ends_with(": restrict"));
    for (heading, lines) in [("tables", tables), ("references", references)] {
        if !lines.is_empty() {
            writeln!(text, "      {heading}:")?;
        }
        for line in lines {
            writeln!(text, "        {line}")?;
        }
    }
    let plan = Plan::parse(&text, |_| None).with_context(|| text.clone())?;
    let (extraction, data) = plan.replicated().next().context("no extraction")?;
    Ok(Mover::new(&extraction.name, data))
}

/// A conductor that was not there before.
pub fn conductor() -> ConductorId {
    ConductorId(Uuid::new_v4())
}
