//! What is asked. Writes come first, so that there is something to read; both
//! sides start empty, so that ids agree.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use testbed::http_client::Call;

const CONTRACTS: &str = "/api/contracts";

pub(super) struct Request {
    pub call: Call,
    /// The status that API.md promises.
    pub expected: u16,
}

fn request(call: Call, expected: u16) -> Request {
    Request { call, expected }
}

/// Made in the monolith only, where they live.
pub(super) fn parties_and_plots() -> Vec<Call> {
    let party = |name: &str| {
        let body = json!({"name": name, "kind": "person", "tax_number": format!("T-{name}")});
        Call::post("/api/parties", &body)
    };
    let plot = |number: &str| {
        let body = json!({"cadastral_number": number, "area_m2": "1200.50", "region": "Lowmoor"});
        Call::post("/api/land-plots", &body)
    };
    vec![
        party("Anna"),
        party("Bela"),
        party("Clara"),
        plot("001/1"),
        plot("001/2"),
    ]
}

pub(super) fn all() -> Vec<Request> {
    let mut all = creates();
    all.extend(wrong_creates());
    all.extend(patches());
    all.extend(reads());
    all.extend(others());
    all
}

fn contract(reference: &str) -> Value {
    json!({"reference": reference, "title": "Field 12", "seller": 1, "buyer": 2, "land_plot": 1,
           "price": "12500.00"})
}

/// A contract with some fields set; `null` stands for null.
fn with(fields: &Value) -> Value {
    let mut body = contract("with");
    for (name, value) in fields.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

fn without(field: &str) -> Value {
    let mut body = contract("without");
    if let Some(fields) = body.as_object_mut() {
        fields.remove(field);
    }
    body
}

fn raw(method: Method, path: &str, body: &'static str) -> Call {
    let body = Some(Bytes::from_static(body.as_bytes()));
    Call {
        method,
        path: path.to_owned(),
        user: None,
        headers: http::HeaderMap::new(),
        body,
    }
}

fn creates() -> Vec<Request> {
    let mut creates = vec![request(
        Call::post(CONTRACTS, &contract("by-7")).by(Some(7)),
        201,
    )];
    let right = [
        json!({}),
        json!({"tags": ["north", "farm", "north"], "terms": {"pay_days": 30, "a": [1, null]}}),
        json!({"price": 0}),
        json!({"price": 12.5, "currency": "CHF"}),
        json!({"price": "999999999999.99", "signed_on": "2026-11-20"}),
        json!({"title": "Ümläut — 土地 \u{1F33E}", "tags": ["Zürich", "äb", "Ab", "ab"]}),
        json!({"title": "  spaces  ", "reference": " r "}),
        json!({"seller": "1", "buyer": 3, "land_plot": "2"}),
        json!({"unknown": "ignored", "status": "active", "version": 9, "id": 99}),
        json!({"terms": {}, "tags": [], "signed_on": null}),
        json!({"reference": "r".repeat(64), "title": "t".repeat(200)}),
        json!({"tags": ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]}),
        json!({"terms": {"deep": {"er": {"est": [true, false, 1.5, "x"]}}}}),
    ];
    creates.extend(
        right
            .iter()
            .map(|fields| request(Call::post(CONTRACTS, &with(fields)), 201)),
    );
    creates
}

fn wrong_creates() -> Vec<Request> {
    let required = [
        "reference",
        "title",
        "seller",
        "buyer",
        "land_plot",
        "price",
    ];
    let mut wrong: Vec<Request> = required
        .iter()
        .map(|field| request(Call::post(CONTRACTS, &without(field)), 400))
        .collect();
    let fields = [
        json!({"reference": null}),
        json!({"reference": ""}),
        json!({"reference": "r".repeat(65)}),
        json!({"reference": true}),
        json!({"title": ["x"]}),
        json!({"title": "   "}),
        json!({"title": "t".repeat(201)}),
        json!({"seller": 99}),
        json!({"seller": null, "buyer": 98, "land_plot": 97}),
        json!({"land_plot": "x"}),
        json!({"price": "x"}),
        json!({"price": "-0.01"}),
        json!({"price": "1.234"}),
        json!({"price": "1234567890123.00"}),
        json!({"price": null}),
        json!({"price": "NaN"}),
        json!({"currency": "EURO"}),
        json!({"currency": ""}),
        json!({"terms": [1]}),
        json!({"terms": "x"}),
        json!({"terms": null}),
        json!({"tags": "farm"}),
        json!({"tags": {"a": 1}}),
        json!({"tags": 5}),
        json!({"tags": ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]}),
        json!({"tags": [""]}),
        json!({"tags": ["ok", "t".repeat(41), null]}),
        json!({"signed_on": "20.11.2026"}),
        json!({"signed_on": "2026-02-30"}),
        json!({"title": "", "price": "x", "tags": 1, "terms": 1, "seller": "x"}),
    ];
    wrong.extend(
        fields
            .iter()
            .map(|fields| request(Call::post(CONTRACTS, &with(fields)), 400)),
    );
    for body in ["{", "", "[]", "null", "\"x\"", "7"] {
        wrong.push(request(raw(Method::POST, CONTRACTS, body), 400));
    }
    wrong
}

fn patches() -> Vec<Request> {
    let patch = |id: &str, body: Value, expected: u16| {
        request(Call::patch(format!("{CONTRACTS}/{id}"), &body), expected)
    };
    vec![
        patch("1", json!({"status": "active", "reference": "p-1"}), 200),
        patch("1", json!({"status": "draft", "reference": "p-2"}), 200),
        patch("2", json!({"status": "completed", "reference": "p-3"}), 200),
        patch("3", json!({"status": "cancelled", "reference": "p-4"}), 200),
        patch("2", json!({"status": "completed", "reference": "p-5"}), 200),
        patch("1", json!({"status": "sold", "reference": "p-6"}), 400),
        patch("1", json!({"reference": "p-7"}), 400),
        patch("1", json!({"status": "active"}), 400),
        patch("1", json!({}), 400),
        patch("1", json!({"status": null, "reference": null}), 400),
        patch("9999", json!({"status": "active", "reference": "p-8"}), 404),
        patch("9999", json!({}), 404),
        patch("x", json!({"status": "active", "reference": "p-9"}), 404),
        request(raw(Method::PATCH, "/api/contracts/1", "{"), 400),
        request(raw(Method::PATCH, "/api/contracts/1", "[]"), 400),
    ]
}

fn reads() -> Vec<Request> {
    let paths = [
        ("/1", 200),
        ("/2", 200),
        ("/3", 200),
        ("/7", 200),
        ("/1/events", 200),
        ("/2/events", 200),
        ("/9999", 404),
        ("/9999/events", 404),
        ("/x", 404),
        ("/x/events", 404),
        ("/-1", 404),
        ("/99999999999999999999", 404),
        ("", 200),
        ("?page_size=3", 200),
        ("?page_size=3&page=2", 200),
        ("?page=2&page_size=3&status=draft", 200),
        ("?status=draft&page=3&page_size=3", 200),
        ("?page_size=1000", 200),
        ("?page_size=0", 200),
        ("?page_size=x", 200),
        ("?page=0", 404),
        ("?page=99", 404),
        ("?page=x", 404),
        ("?page=", 200),
        ("?status=active", 200),
        ("?status=", 200),
        ("?status=sold", 400),
        ("?seller=1", 200),
        ("?seller=1&buyer=3", 200),
        ("?seller=99", 200),
        ("?seller=x", 400),
        ("?seller=x&buyer=y&status=z", 400),
        ("?tag=farm", 200),
        ("?tag=nothing", 200),
        ("?tag=Z%C3%BCrich&page_size=1", 200),
        ("?tag=", 200),
        ("?unknown=1&page_size=2", 200),
    ];
    paths
        .iter()
        .map(|(path, status)| request(Call::get(format!("{CONTRACTS}{path}")), *status))
        .collect()
}

fn others() -> Vec<Request> {
    let of = |method: Method, path: &str, expected: u16| {
        let path = path.to_owned();
        request(
            Call {
                method,
                path,
                user: None,
                headers: http::HeaderMap::new(),
                body: None,
            },
            expected,
        )
    };
    vec![
        of(Method::DELETE, "/api/contracts", 405),
        of(Method::PUT, "/api/contracts", 405),
        of(Method::DELETE, "/api/contracts/1", 405),
        of(Method::POST, "/api/contracts/1", 405),
        of(Method::PATCH, "/api/contracts/1/events", 405),
    ]
}
