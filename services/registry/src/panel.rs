//! Reference panels: what an external service says it has. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// Panels of one service. The largest services have some dozens.
const PANELS_MAX: usize = 5_000;
/// A catalogue as it is sent.
pub const CATALOGUE_BYTES_MAX: usize = 4 << 20;

const ID_MAX: usize = 128;
const TEXT_MAX: usize = 200;
const ATTRIBUTES_MAX: usize = 32;
/// What numbers are in JSON everywhere.
const NUMBER_MAX: u64 = 1 << 53;
/// Reasons can repeat what was sent.
const REASON_CHARACTERS_MAX: usize = 200;

/// A panel that genotypes can be imputed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// What the service calls it: `hrc-r1.1`.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Of the panel, as the service counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The genome build: `GRCh38`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// Whose genomes are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub population: Option<String>,
    /// How many samples it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// How many variants it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variants: Option<u64>,
    /// What else the service says of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// All panels of a service, by their ids.
pub type Catalogue = BTreeMap<String, Panel>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    panels: Vec<Object<Panel>>,
}

/// Written as an object: serde would take a list of its fields, too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<PhantomData<T>> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// Reads what a service has sent; otherwise what is wrong with it, in a text
/// that can be stored.
pub fn read(text: &[u8]) -> Result<Catalogue, String> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let Object(document): Object<Document> = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| wrong(&error.path().to_string(), &error.inner().to_string()))?;
    reader
        .end()
        .map_err(|error| wrong(".", &error.to_string()))?;
    if document.panels.len() > PANELS_MAX {
        return Err(wrong(
            "panels",
            &format!("there are more than {PANELS_MAX}"),
        ));
    }
    let mut catalogue = Catalogue::new();
    for (position, Object(panel)) in document.panels.into_iter().enumerate() {
        let place = format!("panels[{position}]");
        check(&panel).map_err(|rule| wrong(&place, rule))?;
        if let Some(twice) = catalogue.insert(panel.id.clone(), panel) {
            return Err(wrong(
                &place,
                &format!("the id {} is there twice", twice.id),
            ));
        }
    }
    Ok(catalogue)
}

fn check(panel: &Panel) -> Result<(), &'static str> {
    let is_id = (1..=ID_MAX).contains(&panel.id.len())
        && panel.id.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_id {
        return Err("the id must be 1 to 128 visible characters of ASCII");
    }
    let texts = [&panel.version, &panel.build, &panel.population];
    let texts = texts.into_iter().flatten().chain([&panel.name]);
    let attributes = panel
        .attributes
        .iter()
        .flat_map(|(name, value)| [name, value]);
    if !texts.chain(attributes).all(|text| is_text(text)) {
        return Err("texts must be 1 to 200 characters, none of them a control character");
    }
    if panel.attributes.len() > ATTRIBUTES_MAX {
        return Err("there are more than 32 attributes");
    }
    let mut numbers = [panel.samples, panel.variants].into_iter().flatten();
    if numbers.any(|number| number > NUMBER_MAX) {
        return Err("a number is larger than 2 to the power of 53");
    }
    Ok(())
}

fn is_text(text: &str) -> bool {
    let length = text.chars().count();
    (1..=TEXT_MAX).contains(&length) && !text.chars().any(char::is_control)
}

fn wrong(place: &str, reason: &str) -> String {
    let reason = reason.chars().filter(|c| !c.is_control());
    let reason: String = reason.take(REASON_CHARACTERS_MAX).collect();
    let place = place.chars().filter(|c| !c.is_control());
    let place: String = place.take(REASON_CHARACTERS_MAX).collect();
    format!("the catalogue is wrong at {place}: {reason}")
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Catalogues that differ often, but not always.
    pub fn any_catalogue() -> impl Strategy<Value = Catalogue> {
        let panel = (
            "[a-d]",
            "[xy]",
            proptest::option::of("[12]"),
            proptest::option::of(0..3_u64),
            proptest::collection::btree_map("[pq]", "[12]", 0..2),
        );
        let panel = panel.prop_map(|(id, name, build, samples, attributes)| Panel {
            id,
            name,
            version: None,
            build,
            population: None,
            samples,
            variants: None,
            attributes,
        });
        let keyed = panel.prop_map(|panel| (panel.id.clone(), panel));
        proptest::collection::vec(keyed, 0..5).prop_map(|all| all.into_iter().collect())
    }

    #[test]
    fn a_catalogue_is_read() {
        let text = json!({ "panels": [
            { "id": "hrc-r1.1", "name": "HRC r1.1", "build": "GRCh37", "samples": 32_470,
              "variants": 40_405_505_u64, "population": "European", "version": "1.1",
              "attributes": { "phasing": "eagle" } },
            { "id": "1000g-p3", "name": "1000 Genomes, Phase 3" },
        ] });
        let read = read(text.to_string().as_bytes()).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read["hrc-r1.1"].samples, Some(32_470));
        assert!(super::read(b"{\"panels\": []}").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_catalogue_is_refused_with_its_place() {
        let with = |field: &str, value: serde_json::Value| {
            let mut panel = json!({ "id": "a", "name": "A" });
            panel[field] = value;
            json!({ "panels": [{ "id": "b", "name": "B" }, panel] }).to_string()
        };
        let many: Vec<_> = (0..=PANELS_MAX)
            .map(|number| json!({ "id": number.to_string(), "name": "x" }))
            .collect();
        for (text, reason) in [
            (String::new(), "EOF"),
            ("<html>".to_owned(), "expected value"),
            ("[]".to_owned(), "expected an object"),
            ("[[]]".to_owned(), "expected an object"),
            ("{\"panels\": [[\"a\", \"A\"]]}".to_owned(), "panels[0]"),
            ("{}".to_owned(), "missing field `panels`"),
            ("{\"panels\": []} x".to_owned(), "trailing"),
            ("[".repeat(100_000), "at"),
            (with("id", json!(7)), "panels[1].id"),
            (with("id", json!("")), "panels[1]"),
            (with("id", json!("b")), "twice"),
            (with("id", json!("a\u{0}")), "visible"),
            (with("name", json!("")), "panels[1]"),
            (with("name", json!("a\u{0}b")), "control"),
            (with("build", json!("x".repeat(201))), "200"),
            (with("samples", json!(-1)), "panels[1].samples"),
            (with("samples", json!(u64::MAX)), "53"),
            (with("price", json!(1)), "price"),
            (with("attributes", json!({ "a": 1 })), "attributes"),
            (json!({ "panels": many }).to_string(), "more than 5000"),
        ] {
            let said = read(text.as_bytes()).unwrap_err();
            assert!(said.contains(reason), "{said}, not {reason}");
            assert!(said.chars().count() < 450 && !said.contains('\0'));
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text: Vec<u8>) {
            let _ = read(&text);
        }

        #[test]
        fn what_is_written_is_read(catalogue in any_catalogue()) {
            let panels: Vec<_> = catalogue.values().collect();
            let text = json!({ "panels": panels }).to_string();
            prop_assert_eq!(read(text.as_bytes()).unwrap(), catalogue);
        }
    }
}
