//! Routes of operations that share one path.

use plan::{Dialect, Plan, Route};

const PLAN: &str = r#"
monolith: { url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }
services:
  a: { url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/a" }
gateway:
  listen: "127.0.0.1:0"
  routes:
    graph: { to: a, path: /graphql, operation: { graphql: [contract, "contracts*"] } }
    search: { to: monolith, path: /rpc, operation: { json: method, is: ["parties.find*"] }, as: reads }
extractions:
  contracts:
    service: a
    routes:
      - { path: /rpc, operation: { json: method, is: ["contracts.*"] } }
      - { path: /rpc, operation: { json: method, is: [contracts.get, contracts.list] }, as: reads }
      - { path: /rpc }
    data: { mode: replicate, schema: s, tables: { public.t: {} } }
"#;

fn refused(from: &str, to: &str) -> String {
    assert!(PLAN.contains(from), "{from}");
    let error = Plan::parse(&PLAN.replacen(from, to, 1), |_| None);
    error.expect_err("refused").to_string()
}

#[test]
fn routes_own_operations_and_rank_by_them() {
    let plan = Plan::parse(PLAN, |_| None).unwrap();
    let mut routes = plan.extractions.values().next().unwrap().routes.clone();
    routes.sort_by(Route::by_priority);
    let shown: Vec<String> = routes.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "/rpc method=contracts.get,contracts.list (reads)",
            "/rpc method=contracts.*",
            "/rpc"
        ]
    );
    let graph = plan.gateway.routes.iter().find(|one| one.name == "graph");
    let operations = graph.unwrap().route.operations.clone().unwrap();
    assert_eq!(operations.dialect, Dialect::GraphQl);
    assert!(operations.own("contracts") && !operations.own("contractor"));
}

#[test]
fn what_is_unclear_is_refused_with_its_place() {
    let own = "json: method, is: [\"contracts.*\"]";
    let once = refused(
        "is: [contracts.get, contracts.list] }, as: reads",
        "is: [contracts.get, contracts.list] }, as: reads-once",
    );
    assert!(once.contains("for a whole path"), "{once}");
    for unclear in [
        "",
        "json: method",
        "is: [a]",
        "json: method, graphql: [a]",
        "json: method, is: [a], graphql: [a]",
        "xml-rpc: [a], graphql: [a]",
        "json: method, xml-rpc: [a]",
        "xml-rpc: []",
    ] {
        let error = refused(own, unclear);
        assert!(
            error.starts_with("line 14, column") && error.contains("where the operation is named"),
            "{error}"
        );
    }
    let error = refused("contracts.list]", "\"a*b\"]");
    assert!(error.contains("`a*b` is no operation"), "{error}");
    let error = refused(
        "json: method, is: [contracts.get",
        "json: '', is: [contracts.get",
    );
    assert!(error.contains("no field"), "{error}");
    let error = refused("operation: { json: method", "operation: { field: method");
    assert!(error.contains("field"), "{error}");
}

#[test]
fn methods_of_xml_rpc_and_larger_bodies_are_read() {
    let text = PLAN.replace(
        "json: method, is: [\"contracts.*\"]",
        "xml-rpc: [\"contracts.*\"], bytes: 4MiB",
    );
    let text = text.replace(
        "json: method, is: [contracts.get, contracts.list]",
        "xml-rpc: [contracts.get]",
    );
    let text = text.replace(
        "json: method, is: [\"parties.find*\"]",
        "xml-rpc: [\"parties.find*\"]",
    );
    let plan = Plan::parse(&text, |_| None).unwrap();
    let routes = &plan.extractions.values().next().unwrap().routes;
    let operations = routes[0].operations.clone().unwrap();
    assert_eq!(operations.dialect, Dialect::XmlRpc);
    assert_eq!(operations.bytes.0, 4 << 20);
    assert_eq!(routes[1].operations.clone().unwrap().bytes.0, 1 << 20);
    assert_eq!(routes[0].to_string(), "/rpc xml-rpc=contracts.*");
    let refused = |from: &str, to: &str| {
        let error = Plan::parse(&text.replacen(from, to, 1), |_| None);
        error.expect_err("refused").to_string()
    };
    let error = refused("bytes: 4MiB", "bytes: 17MiB");
    assert!(error.contains("a path of its own"), "{error}");
    let error = refused(
        "    data: { mode",
        "    switch: { held-bytes: 2MiB }\n    data: { mode",
    );
    assert!(error.contains("Raise `switch.held-bytes`"), "{error}");
}

#[test]
fn one_path_has_one_place_for_operations() {
    let error = refused(
        "json: method, is: [contracts.get",
        "json: action, is: [contracts.get",
    );
    assert!(
        error.contains("look for the operation at different"),
        "{error}"
    );
    let error = refused("path: /graphql", "path: \"/{tenant}\"");
    assert!(error.contains("`/{tenant}`"), "{error}");
}
