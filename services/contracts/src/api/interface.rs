//! What requests and failures look like, for the OpenAPI document. Requests are
//! read field by field (`validation`), since the answers name every wrong one in
//! Django's words; these types only describe them.
#![expect(dead_code, reason = "they describe")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

/// A contract to be made. Strings are trimmed; a number is taken as its text.
#[derive(ToSchema)]
pub struct NewContract {
    /// The client's name for this write; need not be unique.
    #[schema(min_length = 1, max_length = 64, example = "w3-000017")]
    reference: String,
    #[schema(min_length = 1, max_length = 200, example = "Field 12")]
    title: String,
    /// Who sells: a party.
    #[schema(example = 1)]
    seller: i64,
    /// Who buys: a party.
    #[schema(example = 2)]
    buyer: i64,
    /// What is sold.
    #[schema(example = 1)]
    land_plot: i64,
    /// At most 14 digits, 2 of them decimals; a number will do, too.
    #[schema(pattern = "^[0-9]{1,12}([.][0-9]{1,2})?$", example = "12500.00")]
    price: String,
    /// `EUR`, unless said.
    #[schema(min_length = 3, max_length = 3, example = "EUR")]
    currency: Option<String>,
    #[schema(value_type = Option<Object>, example = json!({ "pay_days": 30 }))]
    terms: Option<Value>,
    /// Each 1 to 40 characters.
    #[schema(max_items = 10, example = json!(["farm", "north"]))]
    tags: Option<Vec<String>>,
    #[schema(format = Date, example = "2026-11-20")]
    signed_on: Option<String>,
}

/// A change of status to be made.
#[derive(ToSchema)]
pub struct StatusChange {
    #[schema(pattern = "^(draft|active|completed|cancelled)$", example = "active")]
    status: String,
    /// The client's name for this write; need not be unique.
    #[schema(min_length = 1, max_length = 64, example = "w3-000018")]
    reference: String,
}

/// What went wrong: a text in `detail`, or messages by field.
#[derive(ToSchema)]
pub struct Failure(BTreeMap<String, Value>);
