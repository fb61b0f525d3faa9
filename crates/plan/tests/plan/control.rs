//! Where the API listens, and who may use it.

use plan::{Plan, Role};

fn read(control: &str) -> Result<Plan, String> {
    let text = format!(
        "monolith: {{ url: \"http://127.0.0.1:8000\" }}\n\
         gateway: {{ listen: \"127.0.0.1:8080\" }}\n{control}\n"
    );
    let environment = |name: &str| match name {
        "ANNA_KEY" => Some("anna-key-0123456789".to_owned()),
        "BEN_KEY" => Some("ben-key-0123456789".to_owned()),
        "SPACED" => Some("a key with spaces in it".to_owned()),
        "SHORT" => Some("0123456789abcde".to_owned()),
        "EMPTY" => Some(String::new()),
        "CONTROL" => Some("127.0.0.1:7602".to_owned()),
        _ => None,
    };
    Plan::parse(&text, environment).map_err(|error| error.to_string())
}

#[test]
fn an_address_is_enough() {
    let listen = |control| read(control).unwrap().control.listen.port();
    assert_eq!(listen(""), 7600);
    assert_eq!(listen("control: 127.0.0.1:7601"), 7601);
    assert_eq!(listen("control: \"${CONTROL}\""), 7602);
    assert_eq!(listen("control: { listen: \"127.0.0.1:7603\" }"), 7603);
    assert_eq!(listen("control: { keys: {} }"), 7600);
    let error = read("control: nowhere").unwrap_err();
    assert!(
        error.contains("line 3, column 10, `control`: `nowhere` is no address"),
        "{error}"
    );
}

#[test]
fn everybody_has_a_role_and_a_key() {
    let plan = read(
        "control:\n  keys:\n    anna: { role: approver, key: \"${ANNA_KEY}\" }\n    \
         Ben O'Neill: { role: viewer, key: \"${BEN_KEY}\" }",
    );
    let control = plan.unwrap().control;
    assert_eq!(control.people["anna"].role, Role::Approver);
    assert_eq!(control.people["Ben O'Neill"].role, Role::Viewer);
    assert!(!format!("{control:?}").contains("0123456789"));
    assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Approver);
}

#[test]
fn what_is_no_key_is_refused_without_showing_it() {
    let keys = |one: &str| read(&format!("control:\n  keys:\n    {one}")).unwrap_err();
    for (one, wanted) in [
        (
            "anna: { role: viewer, key: \"${SPACED}\" }",
            "line 5, column 32, `control.keys.anna.key`: the key of `anna`",
        ),
        (
            "anna: { role: viewer, key: \"${SHORT}\" }",
            "is not 16 to 512",
        ),
        (
            "anna: { role: viewer, key: \"${EMPTY}\" }",
            "is not 16 to 512",
        ),
        (
            "anna: { role: viewer, key: \"${MISSING}\" }",
            "has no `MISSING`",
        ),
        (
            "anna: { role: admin, key: \"${ANNA_KEY}\" }",
            "line 5, column 19, `control.keys.anna.role`: ",
        ),
        ("anna: { key: \"${ANNA_KEY}\" }", "line 5, column "),
        ("anna: { role: viewer }", "line 5, column "),
        (
            "\"\": { role: viewer, key: \"${ANNA_KEY}\" }",
            "a person's name",
        ),
        (
            "\" anna\": { role: viewer, key: \"${ANNA_KEY}\" }",
            "a person's name",
        ),
        (
            "\"an\\nna\": { role: viewer, key: \"${ANNA_KEY}\" }",
            "a person's name",
        ),
        (
            "\"an\\u202ena\": { role: viewer, key: \"${ANNA_KEY}\" }",
            "a person's name",
        ),
        (
            "anna: { role: viewer, key: \"${ANNA_KEY}\" }\n    ben: { role: operator, key: \"${ANNA_KEY}\" }",
            "line 6, column 33, `control.keys.ben.key`: the key of `ben` is somebody else's",
        ),
    ] {
        let error = keys(one);
        assert!(error.contains(wanted), "{one}: {error}");
        assert!(
            !error.contains("0123456789") && !error.contains("spaces in"),
            "{error}"
        );
    }
}
