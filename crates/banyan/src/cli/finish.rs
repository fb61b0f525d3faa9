//! `banyan finish`: keeps a switched extraction at the service for good, and
//! says what to write into the plan instead.

use super::{
    commands::{ask, done},
    render,
};
use crate::exit::Failure;
use conductor::{api::Parameters, status::ExtractionStatus};
use plan::{
    Extraction, ExtractionName, HeaderMatch, KindRule, MethodKind, Plan, Route, TableWrites,
};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;

/// What it prints with `--json`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Report {
    /// How it stands now.
    pub(super) status: ExtractionStatus,
    /// What takes its place below the plan's `gateway.routes`, as YAML.
    pub(super) routes: String,
}

/// What is asked before.
pub(super) fn question(extraction: &str) -> String {
    format!(
        "Keep `{extraction}` at the service for good? All reads go there then, whatever their share is \
         now. The stream back to the monolith, its fence \
         and all of Banyan's objects go. From then on nothing that the service writes reaches the \
         monolith: what that still reads of these tables stays as it is now. Its own writes to \
         them succeed again, and the service never sees them: look in the monolith's log for who \
         is still refused. A rollback would need a move in the other direction: the monolith's \
         tables emptied, and an extraction that copies them from the service."
    )
}

pub(super) async fn run(
    plan: &Plan,
    state: &Path,
    extraction: &str,
    parameters: &Parameters,
    json: bool,
) -> Result<(), Failure> {
    let asked = ask(state, extraction, "finish", parameters).await?;
    let reply = done(asked, json)?;
    let name = ExtractionName::new(extraction).map_err(Failure::Refused)?;
    let routes = plan.extractions.get(&name).map(routes).unwrap_or_default();
    if json {
        return render::json(&Report {
            status: reply.status,
            routes,
        });
    }
    let kept = format!(
        "`{extraction}` is the service's for good; nothing of Banyan's is left in either database. \
         The monolith's tables keep their rows as they are now, and take writes again, which \
         nobody at the service sees. Have the monolith refused them instead:"
    );
    say!("{}\n", render::wrapped(&kept));
    for table in plan.extractions.get(&name).map(moved).unwrap_or_default() {
        say!("  revoke insert, delete, truncate on {table} from ITS_ROLE;");
    }
    say!("\nAnd `update`, unless a table that stays refers to it and ITS_ROLE owns it: its");
    say!("foreign key is checked with that right.\n");
    let next = format!(
        "Next: `banyan retire {extraction}`. It proves that nobody uses the old side any more, and \
         writes what removes it; the extraction stays in the plan until then, and its requests go \
         to the service meanwhile.\n\
         After that, or now where nothing is to be proven: take `extractions.{extraction}` out of \
         the plan, write this instead, and run `banyan serve --take-over`."
    );
    say!("{}", render::wrapped(&next));
    say!("\ngateway:\n  routes:\n{routes}");
    Ok(())
}

/// The tables that the service alone has from now on.
fn moved(extraction: &Extraction) -> Vec<String> {
    let data = extraction.data.replicate();
    let tables = data.into_iter().flat_map(|data| &data.tables);
    tables
        .filter(|table| table.writes == TableWrites::Owner)
        .map(|table| mover::database::sql::table(&table.monolith))
        .collect()
}

/// The routes as those of the gateway, in YAML.
pub(super) fn routes(extraction: &Extraction) -> String {
    let mut lines = Vec::new();
    for (at, route) in extraction.routes.iter().enumerate() {
        let name = match extraction.routes.len() {
            1 => extraction.name.to_string(),
            _ => format!("{}-{}", extraction.name, at + 1),
        };
        if route.operations.is_some() {
            lines.push("    # With the `operation:` that the extraction's route has.".to_owned());
        }
        lines.push(format!("    {name}: {{ {} }}", keys(extraction, route)));
    }
    if extraction.policies != plan::Policies::default() {
        lines.push("    # With the extraction's `policies:` on each.".to_owned());
    }
    lines.join("\n")
}

/// A JSON text is one of YAML, too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn keys(extraction: &Extraction, route: &Route) -> String {
    let mut keys = vec![
        format!("to: {}", extraction.service),
        format!("path: {}", quoted(&route.path.to_string())),
    ];
    if let Some(methods) = &route.methods {
        keys.push(format!("methods: [{}]", methods.join(", ")));
    }
    if let Some(host) = &route.host {
        keys.push(format!("host: {}", quoted(&host.to_string())));
    }
    if !route.headers.is_empty() {
        let header = |one: &HeaderMatch| {
            let value = one.value.as_deref().unwrap_or("*");
            format!("{}: {}", quoted(&one.name), quoted(value))
        };
        let headers: Vec<_> = route.headers.iter().map(header).collect();
        keys.push(format!("headers: {{ {} }}", headers.join(", ")));
    }
    match route.kind {
        KindRule::ByMethod => {}
        KindRule::Always(MethodKind::Read) => keys.push("as: reads".to_owned()),
        KindRule::Always(MethodKind::Write) => keys.push("as: writes".to_owned()),
        KindRule::ReadsOnce => keys.push("as: reads-once".to_owned()),
    }
    keys.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"
monolith: { url: "http://127.0.0.1:1", database: "postgres://u@127.0.0.1:1/m" }
services: { contracts: { url: "http://127.0.0.1:2", database: "postgres://u@127.0.0.1:1/s" } }
gateway:
  listen: "127.0.0.1:3"
extractions:
  contracts:
    service: contracts
    routes:
      - { path: "/contracts/{id}", methods: [GET, POST], host: "*.example.org" }
      - { path: /rpc/*, headers: { x-kind: "a \"b\"", x-any: "*" }, as: reads-once }
    data: { mode: replicate, schema: s, tables: { public.c: { to: c } } }
    rollout: { key: { header: x-user-id } }
"#;

    #[test]
    fn what_is_printed_is_a_plan_with_the_same_routes() {
        let plan = Plan::parse(PLAN, |_| None).unwrap();
        let extraction = plan.extractions.values().next().unwrap();
        let (head, _) = PLAN.split_once("extractions:").unwrap();
        let text = format!(
            "{head}  routes:\n{}\nextractions: {{}}\n",
            routes(extraction)
        );
        let after = Plan::parse(&text, |_| None).expect(&text);
        let routes: Vec<_> = after.gateway.routes.iter().map(|one| &one.route).collect();
        assert_eq!(routes, extraction.routes.iter().collect::<Vec<_>>());
    }
}
