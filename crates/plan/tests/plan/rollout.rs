//! What `rollout:` is read as, and how a wrong one is refused.

use plan::{ExtractionName, OnFail, Plan, TokenTransport};

fn plan(rollout: &str) -> Result<Plan, plan::PlanError> {
    two(rollout, "{ key: address }")
}

fn two(one: &str, other: &str) -> Result<Plan, plan::PlanError> {
    let extraction = |path: &str, table: &str, rollout: &str| {
        format!(
            "{{ service: a, routes: [{{ path: /{path}/* }}], rollout: {rollout},
                data: {{ mode: replicate, schema: s, tables: {{ public.{table}: {{}} }} }} }}"
        )
    };
    let text = format!(
        r#"
monolith: {{ url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }}
services:
  a: {{ url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/a" }}
gateway: {{ listen: "127.0.0.1:0" }}
extractions:
  one: {}
  two: {}
"#,
        extraction("one", "t", one),
        extraction("two", "u", other)
    );
    Plan::parse(&text, |name| {
        (name == "TOKEN_SECRET").then(|| "0123456789abcdef".to_owned())
    })
}

const COOKIE: &str =
    r#"{ key: { header: x-user }, read-your-writes: { cookie: seen, secret: "${TOKEN_SECRET}" } }"#;

#[test]
fn tokens_are_in_a_cookie_or_in_a_header() {
    let of = |rollout: &str| {
        let plan = plan(rollout).unwrap();
        let one = &plan.extractions[&ExtractionName::new("one").unwrap()];
        one.data.replicate().unwrap().read_your_writes.clone()
    };
    let cookie = of(COOKIE).unwrap();
    assert_eq!(cookie.transport, TokenTransport::Cookie("seen".to_owned()));
    assert_eq!(cookie.secret.expose(), b"0123456789abcdef");
    let header = of(&COOKIE.replace("cookie: seen", "header: X-Seen")).unwrap();
    assert_eq!(
        header.transport,
        TokenTransport::Header("x-seen".to_owned())
    );
    assert_eq!(of("{ key: address }"), None);
}

#[test]
fn tokens_that_could_not_work_are_refused() {
    let error = |rollout: &str| plan(rollout).unwrap_err().to_string();
    for (from, to, why) in [
        ("${TOKEN_SECRET}", "short", "shorter than 16 bytes"),
        ("cookie: seen, ", "", "exactly one of"),
        ("cookie: seen", "cookie: a, header: b", "exactly one of"),
        (
            "cookie: seen",
            "header: X-User",
            "what clients are known by",
        ),
        ("cookie: seen", "cookie: \"a b\"", "no name of a header"),
        ("cookie: seen", "cookie: seen, days: 3", "days"),
    ] {
        let error = error(&COOKIE.replace(from, to));
        assert!(error.contains(why), "{error}");
        assert!(!error.contains("0123456789abcdef"), "{error}");
    }
    let error = two(COOKIE, COOKIE).unwrap_err().to_string();
    assert!(error.contains("replace each other"), "{error}");
}

#[test]
fn a_claim_is_one_of_a_token_that_is_demanded() {
    let error = plan("{ key: { claim: sub } }").unwrap_err().to_string();
    assert!(
        error.contains("known by the claim `sub`") && error.contains("Add `jwt: {}`"),
        "{error}"
    );
    let plan = plan("{ key: { claim: sub } }, policies: { jwt: {} }").unwrap();
    let one = &plan.extractions[&ExtractionName::new("one").unwrap()];
    assert_eq!(one.cohort_key, plan::CohortKey::Claim("sub".to_owned()));
}

fn flagged(flags: &str, rollout: &str) -> Result<Plan, plan::PlanError> {
    let text = format!(
        r#"
monolith: {{ url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }}
services:
  a: {{ url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/a" }}
gateway: {{ listen: "127.0.0.1:0", flags: {flags} }}
extractions:
  one:
    service: a
    routes: [{{ path: /one/* }}]
    rollout: {rollout}
    data: {{ mode: replicate, schema: s, tables: {{ public.t: {{}} }} }}
"#
    );
    Plan::parse(&text, |_| None)
}

#[test]
fn flags_are_set_in_the_plan_and_in_redis() {
    let plan = flagged(
        r#"{ redis: "redis://:hush@127.0.0.1:6379/1", every: 5s,
             set: { new_contracts: { everybody: never, users: { "7": always } } } }"#,
        "{ key: address, flag: new_contracts }",
    )
    .unwrap();
    let one = &plan.extractions[&ExtractionName::new("one").unwrap()];
    assert_eq!(one.flag.as_deref(), Some("new_contracts"));
    let flags = &plan.gateway.flags;
    let store = flags.store.as_ref().unwrap();
    assert_eq!(store.every.as_secs(), 5);
    assert!(!format!("{store:?}").contains("hush"));
    let flag = &flags.set["new_contracts"];
    assert_eq!(flag.everybody, Some(plan::FlagChoice::Never));
    assert_eq!(flag.users["7"], plan::FlagChoice::Always);
    let without = flagged("{}", "{ key: address, flag: f }").unwrap();
    assert_eq!(without.gateway.flags, plan::Flags::default());
}

#[test]
fn wrong_flags_are_refused() {
    let rollout = "{ key: address, flag: f }";
    for (flags, rollout, why) in [
        (
            "{ set: { g: {} } }",
            rollout,
            "no extraction has the flag `g`",
        ),
        ("{}", "{ key: address, flag: \"a:b\" }", "no name of a flag"),
        ("{}", "{ key: address, flag: \"*\" }", "no name of a flag"),
        ("{ redis: \"http://:hush@a\" }", rollout, "write redis://"),
        (
            "{ set: { f: { users: { \"7\": maybe } } } }",
            rollout,
            "maybe",
        ),
    ] {
        let error = flagged(flags, rollout).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
}

const STEPS: &str = "steps: [{ reads: 5%, for: 24h }, { reads: 100%, approval: \"the lead\", gates: \
    { p95: { max: 1s } } }, switch, { watch: 14d }, retire]";

#[test]
fn steps_are_read_with_their_gates() {
    let gates = "gates: { error-rate: { max: 0.1%, versus-monolith: +50% }, p95: { max: 200ms }, \
                 p50: { max: 20ms, dry-run: true }, lag: { max: 5s, bytes: 1MiB }, \
                 verify: { max-age: 12h }, requests: 1000 }";
    let text = format!("{{ key: address, after: [two], {gates}, {STEPS} }}");
    let plan = plan(&text).unwrap();
    let one = &plan.extractions[&ExtractionName::new("one").unwrap()];
    let schedule = one.schedule.as_ref().unwrap();
    let words: Vec<_> = schedule.steps.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "reads 5% for 1d",
            "reads 100%",
            "switch",
            "watch for 14d",
            "retire"
        ]
    );
    let [first, second, ..] = &schedule.steps[..] else {
        panic!("{schedule:?}");
    };
    let latency = |step: &plan::Step| {
        let gates = step.gates.latency.iter();
        gates
            .map(|(of, limit)| (of.as_str(), limit.max.unwrap().as_millis(), limit.dry_run))
            .collect::<Vec<_>>()
    };
    assert_eq!(latency(first), [("p50", 20, true), ("p95", 200, false)]);
    assert_eq!(latency(second), [("p50", 20, true), ("p95", 1_000, false)]);
    assert_eq!(second.approval.as_deref(), Some("the lead"));
    let errors = first.gates.error_rate.unwrap();
    assert_eq!(errors.max.unwrap().basis_points(), 10);
    assert_eq!(errors.versus_monolith, Some(5_000));
    assert!(schedule.automatic.promote && schedule.automatic.withdraw);
    assert!(!schedule.automatic.rollback);
}

#[test]
fn steps_that_cannot_be_gone_through_are_refused() {
    let error = |steps: &str| {
        let text = format!("{{ key: address, {steps} }}");
        plan(&text).unwrap_err().to_string()
    };
    for (steps, why) in [
        ("steps: [swich]", "`swich` is no step"),
        ("steps: [{ for: 24h }]", "it is no step"),
        ("steps: [{ watch: 1d, for: 1d }]", "it is no step"),
        ("steps: [{ reads: 50% }, { reads: 5% }]", "a share falls"),
        ("steps: [switch, { reads: 5% }]", "after `switch`"),
        ("steps: [switch, switch]", "it has switched already"),
        ("steps: [{ watch: 1d }]", "does not have all writes"),
        (
            "steps: [switch, retire, { watch: 1d }]",
            "nothing comes after",
        ),
        ("steps: [{ reads: 5%, writes: 5% }]", "splits the writes"),
        (
            "steps: [switch], gates: { p95: {} }",
            "line 7, column 106, `extractions.one.rollout.gates.p95`: the gate has no limit",
        ),
        (
            "steps: [switch], gates: { lag: {} }",
            "the gate has no limit",
        ),
        ("steps: [{ reads: 5%, approval: \"\" }]", "is one line"),
        ("steps: [{ reads: 5%, approval: \"a\\nb\" }]", "is one line"),
        (
            "steps: [switch], gates: { p95: { max: 0ms } }",
            "is no time",
        ),
        ("steps: [switch], gates: { p75: { max: 1s } }", "`p75`"),
        (
            "steps: [switch], gates: { error-rate: { max: NaN } }",
            "is no share",
        ),
        ("steps: [switch], after: [three]", "no extraction"),
        ("steps: [switch], after: [one]", "waits for itself"),
    ] {
        let said = error(steps);
        assert!(said.contains(why), "{steps}: {said}");
    }
    let (one, other) = (
        "steps: [switch], after: [two]",
        "steps: [switch], after: [one]",
    );
    let said = two(
        &format!("{{ key: address, {one} }}"),
        &format!("{{ key: address, {other} }}"),
    );
    assert!(said.unwrap_err().to_string().contains("waits for itself"));
}

fn measured(gates: &str) -> Result<Vec<plan::MeasuredGate>, plan::PlanError> {
    let rollout = format!(
        "{{ key: address, gates: {gates},
            steps: [{{ reads: 5%, gates: {{ command: {{ b: {{ run: [other] }} }} }} }}, switch] }}"
    );
    let plan = plan(&rollout)?;
    let one = &plan.extractions[&ExtractionName::new("one").unwrap()];
    let steps = &one.schedule.as_ref().unwrap().steps;
    assert_eq!(steps[0].gates.measured.len(), steps[1].gates.measured.len());
    Ok(steps[0].gates.measured.clone())
}

#[test]
fn gates_that_others_measure_have_names_limits_and_defaults() {
    let all = measured(
        r#"{ prometheus: { a: { server: "https://p/x", query: up, min: 1,
                                headers: { Authorization: "Bearer ${TOKEN_SECRET}" } } },
             webhook: { a: { url: "http://w/gate", on-fail: undo, for: 45s, dry-run: true } },
             command: { b: { run: [./test, -x], every: 1h, timeout: 10m, unmeasured-max: 2h } } }"#,
    )
    .unwrap();
    let names: Vec<&str> = all.iter().map(|gate| gate.name.as_str()).collect();
    // The step's own takes the place of the one of its name.
    assert_eq!(names, ["prometheus a", "webhook a", "command b"]);
    let [prometheus, webhook, command] = &all[..] else {
        unreachable!("three");
    };
    let plan::GateSource::Prometheus(query) = &prometheus.source else {
        panic!("{prometheus:?}");
    };
    assert_eq!(query.headers[0].0, "authorization");
    assert_eq!(query.headers[0].1.expose(), b"Bearer 0123456789abcdef");
    assert!(!format!("{all:?}").contains("0123456789abcdef"));
    let plan::ValueLimit::AtLeast(least) = query.limit else {
        panic!("{query:?}");
    };
    assert!((least.value() - 1.0).abs() < f64::EPSILON);
    let seconds = |gate: &plan::MeasuredGate| {
        let all = [gate.every, gate.held_for, gate.timeout];
        all.map(|one| one.as_secs())
    };
    assert_eq!(seconds(prometheus), [15, 60, 10]);
    assert_eq!(seconds(webhook), [15, 45, 10]);
    assert_eq!(seconds(command), [15, 0, 10]);
    let on_fail: Vec<OnFail> = all.iter().map(|gate| gate.on_fail).collect();
    assert_eq!(on_fail, [OnFail::Undo, OnFail::Undo, OnFail::Wait]);
    assert!(webhook.dry_run && !command.dry_run);
    assert_eq!(
        command.source,
        plan::GateSource::Command(vec!["other".to_owned()])
    );
}

#[test]
fn gates_that_could_not_be_measured_are_refused() {
    for (gates, why) in [
        (
            "{ prometheus: { a: { server: 'http://p', query: up } } }",
            "only one of them",
        ),
        (
            "{ prometheus: { a: { server: 'http://p', query: up, max: 1, min: 0 } } }",
            "write two gates",
        ),
        (
            "{ prometheus: { a: { server: 'http://p', query: up, max: NaN } } }",
            "no number",
        ),
        (
            "{ prometheus: { a: { server: 'http://p', query: up, max: .inf } } }",
            "no number",
        ),
        (
            "{ prometheus: { a: { server: 'http://p', query: ' ', max: 1 } } }",
            "a query has",
        ),
        (
            "{ prometheus: { a: { server: p, query: up, max: 1 } } }",
            "no address",
        ),
        (
            "{ prometheus: { a: { server: 'http://u:0123456789abcdef@p', query: up, max: 1 } } }",
            "holds a name or a password",
        ),
        (
            "{ prometheus: { 'A b': { server: 'http://p', query: up, max: 1 } } }",
            "no name",
        ),
        ("{ webhook: { a: { url: 'ftp://w' } } }", "no address"),
        (
            "{ webhook: { a: { url: 'http://w', every: 1ms } } }",
            "1s at least",
        ),
        (
            "{ webhook: { a: { url: 'http://w', headers: { x: \"a\\nb\" } } } }",
            "visible",
        ),
        (
            "{ webhook: { a: { url: 'http://w', on-fail: retry } } }",
            "retry",
        ),
        ("{ throughput: { min: 0% } }", "nothing at all"),
        ("{ shadow: { max: 1%, compared: 0 } }", "of no reads"),
        ("{ shadow: { max: 1% } }", "no reads of it are copied"),
        ("{ command: { a: { run: [] } } }", "nothing to run"),
        ("{ command: { a: { run: ['${NONE}'] } } }", "NONE"),
    ] {
        let error = measured(gates).unwrap_err().to_string();
        assert!(error.contains(why), "{gates}: {error}");
        assert!(!error.contains("0123456789abcdef"), "{error}");
    }
}
