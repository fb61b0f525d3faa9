//! Every message of the API, by the body that earns it.

use serde_json::{Value, json};

use super::*;

const ALL_EXIST: Existence = References {
    seller: true,
    buyer: true,
    land_plot: true,
};

fn complete() -> Value {
    json!({
        "reference": "w3-000017", "title": "Field 12", "seller": 4, "buyer": 9,
        "land_plot": 2, "price": "12500.00",
    })
}

/// A complete body with some fields replaced.
fn with(changes: Value) -> Value {
    let mut body = complete();
    let Value::Object(changes) = changes else {
        panic!("changes must be an object")
    };
    body.as_object_mut().unwrap().extend(changes);
    body
}

fn judge(body: &Value, exists: Existence) -> Result<NewContract, Value> {
    let text = body.to_string();
    let fields = Fields::read(text.as_bytes()).unwrap();
    new_contract(&fields, exists).map_err(|errors| serde_json::to_value(errors).unwrap())
}

fn errors_of(changes: Value) -> Value {
    judge(&with(changes), ALL_EXIST).unwrap_err()
}

fn change_of(body: &str) -> Result<StatusChange, Value> {
    let fields = Fields::read(body.as_bytes()).unwrap();
    status_change(&fields).map_err(|errors| serde_json::to_value(errors).unwrap())
}

#[test]
fn defaults_fill_what_is_not_given() {
    let contract = judge(&complete(), ALL_EXIST).unwrap();
    assert_eq!(contract.currency, "EUR");
    assert_eq!(contract.terms.get(), "{}");
    assert!(contract.tags.is_empty());
    assert_eq!(contract.signed_on, None);
}

#[test]
fn values_are_read_as_clients_may_write_them() {
    let contract = judge(
        &with(json!({
            "reference": 17, "title": "  Field 12\n", "seller": "4", "price": 12.5,
            "currency": " CHF", "tags": ["north", "farm ", "north"], "signed_on": "2026-11-20",
            "unknown": {"fields": "are ignored"},
        })),
        ALL_EXIST,
    )
    .unwrap();
    assert_eq!(contract.reference, "17");
    assert_eq!(contract.title, "Field 12");
    assert_eq!(
        (contract.seller, contract.buyer, contract.land_plot),
        (4, 9, 2)
    );
    assert_eq!(contract.price.to_string(), "12.50");
    assert_eq!(contract.currency, "CHF");
    assert_eq!(contract.tags, ["farm", "north"]);
    assert_eq!(contract.signed_on, day_of("2026-11-20"));
}

#[test]
fn what_is_missing_is_required() {
    let required = json!(["This field is required."]);
    assert_eq!(
        judge(&json!({}), ALL_EXIST).unwrap_err(),
        json!({
            "reference": required, "title": required, "seller": required, "buyer": required,
            "land_plot": required, "price": required,
        })
    );
}

#[test]
fn null_is_for_signed_on_only() {
    let fields = [
        "reference",
        "title",
        "seller",
        "buyer",
        "land_plot",
        "price",
        "currency",
        "terms",
        "tags",
    ];
    for field in fields {
        assert_eq!(
            errors_of(json!({ field: null })),
            json!({ field: ["This field may not be null."] }),
            "{field}"
        );
    }
    assert!(judge(&with(json!({"signed_on": null})), ALL_EXIST).is_ok());
}

#[expect(clippy::too_many_lines, reason = "a table of every message")]
#[test]
fn each_message_of_a_field() {
    let long = "x".repeat(201);
    let eleven = vec!["tag"; 11];
    let date = "Date has wrong format. Use one of these formats instead: YYYY-MM-DD.";
    let table = [
        (
            "reference",
            json!(""),
            json!(["This field may not be blank."]),
        ),
        (
            "reference",
            json!(" \t"),
            json!(["This field may not be blank."]),
        ),
        ("reference", json!(true), json!(["Not a valid string."])),
        ("reference", json!([]), json!(["Not a valid string."])),
        ("reference", json!({}), json!(["Not a valid string."])),
        (
            "reference",
            json!(long),
            json!(["Ensure this field has no more than 64 characters."]),
        ),
        (
            "title",
            json!(long),
            json!(["Ensure this field has no more than 200 characters."]),
        ),
        (
            "title",
            json!("a\0b"),
            json!(["Null characters are not allowed."]),
        ),
        (
            "currency",
            json!("EU"),
            json!(["Ensure this field has at least 3 characters."]),
        ),
        (
            "currency",
            json!("EURO"),
            json!(["Ensure this field has no more than 3 characters."]),
        ),
        (
            "currency",
            json!("EU\0R"),
            json!([
                "Ensure this field has no more than 3 characters.",
                "Null characters are not allowed."
            ]),
        ),
        (
            "seller",
            json!("x"),
            json!(["A valid integer is required."]),
        ),
        ("seller", json!(""), json!(["A valid integer is required."])),
        ("buyer", json!(1.0), json!(["A valid integer is required."])),
        (
            "land_plot",
            json!(true),
            json!(["A valid integer is required."]),
        ),
        (
            "land_plot",
            json!([2]),
            json!(["A valid integer is required."]),
        ),
        (
            "seller",
            json!(0),
            json!(["Invalid pk \"0\" - object does not exist."]),
        ),
        (
            "seller",
            json!(-3),
            json!(["Invalid pk \"-3\" - object does not exist."]),
        ),
        (
            "seller",
            json!("99999999999999999999"),
            json!(["Invalid pk \"99999999999999999999\" - object does not exist."]),
        ),
        ("price", json!("x"), json!(["A valid number is required."])),
        ("price", json!(""), json!(["A valid number is required."])),
        ("price", json!(true), json!(["A valid number is required."])),
        ("price", json!({}), json!(["A valid number is required."])),
        (
            "price",
            json!(123_456_789_012_345_u64),
            json!(["Ensure that there are no more than 14 digits in total."]),
        ),
        (
            "price",
            json!(1.001),
            json!(["Ensure that there are no more than 2 decimal places."]),
        ),
        (
            "price",
            json!(-1),
            json!(["Ensure this value is greater than or equal to 0."]),
        ),
        ("terms", json!([]), json!(["Value must be a JSON object."])),
        (
            "terms",
            json!("{}"),
            json!(["Value must be a JSON object."]),
        ),
        (
            "terms",
            json!({"a": "\0"}),
            json!(["Null characters are not allowed."]),
        ),
        (
            "tags",
            json!("a"),
            json!(["Expected a list of items but got type \"str\"."]),
        ),
        (
            "tags",
            json!(1),
            json!(["Expected a list of items but got type \"int\"."]),
        ),
        (
            "tags",
            json!(1.5),
            json!(["Expected a list of items but got type \"float\"."]),
        ),
        (
            "tags",
            json!(true),
            json!(["Expected a list of items but got type \"bool\"."]),
        ),
        (
            "tags",
            json!({}),
            json!(["Expected a list of items but got type \"dict\"."]),
        ),
        (
            "tags",
            json!(eleven),
            json!(["Ensure this field has no more than 10 elements."]),
        ),
        (
            "tags",
            json!(["a", "", "x".repeat(41), null, []]),
            json!({
                "1": ["This field may not be blank."],
                "2": ["Ensure this field has no more than 40 characters."],
                "3": ["This field may not be null."],
                "4": ["Not a valid string."],
            }),
        ),
        ("signed_on", json!("2026-02-30"), json!([date])),
        ("signed_on", json!(""), json!([date])),
        ("signed_on", json!(20_261_120), json!([date])),
    ];
    for (field, value, messages) in table {
        let expected = json!({ field: messages });
        assert_eq!(errors_of(json!({ field: value })), expected);
    }
}

#[test]
fn numbers_beyond_every_type_are_read() {
    let body = complete().to_string().replace(
        "\"seller\":4",
        "\"seller\":123456789012345678901234567890,\"terms\":{\"a\":1e999}",
    );
    let fields = Fields::read(body.as_bytes()).unwrap();
    let errors = new_contract(&fields, ALL_EXIST).unwrap_err();
    assert_eq!(
        serde_json::to_value(errors).unwrap(),
        json!({
            "seller": ["Invalid pk \"123456789012345678901234567890\" - object does not exist."],
            "terms": ["Value must be valid JSON."],
        })
    );
}

#[test]
fn half_a_surrogate_pair_is_an_error_of_its_field() {
    let body = complete().to_string().replace("Field 12", "Field \\ud83d");
    let fields = Fields::read(body.as_bytes()).unwrap();
    let errors = new_contract(&fields, ALL_EXIST).unwrap_err();
    assert_eq!(
        serde_json::to_value(errors).unwrap(),
        json!({"title": ["Surrogate characters are not allowed: U+D83D."]})
    );
}

#[test]
fn what_does_not_exist_is_reported_with_everything_else() {
    let body = with(json!({"seller": "007", "buyer": 9, "land_plot": 2, "title": ""}));
    let none = Existence::default();
    assert_eq!(
        judge(&body, none).unwrap_err(),
        json!({
            "title": ["This field may not be blank."],
            "seller": ["Invalid pk \"007\" - object does not exist."],
            "buyer": ["Invalid pk \"9\" - object does not exist."],
            "land_plot": ["Invalid pk \"2\" - object does not exist."],
        })
    );
}

#[test]
fn only_possible_ids_are_asked_for() {
    let body = json!({"seller": "007", "buyer": -1, "land_plot": "x"}).to_string();
    let mentions = Mentions::of(&Fields::read(body.as_bytes()).unwrap());
    assert_eq!(
        mentions,
        References {
            seller: Some(7),
            buyer: None,
            land_plot: None
        }
    );
}

#[test]
fn changes_of_status() {
    let expected = StatusChange {
        status: Status::Active,
        reference: "w3-2".to_owned(),
    };
    assert_eq!(
        change_of("{\"status\": \"active\", \"reference\": \"w3-2\"}"),
        Ok(expected)
    );
    let table = [
        ("null", "This field may not be null."),
        ("\"\"", "\"\" is not a valid choice."),
        ("\"x\"", "\"x\" is not a valid choice."),
        ("\"Draft\"", "\"Draft\" is not a valid choice."),
        ("1", "\"1\" is not a valid choice."),
        ("true", "\"True\" is not a valid choice."),
        ("[\"draft\"]", "\"['draft']\" is not a valid choice."),
    ];
    for (status, message) in table {
        let body = format!("{{\"status\": {status}, \"reference\": \"w3-2\"}}");
        assert_eq!(
            change_of(&body),
            Err(json!({"status": [message]})),
            "{body}"
        );
    }
    assert_eq!(
        change_of("{}"),
        Err(json!({
            "status": ["This field is required."],
            "reference": ["This field is required."],
        }))
    );
}
