//! What goes with which data mode.

use plan::{Data, ExtractionName, Plan, TableWrites, WriterPattern, json_schema};

/// No database anywhere: nothing moves.
const SHARED: &str = r#"monolith: { url: "http://127.0.0.1:8000" }
services:
  auth: { url: "http://127.0.0.1:8001" }
gateway: { listen: "127.0.0.1:8080" }
extractions:
  auth:
    service: auth
    routes: [{ path: /api/auth/* }]
    data: { mode: shared }
    rollout: { key: { header: x-user-id } }
"#;

fn error(text: &str) -> String {
    Plan::parse(text, |_| None).unwrap_err().to_string()
}

#[test]
fn shared_data_need_no_database() {
    let plan = Plan::parse(SHARED, |_| None).unwrap();
    let auth = &plan.extractions[&ExtractionName::new("auth").unwrap()];
    assert_eq!(auth.data, Data::Shared);
    assert_eq!(plan.replicated().count(), 0);
}

/// `finish` is refused there, and `retire` would wait for it for ever.
#[test]
fn shared_data_have_no_old_side_to_retire() {
    let of = |steps: &str| {
        let key = "key: { header: x-user-id }";
        let text = SHARED.replace(key, &format!("{key}, steps: [{steps}]"));
        Plan::parse(&text, |_| None)
    };
    of("{ reads: 100%, writes: 100% }, { watch: 1d }").unwrap();
    for before in ["{ reads: 100%, writes: 100% }", "switch"] {
        let error = of(&format!("{before}, retire")).unwrap_err().to_string();
        let wanted = "`extractions.auth.rollout.steps[1]`: a step of `auth` is `retire`";
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn a_table_that_is_written_twice_is_named() {
    let text = SHARED.replace(
        "data: { mode: shared }",
        "data: { mode: replicate, schema: s, tables: { public.a: {}, public.a: { to: b } } }",
    );
    let error = error(&text);
    assert!(error.contains("line 9"), "{error}");
    assert!(
        error.contains("`public.a` is written twice in one place"),
        "{error}"
    );
    assert!(!error.contains("Policy"), "{error}");
}

#[test]
fn what_only_moving_data_have_is_refused_for_shared_ones() {
    let data = "data: { mode: shared }";
    let key = "rollout: { key: { header: x-user-id } }";
    let cookie = "rollout: { key: { header: x-user-id }, read-your-writes: \
                  { cookie: seen, secret: 0123456789abcdef } }";
    for (from, to, wanted) in [
        (data, "data: { mode: shared, schema: s }", "`schema`"),
        (data, "data: { mode: shared, tables: {} }", "`tables`"),
        (
            data,
            "data: { mode: shared, tables: { a.b: {} } }",
            "`tables`",
        ),
        (data, "data: { mode: shared, writers: [cron] }", "`writers`"),
        (
            data,
            "data: { mode: shared, references: {} }",
            "`references`",
        ),
        (
            data,
            "data: { mode: shared }\n    switch: { hold: 1s }",
            "`switch`",
        ),
        (key, cookie, "`read-your-writes`"),
    ] {
        assert!(SHARED.contains(from), "{from}");
        let error = error(&SHARED.replace(from, to));
        assert!(
            error.contains(wanted) && error.contains("does not go with `mode: shared`"),
            "{error}"
        );
        assert!(error.contains("Leave it out"), "{error}");
        let line = if from == key { "line 10" } else { "line 9" };
        let line = if wanted == "`switch`" {
            "line 10"
        } else {
            line
        };
        assert!(error.contains(line), "{error}");
    }
}

#[test]
fn moving_data_need_all_of_it() {
    let database = r#", database: "postgres://u@127.0.0.1/m" }"#;
    let replicate = "data: { mode: replicate, schema: s, tables: { public.t: {} } }";
    let with = |data: &str| {
        SHARED
            .replace("data: { mode: shared }", data)
            .replace(" }\nservices", &format!("{database}\nservices"))
            .replace(" }\ngateway", &format!("{database}\ngateway"))
    };
    assert!(Plan::parse(&with(replicate), |_| None).is_ok());
    for (data, wanted) in [
        ("data: { mode: replicate, schema: s }", "needs `tables`"),
        (
            "data: { mode: replicate, tables: { public.t: {} } }",
            "needs `schema`",
        ),
        (
            "data: { mode: replicate, schema: s, tables: {} }",
            "moves no table",
        ),
        ("data: { mode: schema-copy }", "schema-copy"),
        ("data: { mode: dual-write }", "dual-write"),
    ] {
        let error = error(&with(data));
        assert!(error.contains(wanted), "{error}");
    }
    let without = SHARED.replace("data: { mode: shared }", replicate);
    let error = error(&without);
    assert!(error.contains("has no database"), "{error}");
}

/// A plan whose tables are these.
fn with_tables(tables: &str) -> String {
    let database = r#", database: "postgres://u@127.0.0.1/m" }"#;
    let data = format!("data:\n      mode: replicate\n      schema: s\n      tables:{tables}");
    SHARED
        .replace("data: { mode: shared }", &data)
        .replace(" }\nservices", &format!("{database}\nservices"))
        .replace(" }\ngateway", &format!("{database}\ngateway"))
}

#[test]
fn each_table_says_who_writes_it() {
    use TableWrites::{Append, Owner, Split};
    let tables = "
        public.a: {}
        public.b: { writes: owner }
        public.c: { to: log, writes: append }
        public.d: { writes: split }";
    let plan = Plan::parse(&with_tables(tables), |_| None).unwrap();
    let (_, data) = plan.replicated().next().unwrap();
    let writes: Vec<_> = data.tables.iter().map(|table| table.writes).collect();
    assert_eq!(writes, [Owner, Owner, Append, Split]);
    let schema = json_schema();
    let property = &schema["$defs"]["TableFile"]["properties"]["writes"];
    let words = format!("{property} {}", schema["$defs"]["WritesFile"]);
    for word in ["owner", "append", "split"] {
        assert!(words.contains(word), "{words}");
    }
}

#[test]
fn unknown_words_for_who_writes_a_table_are_refused_where_they_stand() {
    let error = error(&with_tables(
        "\n        public.a: {}\n        public.b: { writes: both }",
    ));
    assert!(
        error.contains("both") && error.contains("append"),
        "{error}"
    );
    assert!(
        error.contains("line 14") && error.contains("column"),
        "{error}"
    );
}

#[test]
fn writers_are_names_with_stars_and_never_everybody() {
    let tables = "\n        public.a: {}\n      writers: [web, \"puma: *\"]";
    let plan = Plan::parse(&with_tables(tables), |_| None).unwrap();
    let (_, data) = plan.replicated().next().unwrap();
    let declares = |name| WriterPattern::any(&data.writers, name);
    assert!(declares("puma: 2508 [shop]") && declares("web") && !declares("webs"));
    let error = error(&with_tables(&tables.replace("puma: *", "*")));
    assert!(
        error.contains("`*` would declare every writer") && error.contains("line 14"),
        "{error}"
    );
}

#[test]
fn a_key_with_another_name_says_which() {
    let old = SHARED.replace("gateway: { ", "gateway: { upgraded-idle: 1m, ");
    assert_ne!(old, SHARED);
    let error = error(&old);
    assert!(
        error.contains("upgraded-idle") && error.contains("`stream` under `timeouts`"),
        "{error}"
    );
}

#[test]
fn an_extraction_hands_something_over() {
    let error = error(&with_tables("\n        public.a: { writes: append }"));
    assert!(error.contains("hand over nothing"), "{error}");
    assert!(error.contains("line 13"), "{error}");
}

#[test]
fn the_schema_tells_the_modes_apart() {
    let schema = json_schema();
    let data = &schema["$defs"]["DataFile"];
    assert_eq!(data["required"], serde_json::json!(["mode"]));
    assert_eq!(data["if"]["properties"]["mode"]["const"], "shared");
    assert_eq!(data["then"]["maxProperties"], 1);
    assert_eq!(
        data["else"]["required"],
        serde_json::json!(["schema", "tables"])
    );
    let modes = data["properties"]["mode"].to_string();
    assert!(
        modes.contains("replicate") && modes.contains("shared"),
        "{modes}"
    );
    let extraction = &schema["properties"]["extractions"]["additionalProperties"];
    assert_eq!(extraction["then"]["properties"]["switch"], false);
}

#[test]
fn an_old_way_goes_with_an_old_side() {
    const MOVED: &str = r#"
monolith: { url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }
services:
  a: { url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/a" }
gateway:
  listen: "127.0.0.1:0"
  routes:
    old: { to: monolith, path: /old/*, retires-with: contracts }
extractions:
  contracts:
    service: a
    routes: [{ path: /contracts/* }]
    data: { mode: replicate, schema: s, tables: { public.t: {} } }
"#;
    let plan = Plan::parse(MOVED, |_| None).unwrap();
    let retires_with = plan.gateway.routes[0].retires_with.as_ref();
    assert_eq!(retires_with.map(ExtractionName::as_str), Some("contracts"));
}
