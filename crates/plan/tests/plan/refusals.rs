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

/// What would wait for ever, or can never be so.
const ENDLESS: &[&[(&str, &str)]] = &[
    // For somebody who may not.
    &[("role: approver", "role: viewer")],
    &[("role: approver", "role: operator")],
    &[
        ("role: approver", "role: operator"),
        (", checklist: [go]", ""),
    ],
    &[
        ("role: approver", "role: operator"),
        ("promote: on", "promote: off"),
    ],
    &[
        ("role: approver", "role: operator"),
        (", checklist: [go]", ""),
        (", approval: lead", ""),
    ],
    // For what comes later.
    &[("[go]", "[ticket, decommissioning]")],
    &[("[go]", "[routes-unused]")],
    &[("- switch", "- { step: switch, checklist: [migrated] }")],
    &[(
        "        - switch\n        - { watch: 7d }\n        - retire\n",
        "",
    )],
    &[("after: [orders]", "after: [items]")],
    &[("automatic: {", "after: [items]\n      automatic: {")],
    // For requests that nobody sends.
    &[(
        "{ reads: 5%, for: 1d, checklist: [go] }",
        "{ reads: 0%, gates: { requests: 1000 } }",
    )],
    &[(
        "{ reads: 5%, for: 1d, checklist: [go] }",
        "{ reads: 0%, gates: { p95: { max: 1s } } }",
    )],
    &[(
        "{ reads: 5%, for: 1d, checklist: [go] }",
        "{ reads: 0%, gates: { throughput: { min: 50% } } }",
    )],
    &[("error-rate: { max: 1% }", "requests: 0")],
    // Times that cannot be.
    &[("quiet: 14d", "quiet: 1ms")],
    &[("quiet: 14d", "quiet: 0s")],
    &[("hold: 2s", "hold: 1ms")],
    &[("hold: 2s", "hold: 1d")],
    &[("hold: 2s", "held-requests: 0")],
    &[("watch: 7d", "watch: 4000d")],
    &[("watch: 7d", "watch: 99999999999999999999s")],
    &[("error-rate: { max: 1% }", "verify: { max-age: 1s }")],
    &[("[ticket]", "[{ item: ticket, max-age: 1s }]")],
    &[(
        "error-rate: { max: 1% }",
        "command: { test: { run: [\"true\"], every: 1ms } }",
    )],
    &[(
        "error-rate: { max: 1% }",
        "command: { test: { run: [\"true\"], timeout: 2h } }",
    )],
    &[(
        "error-rate: { max: 1% }",
        "command: { test: { run: [\"true\"], every: 1h, for: 1m } }",
    )],
    &[(
        "error-rate: { max: 1% }",
        "command: { test: { run: [\"true\"], unmeasured-max: 1ms } }",
    )],
    &[(
        "error-rate: { max: 1% }",
        "command: { test: { run: [\"true\"], every: 1h, unmeasured-max: 1m } }",
    )],
    &[(
        "error-rate: { max: 1% }",
        "prometheus: { p: { server: \"http://p\", query: up, max: 1, max-age: 1ms } }",
    )],
    // With an old side that is none.
    &[(
        "listen: \"127.0.0.1:5\"",
        "listen: \"127.0.0.1:5\"\n  routes: { old: { to: monolith, path: /old, retires-with: order } }",
    )],
    &[(
        "listen: \"127.0.0.1:5\"",
        "listen: \"127.0.0.1:5\"\n  routes: { old: { to: a, path: /old, retires-with: orders } }",
    )],
    &[(
        "listen: \"127.0.0.1:5\"",
        "listen: \"127.0.0.1:5\"\n  routes: { old: { to: monolith, path: /old, operation: { json: method, is: [x] }, retires-with: orders } }",
    )],
    &[
        (
            "listen: \"127.0.0.1:5\"",
            "listen: \"127.0.0.1:5\"\n  routes: { old: { to: monolith, path: /old, retires-with: items } }",
        ),
        (
            "data: { mode: replicate, schema: s, tables: { public.items: {} } }\n    rollout: { key: address, steps: [{ reads: 5% }, switch], after: [orders] }",
            "data: { mode: shared }",
        ),
    ],
];

#[test]
fn what_can_never_end_is_refused_word_for_word() {
    let mut all = String::new();
    for changes in ENDLESS {
        let mut text = GOOD.to_owned();
        let mut to = Vec::new();
        for (from, written) in *changes {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, written, 1);
            to.push(*written);
        }
        let Err(error) = Plan::parse(&text, |_| None) else {
            panic!("{to:?} is taken")
        };
        let _ = writeln!(all, "{to:?}\n    {error}\n");
    }
    insta::assert_snapshot!(all);
}

/// Where the service gets nothing, what all steps demand of its answers does not count.
#[test]
fn a_step_of_nothing_has_none_of_the_gates_on_answers() {
    let text = GOOD
        .replace(
            "error-rate: {",
            "requests: 1000, p95: { max: 1s }, lag: { max: 5s }, error-rate: {",
        )
        .replace("{ reads: 5%, for: 1d", "{ reads: 0%, for: 1d")
        .replace(", checklist: [go]", "");
    let plan = Plan::parse(&text, |_| None).unwrap();
    let orders = plan
        .extractions
        .values()
        .find(|one| one.name.as_str() == "orders");
    let steps = &orders.unwrap().schedule.as_ref().unwrap().steps;
    assert_eq!(steps[0].gates.names(), ["lag"]);
    assert_eq!(
        steps[1].gates.names(),
        ["error-rate", "p95", "requests", "lag"]
    );
}

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
