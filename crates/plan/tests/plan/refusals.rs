//! What is said of wrong plans, word for word: where, what stands there, what is wanted.

use plan::Plan;
use std::fmt::Write;

const GOOD: &str = r#"monolith: { url: "http://127.0.0.1:1", database: "postgres://u:hush@127.0.0.1:2/m" }
services:
  a: { url: "http://127.0.0.1:3", database: "postgres://u:hush@127.0.0.1:4/a" }
gateway:
  listen: "127.0.0.1:5"
control:
  keys:
    ada: { role: approver, key: 0123456789abcdef }
checklists:
  lists:
    go: [ticket]
extractions:
  orders:
    service: a
    routes:
      - { path: /orders/*, methods: [GET, POST] }
    data: { mode: replicate, schema: s, tables: { public.orders: {} } }
    switch: { hold: 2s }
    retire: { quiet: 14d }
    rollout:
      key: { header: x-user }
      automatic: { promote: on }
      gates: { error-rate: { max: 1% } }
      steps:
        - { reads: 5%, for: 1d, checklist: [go] }
        - { reads: 50%, approval: lead }
        - switch
        - { watch: 7d }
        - retire
  items:
    service: a
    routes: [{ path: /items/* }]
    data: { mode: replicate, schema: s, tables: { public.items: {} } }
    rollout: { key: address, steps: [{ reads: 5% }, switch], after: [orders] }
"#;

/// What is written in place of what.
const WRONG: &[(&str, &str)] = &[
    // Of another kind than is wanted.
    (
        "routes:\n      - { path: /orders/*, methods: [GET, POST] }",
        "routes: /orders/*",
    ),
    ("{ header: x-user }", "[x-user]"),
    ("methods: [GET, POST]", "methods: GET"),
    ("{ hold: 2s }", "2s"),
    ("{ max: 1% } }", "1% }"),
    ("steps:\n        - {", "steps:\n        - [x]\n        - {"),
    (
        "        - switch\n        - { watch",
        "        - switch: now\n        - { watch",
    ),
    ("promote: on", "promote: maybe"),
    ("promote: on", "promote: [on]"),
    ("hold: 2s", "held-requests: many"),
    ("hold: 2s", "held-requests: -1"),
    ("hold: 2s", "hold: [2s]"),
    ("role: approver", "role: boss"),
    (
        "ada: { role: approver, key: 0123456789abcdef }",
        "ada: hush",
    ),
    ("key: 0123456789abcdef", "key: [hush]"),
    ("[ticket]", "ticket"),
    ("services:\n  a:", "services:\n  - a:"),
    ("mode: replicate", "mode: magic"),
    ("public.orders: {}", "public.orders: [x]"),
    ("for: 1d", "for: 1d, gates: { requests: 1.5 }"),
    // Keys that are not there, or are there twice.
    ("      automatic: {", "      automatik: {"),
    ("max: 1%", "maximum: 1%"),
    ("{ reads: 50%, approval", "{ raeds: 50%, approval"),
    ("role: approver, ", ""),
    ("    service: a\n    routes:\n", "    routes:\n"),
    ("gateway:\n  listen: \"127.0.0.1:5\"\n", ""),
    ("listen: \"127.0.0.1:5\"", "port: 5"),
    ("{ header: x-user }", "{}"),
    ("- { path: /orders/*, methods: [GET, POST] }", "- {}"),
    (
        "a: { url: \"http://127.0.0.1:3\", database: \"postgres://u:hush@127.0.0.1:4/a\" }",
        "a: {}",
    ),
    ("    switch: {", "    service: b\n    switch: {"),
    // No YAML at all.
    ("{ hold: 2s }", "{ hold: 2s"),
    ("path: /orders/*", "path: /orders/{id}"),
    ("        - switch", "       - switch"),
    ("header: x-user", "header: *user"),
    // Values.
    ("reads: 5%, for", "reads: 5, for"),
    ("for: 1d", "for: soon"),
    ("max: 1%", "max: 1s"),
    ("watch: 7d", "watch: 7 days"),
    ("service: a\n    routes:\n", "service: b\n    routes:\n"),
    ("key: 0123456789abcdef", "key: \"${NOT_SET}\""),
    ("max: 1%", ""),
    // What only the whole plan shows.
    ("a: { url: \"http://127.0.0.1:3\",", "a: {"),
    ("checklist: [go]", "checklist: [went]"),
    ("after: [orders]", "after: [order]"),
    ("after: [orders]", "after: [orders, items]"),
    ("reads: 50%, approval: lead", "reads: 50%, writes: 5%"),
    (
        "error-rate: { max: 1% }",
        "error-rate: { max: 1% }, shadow: { max: 1% }",
    ),
    ("approval: lead", "gates: { shadow: { max: 1% } }"),
    ("public.items: {}", "public.orders: { to: others }"),
    ("header: x-user", "claim: sub"),
    (
        "listen: \"127.0.0.1:5\"",
        "listen: \"127.0.0.1:5\"\n  policies: { limits: [{ second: 5, store: redis }] }",
    ),
];

#[test]
fn wrong_plans_are_refused_word_for_word() {
    Plan::parse(GOOD, |_| None).unwrap();
    let mut all = String::new();
    for (from, to) in WRONG {
        assert!(GOOD.contains(from), "{from}");
        let error = Plan::parse(&GOOD.replacen(from, to, 1), |_| None);
        let Err(error) = error else {
            panic!("`{to}` is taken")
        };
        let error = error.to_string();
        assert!(!error.contains("hush"), "{error}");
        let _ = writeln!(all, "{to:?}\n    {error}\n");
    }
    insta::assert_snapshot!(all);
}
