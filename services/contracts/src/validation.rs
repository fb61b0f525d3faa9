//! The API's rules for the bodies of requests: pure, and complete.
//!
//! Every wrong field is reported at once, also those that name a party or plot
//! that is not there. Whether they are there is asked between two pure steps:
//! `Mentions::of` says whom to ask for, `new_contract` judges with the answers.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde_json::value::RawValue;
use time::Date;

use crate::contract::{NewContract, Status, StatusChange, day_of};
use crate::fields::{FieldErrors, Mention, Messages, NULL, REQUIRED, TextRule};
use crate::json::{Fields, Given};
use crate::price;
use crate::terms::{self, TermsError};

const REFERENCE: TextRule = TextRule::up_to(64);
const TITLE: TextRule = TextRule::up_to(200);
const CURRENCY: TextRule = TextRule::exactly(3);
const TAG: TextRule = TextRule::up_to(40);
const MAX_TAGS: usize = 10;
const INVALID_JSON: &str = "Value must be valid JSON.";
const DEFAULT_CURRENCY: &str = "EUR";

/// Something per reference from a contract to what is kept elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct References<T> {
    pub seller: T,
    pub buyer: T,
    pub land_plot: T,
}

/// The ids to ask for; nothing where a field holds no possible id.
pub type Mentions = References<Option<i64>>;

/// Whether what was asked for exists.
pub type Existence = References<bool>;

impl Mentions {
    pub fn of(body: &Fields<'_>) -> Self {
        let id = |name| Mention::read(&body.get(name)?).ok()?.id;
        Self {
            seller: id("seller"),
            buyer: id("buyer"),
            land_plot: id("land_plot"),
        }
    }
}

/// Judges the body of a request that makes a contract.
pub fn new_contract(body: &Fields<'_>, exists: Existence) -> Result<NewContract, FieldErrors> {
    let mut errors = FieldErrors::default();
    let reference = errors.note("reference", required_text(body, "reference", REFERENCE));
    let title = errors.note("title", required_text(body, "title", TITLE));
    let seller = errors.note("seller", existing_id(body, "seller", exists.seller));
    let buyer = errors.note("buyer", existing_id(body, "buyer", exists.buyer));
    let land_plot = errors.note(
        "land_plot",
        existing_id(body, "land_plot", exists.land_plot),
    );
    let price = errors.note(
        "price",
        required(body, "price").and_then(|given| read_price(&given)),
    );
    let currency = errors.note("currency", read_currency(body.get("currency")));
    let terms = errors.note("terms", read_terms(body.get("terms").as_ref()));
    let tags = errors.note("tags", read_tags(body.get("tags")));
    let signed_on = errors.note("signed_on", read_signed_on(body.get("signed_on")));
    let contract = (|| {
        Some(NewContract {
            reference: reference?,
            title: title?,
            seller: seller?,
            buyer: buyer?,
            land_plot: land_plot?,
            price: price?,
            currency: currency?,
            terms: terms?,
            tags: tags?,
            signed_on: signed_on?,
        })
    })();
    contract.ok_or(errors)
}

/// Judges the body of a request that changes a contract's status.
pub fn status_change(body: &Fields<'_>) -> Result<StatusChange, FieldErrors> {
    let mut errors = FieldErrors::default();
    let status = required(body, "status").and_then(|given| read_status(&given));
    let status = errors.note("status", status);
    let reference = errors.note("reference", required_text(body, "reference", REFERENCE));
    match (status, reference) {
        (Some(status), Some(reference)) => Ok(StatusChange { status, reference }),
        _ => Err(errors),
    }
}

/// The message for something that is none of the statuses.
pub fn not_a_status(shown: &str) -> Messages {
    format!("\"{shown}\" is not a valid choice.").into()
}

fn required<'a>(body: &Fields<'a>, name: &str) -> Result<Given<'a>, Messages> {
    body.get(name).ok_or_else(|| REQUIRED.into())
}

fn required_text(body: &Fields<'_>, name: &str, rule: TextRule) -> Result<String, Messages> {
    rule.read(&required(body, name)?).map_err(Messages::Field)
}

fn existing_id(body: &Fields<'_>, name: &str, exists: bool) -> Result<i64, Messages> {
    let mention = Mention::read(&required(body, name)?)?;
    mention
        .id
        .filter(|_| exists)
        .ok_or_else(|| mention.does_not_exist())
}

fn read_price(given: &Given<'_>) -> Result<Decimal, Messages> {
    if matches!(given, Given::Null) {
        return Err(NULL.into());
    }
    price::read(&given.shown()).map_err(Messages::from)
}

fn read_currency(given: Option<Given<'_>>) -> Result<String, Messages> {
    given.map_or_else(
        || Ok(DEFAULT_CURRENCY.to_owned()),
        |given| CURRENCY.read(&given).map_err(Messages::Field),
    )
}

fn read_terms(given: Option<&Given<'_>>) -> Result<Box<RawValue>, Messages> {
    let object = match given {
        None => return RawValue::from_string("{}".to_owned()).map_err(|_| INVALID_JSON.into()),
        Some(Given::Null) => return Err(NULL.into()),
        Some(Given::Object(object)) => object,
        Some(_) => return Err("Value must be a JSON object.".into()),
    };
    terms::read(object).map_err(|error| match error {
        TermsError::Invalid => INVALID_JSON.into(),
        TermsError::NullCharacter => "Null characters are not allowed.".into(),
    })
}

fn read_tags(given: Option<Given<'_>>) -> Result<Vec<String>, Messages> {
    let items = match given {
        None => return Ok(Vec::new()),
        Some(Given::Null) => return Err(NULL.into()),
        Some(Given::List(items)) => items,
        Some(other) => {
            let name = other.type_name();
            return Err(format!("Expected a list of items but got type \"{name}\".").into());
        }
    };
    let mut wrong = BTreeMap::new();
    let mut tags = BTreeSet::new();
    let count = items.len();
    for (position, raw) in items.into_iter().enumerate() {
        match TAG.read(&Given::of(raw)) {
            Ok(tag) => {
                tags.insert(tag);
            }
            Err(messages) => {
                wrong.insert(position, messages);
            }
        }
    }
    if !wrong.is_empty() {
        return Err(Messages::Items(wrong));
    }
    if count > MAX_TAGS {
        return Err(format!("Ensure this field has no more than {MAX_TAGS} elements.").into());
    }
    Ok(tags.into_iter().collect())
}

fn read_signed_on(given: Option<Given<'_>>) -> Result<Option<Date>, Messages> {
    let date = match given {
        None | Some(Given::Null) => return Ok(None),
        Some(Given::Text(text)) => day_of(&text),
        Some(_) => None,
    };
    date.map(Some).ok_or_else(|| {
        "Date has wrong format. Use one of these formats instead: YYYY-MM-DD.".into()
    })
}

fn read_status(given: &Given<'_>) -> Result<Status, Messages> {
    if matches!(given, Given::Null) {
        return Err(NULL.into());
    }
    let shown = given.shown();
    Status::of(&shown).ok_or_else(|| not_a_status(&shown))
}

#[cfg(test)]
#[path = "validation_tests.rs"]
mod tests;
